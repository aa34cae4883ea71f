from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

import core
from service import tables
from service.caller import LOCAL
from service.context import Context
from service.datasets.encoding import fit_encoding
from service.datasets.schemas import Column
from service.datasets.summary import summarize
from service.ids import new_id
from service.models.card import CARD
from service.models.predictor import ENCODING, WEIGHTS
from tests.service.conftest import NewDatabase
from tests.service.live import live

TABLE = pl.DataFrame(
    {
        "length": [39.1, 38.2, None, 46.5, 49.9, 50.1],
        "island": ["Dream", "Torgersen", "Dream", "Biscoe", "Biscoe", None],
        "tagged": [True, False, True, True, False, False],
        "seen": [
            datetime(2007, 11, 11, 8, 30),
            datetime(2008, 2, 29),
            None,
            *(datetime(2009, m, 1) for m in (1, 7, 12)),
        ],
        "mass": [3750.0, 3800.0, 3250.0, 5200.0, 5400.0, 5100.0],
        "species": ["Adelie", "Adelie", "Chinstrap", "Gentoo", "Gentoo", "Gentoo"],
    }
)


def records(table: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows of `table` as a call has them."""
    return table.with_columns(pl.col(pl.Datetime).dt.to_string("iso:strict")).to_dicts()


def columns_of(table: pl.DataFrame) -> list[Column]:
    dates = set(table.select(pl.col(pl.Datetime)).columns)
    kinds = {column.name: "date" if column.name in dates else column.kind for column in summarize(table)}
    return [column.model_copy(update={"kind": kinds[column.name]}) for column in summarize(table)]


HISTORY: dict[str, Any] = {
    "epoch": 1, "device": "cpu", "data": {}, "scores": {}, "certificates": [], "versions": {}, "lineage": [],
}  # fmt: skip


def _spec(card: dict[str, Any]) -> dict[str, Any]:
    *layers, output = card["network"]["layers"]
    choices = {"loss": "auto", "optimizer": "adam", "batch_size": 32}
    return {"target": card["target"], "task": card["task"], "network": {"layers": layers}, "output": output, **choices}


def add_model(context: Context, target: str, units: int = 8, owner: str = LOCAL, table: pl.DataFrame = TABLE) -> str:
    """Put a network that was never trained where the worker puts its own, and return the model's id."""
    task = "regression" if target == "mass" else "classification"
    encoding = fit_encoding(table, columns_of(table), target, task, np.arange(table.height))
    classes = getattr(encoding.target, "classes", None)
    output = (
        core.Dense(3, "softmax")
        if classes and len(classes) > 2
        else core.Dense(1, "sigmoid" if classes else "identity")
    )
    network = core.Network(encoding.n_inputs, [core.Dense(units, "tanh"), output], seed=1)
    row = tables.Model(
        id=new_id("model"),
        owner=owner,
        job_id=new_id("job"),
        dataset_id=new_id("ds"),
        folder=f"models/{new_id('job')}-1",
        card={
            "task": task,
            "target": target,
            "classes": classes,
            "features": [{"name": f.name, "kind": f.kind} for f in encoding.features],
            "network": {
                "n_inputs": network.n_inputs,
                "layers": [
                    {"units": units, "activation": "tanh"},
                    {"units": output.units, "activation": output.activation},
                ],
            },
            "metrics": {"accuracy": 0.5},
            "n_parameters": network.n_parameters,
        },
    )
    with context.storage.draft() as draft:
        draft.mkdir()
        core.save(network, draft / WEIGHTS)
        (draft / CARD).write_text(json.dumps(row.card | HISTORY | {"spec": _spec(row.card)}), encoding="utf-8")
        (draft / ENCODING).write_text(encoding.model_dump_json(), encoding="utf-8")
        context.storage.publish(draft, row.folder)
    with context.database.write() as session:
        session.add(row)
    return row.id


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, new_database: NewDatabase) -> Iterator[tuple[httpx.Client, Context]]:
    folder = tmp_path_factory.mktemp("models")
    with new_database() as database, live(folder, max_predict_rows=50, max_evaluate_rows=100, **database) as running:
        yield running


@pytest.fixture(scope="module")
def http(app: tuple[httpx.Client, Context]) -> httpx.Client:
    return app[0]


@pytest.fixture(scope="module")
def species_model(app: tuple[httpx.Client, Context]) -> str:
    return add_model(app[1], "species")
