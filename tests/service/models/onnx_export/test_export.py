"""onnxruntime, given the raw columns, predicts what we predict: every kind of column, every kind of target."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest

import core
from service.datasets.choices import EncodingChoices
from service.datasets.encoding import Encoding, fit_encoding
from service.datasets.features import CategoricalFeature, seconds_of
from service.datasets.schemas import Column
from service.datasets.summary import labels, summarize
from service.models.onnx_export.export import to_onnx
from service.models.predictor import Predictor

TOLERANCE = 1e-5
ROWS = 60


def table() -> pl.DataFrame:
    random = np.random.default_rng(0)
    start, minutes = datetime(2020, 1, 1), random.integers(0, 2_000_000, ROWS).tolist()
    found = pl.DataFrame(
        {
            "mass": random.normal(4e9, 8e8, ROWS),
            "year": random.integers(2007, 2010, ROWS),
            "island": [f"i{v}" for v in random.integers(0, 6, ROWS)],
            "adult": random.integers(0, 2, ROWS).astype(bool),
            "seen": [start + timedelta(minutes=each) for each in minutes],
            "species": [f"s{v}" for v in random.integers(0, 3, ROWS)],
            "sex": [f"x{v}" for v in random.integers(0, 2, ROWS)],
            "length": random.normal(200, 30, ROWS),
        }
    )
    row = pl.int_range(pl.len())
    every = {"mass": 7, "island": 11, "seen": 13}
    return found.with_columns(pl.when(row % n > 0).then(pl.col(name)).alias(name) for name, n in every.items())


def columns(data: pl.DataFrame) -> list[Column]:
    found = summarize(data.with_columns(seen=pl.int_range(pl.len())))
    return [column.model_copy(update={"kind": "date"}) if column.name == "seen" else column for column in found]


def predictor(target: str, task: Any, outputs: core.Dense, *, margin: bool = False, most: int = 100) -> Predictor:
    data = table()
    rows, choices = np.arange(ROWS - 10), EncodingChoices(max_categories=most)
    encoding = fit_encoding(data, columns(data), target, task, rows, choices, margin=margin)
    network = core.Network(encoding.n_inputs, [core.Dense(9, "tanh"), outputs], seed=1)
    return Predictor(network, encoding)


def raw(encoding: Encoding, data: pl.DataFrame) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for feature in encoding.features:
        column = data[feature.name]
        if isinstance(feature, CategoricalFeature):
            values: Any = np.array([text or "" for text in labels(column).to_list()], object)
        elif feature.kind == "date":
            values = seconds_of(column)
        else:
            values = column.cast(pl.Float64).to_numpy()
        found[feature.name] = values[:, np.newaxis]
    return found


def run(model: bytes, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, inputs)), strict=True))


def unseen(data: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([data, data[:2].with_columns(island=pl.lit("never"), mass=pl.lit(1e30), year=pl.lit(0, pl.Int64))])


@pytest.mark.parametrize("most", [100, 3])
@pytest.mark.parametrize(
    ("target", "outputs"),
    [("species", core.Dense(3, "softmax")), ("sex", core.Dense(1, "sigmoid")), ("sex", core.Dense(2, "softmax"))],
)
def test_labels_and_probabilities(target: str, outputs: core.Dense, most: int):
    ours = predictor(target, "classification", outputs, most=most)
    data = unseen(table())
    found = run(to_onnx(ours, {}), raw(ours.encoding, data))
    expected = ours.predict(data)
    assert found["label"].tolist() == [each["label"] for each in expected]
    np.testing.assert_allclose(
        found["probabilities"], [list(each["probabilities"].values()) for each in expected], atol=TOLERANCE
    )


def test_margins():
    ours = predictor("sex", "classification", core.Dense(1), margin=True)
    data = unseen(table())
    found = run(to_onnx(ours, {}), raw(ours.encoding, data))
    assert found["label"].tolist() == [each["label"] for each in ours.predict(data)]
    assert set(found) == {"label", "margin"}


def test_numbers_in_their_own_unit():
    ours = predictor("length", "regression", core.Dense(1))
    data = unseen(table())
    found = run(to_onnx(ours, {}), raw(ours.encoding, data))
    expected = [each["value"] for each in ours.predict(data)]
    np.testing.assert_allclose(found["value"], expected, rtol=TOLERANCE)
    assert not any(math.isnan(value) for value in found["value"])


def test_the_file_says_what_it_is():
    model = onnx.load_from_string(to_onnx(predictor("species", "classification", core.Dense(3, "softmax")), {"a": "b"}))
    assert {prop.key: prop.value for prop in model.metadata_props} == {"target": "species", "a": "b"}
    assert [entry.name for entry in model.graph.input] == ["mass", "year", "island", "adult", "seen", "sex", "length"]


@pytest.mark.parametrize("name", ["label", "constant_0", "gemm_9", "value"])
def test_columns_may_have_the_names_of_anything_else(name: str):
    data = table().rename({"mass": name})
    classify = name != "value"
    target, task = ("species", "classification") if classify else ("length", "regression")
    encoding = fit_encoding(data, columns(data), target, task, np.arange(ROWS))
    outputs = core.Dense(3, "softmax") if classify else core.Dense(1)
    ours = Predictor(core.Network(encoding.n_inputs, [core.Dense(9, "tanh"), outputs], seed=1), encoding)
    found = run(to_onnx(ours, {}), raw(encoding, data))
    output = "label" if classify else "value"
    if name == output:
        output += "_"
    expected = [each["label" if classify else "value"] for each in ours.predict(data)]
    if classify:
        assert found[output].tolist() == expected
    else:
        np.testing.assert_allclose(found[output], expected, rtol=TOLERANCE)
