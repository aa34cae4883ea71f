"""Who may do what: every route of the application, whichever there are, asked by everyone.

A new route is asked too, without a line here, unless it takes a body or a path parameter that none has taken yet. One
that forgets to ask for a scope, or finds another owner's row, fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.routing import iter_route_contexts

import core
from service import auth, keys, tables
from service.app import create_app
from service.caller import Caller, Scope
from service.context import Context
from service.datasets.encoding import fit_encoding
from service.datasets.files import table_key
from service.datasets.readers import read_table
from service.datasets.schemas import Column
from service.ids import new_id
from service.jobs import held, queue
from service.models.predictor import ENCODING, WEIGHTS
from service.settings import Settings
from tests.service.live import live
from tests.service.models.conftest import add_model
from tests.service.news import of_epoch

TABLE = b"length,island,tagged,seen,mass,species\n" + b"39.1,Dream,true,,3750,Adelie\n46.5,,false,,5200,Gentoo\n" * 10
NEEDS_METRICS = {"GET /metrics"}
ONLY_LOOKS = {
    "POST /v1/models/{model_id}/predict",
    "POST /v1/models/{model_id}/evaluate",
    "POST /v2/models/{model_id}/infer",
    "POST /v1/jobs/validate",
}
"""Routes with a body that change nothing."""


def routes() -> list[str]:
    app = create_app(Settings())
    return sorted(
        f"{method} {route.path}" for route in iter_route_contexts(app.routes) for method in (route.methods or ())
    )


ROUTES = routes()
GUARDED = [route for route in ROUTES if route.split()[1] not in auth.OPEN]


def needed(route: str) -> Scope:
    if route in NEEDS_METRICS:
        return Scope.METRICS
    return Scope.READ if route in ONLY_LOOKS or route.startswith("GET ") else Scope.WRITE


@dataclass(frozen=True)
class World:
    """A service with keys, in which Ann has one of everything."""

    http: httpx.Client
    context: Context
    secrets: dict[str, str]

    def ask(self, route: str, ids: dict[str, str], who: str | None) -> httpx.Response:
        method, path = route.split()
        unknown = set(re.findall(r"{(\w+)}", path)) - set(ids)
        assert not unknown, f"say in `anns` what fills {unknown} of {route}"
        headers = {"X-Request-ID": "the-same"}  # which answers name, and must not differ in
        if who:
            headers["Authorization"] = f"Bearer {self.secrets[who]}"
        return self.http.request(method, path.format(**ids), headers=headers, **self.body(route, ids))

    def body(self, route: str, ids: dict[str, str]) -> dict[str, Any]:
        job = {"dataset_id": ids["dataset_id"], "target": "species", "epochs": 1}
        bodies: dict[str, dict[str, Any]] = {
            "POST /sign-in": {"data": {"key": self.secrets["ann"]}},
            "POST /v1/datasets": {"content": TABLE},
            "POST /v1/jobs": {"json": job},
            "POST /v1/jobs/validate": {"json": job},
            "POST /v1/predictions": {"json": {"dataset_id": ids["dataset_id"], "model_id": ids["model_id"]}},
            "POST /v1/models/{model_id}/predict": {"json": {"rows": [{"length": 39.1}]}},
            "POST /v1/models/{model_id}/evaluate": {"json": {"dataset_id": ids["dataset_id"]}},
            "POST /v2/models/{model_id}/infer": {
                "json": {"inputs": [{"name": "length", "datatype": "FP64", "shape": [1], "data": [39.1]}]}
            },
        }
        return bodies.get(route, {})

    def anns(self) -> dict[str, str]:
        """New rows of Ann's, by the path parameters that name them; the job has an epoch, and is over."""
        ann = self.context.of(Caller("ann", frozenset()))
        headers = {"Authorization": f"Bearer {self.secrets['ann']}"}
        dataset = self.http.post(
            "/v1/datasets", content=TABLE + f"39.1,{new_id('ds')},true,,3750,Adelie\n".encode(), headers=headers
        ).json()
        job = {"dataset_id": dataset["id"], "target": "species", "epochs": 1}
        job_id = self.http.post("/v1/jobs", json=job, headers=headers).json()["id"]
        while True:  # what earlier tests have posted comes first
            lease = queue.claim(ann.database, lease_seconds=30)
            assert lease is not None
            if lease.job_id == job_id:
                break
            held.cancel(ann.database, lease)
        epoch = {"epoch": 1, "epochs": 1, "step": 1, "seconds": 0.1, "loss": 1.0, "validation_loss": 1.0}
        held.append(ann.database, lease, [of_epoch(epoch, 0.0)], lease_seconds=30)
        held.cancel(ann.database, lease)
        folder = f"checkpoints/{job_id}-1-1"
        checkpoint = tables.Checkpoint(
            id=new_id("ckpt"), owner="ann", job_id=job_id, folder=folder, epoch=1, step=1, data={}
        )
        table = read_table(ann.storage.path(table_key(dataset["id"])))
        columns = [Column.model_validate(column) for column in dataset["columns"] if column["feature"]]
        encoding = fit_encoding(table, columns, "species", "classification", np.arange(table.height))
        with ann.storage.draft() as draft:
            draft.mkdir()
            core.save(core.Network(encoding.n_inputs, [core.Dense(1, "sigmoid")]), draft / WEIGHTS)
            (draft / ENCODING).write_text(encoding.model_dump_json(), encoding="utf-8")
            ann.storage.publish(draft, folder)
        with ann.database.write() as session:
            session.add(checkpoint)
        model_id = add_model(self.context, "species", owner="ann")
        asked = {"dataset_id": dataset["id"], "model_id": model_id}
        prediction_id = self.http.post("/v1/predictions", json=asked, headers=headers).json()["id"]
        lease = queue.claim(ann.database, lease_seconds=30)
        assert lease is not None
        assert lease.job_id == prediction_id
        ann.storage.path(lease.folder).mkdir(parents=True)
        (ann.storage.path(lease.folder) / "predictions.csv").write_text("species\nAdelie\n")
        held.succeed_without_model(ann.database, lease, result={"bytes": 15, "seconds": 0.1})
        return {
            "dataset_id": dataset["id"],
            "job_id": job_id,
            "model_id": model_id,
            "checkpoint_id": checkpoint.id,
            "prediction_id": prediction_id,
        }


NOBODYS = {
    "dataset_id": "ds_" + "0" * 32,
    "job_id": "job_" + "0" * 32,
    "model_id": "model_" + "0" * 32,
    "checkpoint_id": "ckpt_" + "0" * 32,
    "prediction_id": "job_" + "1" * 32,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with live(tmp_path_factory.mktemp("keys"), require_keys=True, poll_seconds=0.02) as (http, context):
        holders: dict[str, tuple[str, list[Scope]]] = {
            "ann": ("ann", [Scope.WRITE, Scope.METRICS]),
            "bob": ("bob", [Scope.WRITE, Scope.METRICS]),
            "operator": ("operator", [Scope.ADMIN]),
            "ann's reader": ("ann", [Scope.READ]),
            "ann's monitor": ("ann", [Scope.METRICS]),
        }
        secrets = {
            who: keys.create(context.database, owner=owner, scopes=scopes)[1]
            for who, (owner, scopes) in holders.items()
        }
        yield World(http, context, secrets)


@pytest.fixture(scope="module")
def anns(world: World) -> dict[str, str]:
    """Rows of Ann's that stay, because none of those who are refused can change them."""
    return world.anns()


def test_the_routes_were_found():
    assert len(GUARDED) >= 20
    assert {"GET /healthz", "GET /readyz", "GET /openapi.json"} <= set(ROUTES) - set(GUARDED)


@pytest.mark.parametrize("route", sorted(set(ROUTES) - set(GUARDED)))
def test_some_paths_are_open(world: World, route: str):
    assert world.ask(route, {**NOBODYS}, None).status_code == (303 if route.startswith("POST /sign-") else 200)
    world.http.cookies.clear()


def said(answer: httpx.Response) -> str:
    """The code of an error, or what the inference protocol has in its place: the beginning of a sentence."""
    document = answer.json()
    return document["code"] if "code" in document else re.split("[:;]", document["error"])[0]


@pytest.mark.parametrize("route", GUARDED)
def test_nobody_gets_in_without_a_key(world: World, anns: dict[str, str], route: str):
    answer = world.ask(route, anns, None)
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == "Bearer"
    assert said(answer) in ("key_required", "An API key is needed")


@pytest.mark.parametrize("route", GUARDED)
def test_a_key_does_what_its_scopes_say_and_no_more(world: World, anns: dict[str, str], route: str):
    wrong = {
        Scope.READ: ["ann's monitor"],
        Scope.WRITE: ["ann's monitor", "ann's reader"],
        Scope.METRICS: ["ann's reader"],
    }
    for who in wrong[needed(route)]:
        answer = world.ask(route, anns, who)
        assert answer.status_code == 403, f"{who}: {answer.text}"
        assert said(answer) in ("scope_missing", "This needs an API key with the scope read")
        assert f'scope="{needed(route)}"' in answer.headers["www-authenticate"]
    if needed(route) == Scope.READ:
        assert world.ask(route, anns, "ann's reader").is_success


@pytest.mark.parametrize("route", GUARDED)
def test_what_is_anothers_is_not_there(world: World, anns: dict[str, str], route: str):
    answer = world.ask(route, anns, "bob")
    if "{" in route or route in {"POST /v1/jobs", "POST /v1/jobs/validate", "POST /v1/predictions"}:
        nothing = world.ask(route, NOBODYS, "bob")
        assert answer.status_code == nothing.status_code
        assert answer.status_code == 404 or "{" not in route, answer.text
        assert set(answer.headers) == set(nothing.headers)
        assert told_of(answer.text, anns) == told_of(nothing.text, NOBODYS)
    elif route == "POST /v1/datasets":
        assert answer.json()["owner"] == "bob"
    else:
        assert not [value for value in anns.values() if value in answer.text]


def told_of(text: str, ids: dict[str, str]) -> str:
    for name, identifier in ids.items():
        text = text.replace(identifier, name)
    return text


@pytest.mark.parametrize("who", ["ann", "operator"])
@pytest.mark.parametrize("route", GUARDED)
def test_the_owner_and_the_operator_get_it(world: World, route: str, who: str):
    ids = world.anns()
    answer = world.ask(route, ids, who)
    # 409: what is so asked can't be done with a job that is over.
    assert answer.is_success or answer.status_code == 409, answer.text
    if route.startswith("GET ") and route.endswith("s") and "{" not in route and needed(route) == Scope.READ:
        assert [value for value in ids.values() if value in answer.text], "a list without Ann's rows"
