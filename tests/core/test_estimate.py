"""What is estimated is what is measured: NumPy tells tracemalloc of every array."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import core
from core import Dense
from core.counting import CountingBackend
from core.regularization import Regularization
from core.workspace import CHUNK

WIDE = (300, [Dense(512, "relu"), Dense(256, "relu"), Dense(10, "softmax")])
NARROW = (300, [Dense(16, "relu"), Dense(10, "softmax")])
"""Where the samples are most of the memory, and little is computed with each."""
SMALL = (64, [Dense(64, "relu"), Dense(10, "softmax")])
OF_EACH_KIND = (
    100,
    [
        *(Dense(400, "gelu"), core.Dropout(0.3), core.LayerNorm(), core.Maxout(2), core.PRelu(), core.BatchNorm()),
        *(core.Residual([Dense(200, "relu")]), Dense(10)),
    ],
)


@dataclass
class Case:
    shape: tuple[int, Sequence[core.Layer[Any]]]
    n_samples: int
    batch_size: int | None = 128
    loss: str = "softmax_cross_entropy"
    optimizer: str = "adam"
    dtype: str = "float32"
    data_dtype: str = "float32"
    n_validation: int = 0
    networks: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def estimate(self) -> core.Estimate:
        n_inputs, layers = self.shape
        known = {name: value for name, value in vars(self).items() if name not in ("shape", "options")}
        regularization = {name: self.options[name] for name in ("l2", "clip_norm") if name in self.options}
        others = {name: value for name, value in self.options.items() if name not in regularization}
        bounds = Regularization(**regularization)
        return core.estimate(n_inputs, layers, epochs=2, regularization=bounds, **known, **others)

    def train(self, x: np.ndarray, y: np.ndarray, validation: tuple[np.ndarray, np.ndarray] | None) -> core.Training:
        n_inputs, layers = self.shape
        seed = 0 if self.networks is None else range(self.networks)
        net = core.Network(n_inputs, layers, backend=core.get_backend("numpy", self.dtype), seed=seed)
        options = self.options | {"loss": self.loss, "optimizer": self.optimizer, "batch_size": self.batch_size}
        return core.train(net, x, y, validation=validation, epochs=2, **options)

    def data(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        rng, n_outputs = np.random.default_rng(0), self.shape[1][-1].n_outputs(1)
        x = rng.integers(-9, 9, (n, self.shape[0])).astype(self.data_dtype)
        labels = core.LOSSES[self.loss].takes_labels
        return x, rng.integers(0, n_outputs, n) if labels else rng.standard_normal((n, n_outputs))

    def measured(self) -> int:
        data, validation = self.data(self.n_samples), self.data(self.n_validation) if self.n_validation else None
        list(self.train(data[0][:256], data[1][:256], validation))  # what is compiled, and what kernels keep
        tracemalloc.start()
        try:
            list(self.train(*data, validation))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


CASES = {
    "wide": Case(WIDE, 3000),
    "wide, float64, amsgrad": Case(WIDE, 3000, optimizer="amsgrad", dtype="float64", data_dtype="float64"),
    "wide, l-bfgs": Case(WIDE, 2000, None, optimizer="lbfgs"),
    "large batches": Case(WIDE, 6000, 2500),
    "validated": Case(WIDE, 2000, n_validation=CHUNK + 100),
    "data of another dtype, converted whole": Case(NARROW, 10_000, data_dtype="float64"),
    "data of another dtype, converted in batches": Case(NARROW, 30_000, 1000, data_dtype="int8"),
    "many samples": Case(SMALL, 100_000),
    "many targets": Case((64, [Dense(64, "relu"), Dense(50)]), 40_000, loss="squared_error"),
    "a fleet": Case(SMALL, 20_000, 64, networks=16),
    "every kind of layer": Case(OF_EACH_KIND, 2000, 512, "squared_error"),
    "average": Case(WIDE, 3000, options={"average": 0.9}),
    "penalty and bound": Case(WIDE, 3000, options={"l2": 0.1, "clip_norm": 1.0}),
    "the best weights": Case(WIDE, 3000, options={"early_stopping": core.EarlyStopping("loss")}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_peak_is_that_which_is_measured(name: str):
    """Within the 15 % that the project asks for; Python's own objects, some 50 kB, are among them."""
    case = CASES[name]
    assert case.estimate().peak_bytes == pytest.approx(case.measured(), rel=0.15)


@pytest.mark.parametrize("name", ["wide", "a fleet", "every kind of layer", "wide, l-bfgs"])
def test_the_counts_are_those_of_the_training(name: str):
    case = CASES[name]
    training, found = case.train(*case.data(case.n_samples), None), case.estimate()
    assert found.n_parameters == training.network.n_parameters
    assert found.steps == 2 * training.steps_per_epoch


def test_the_operations_are_counted_by_hand():
    """Of 7 samples: products of 5·4 and of 4·3 numbers each, of which the first layer has two and the others three."""
    layers = [Dense(4, "tanh"), core.LayerNorm(), Dense(3)]
    known: dict[str, Any] = {"n_samples": 7, "batch_size": 7, "loss": "squared_error"}
    assert core.estimate(5, layers, **known).flops == 2 * 7 * (2 * 20 + 3 * 12)
    assert core.estimate(5, layers, networks=6, **known).flops == 6 * 2 * 7 * (2 * 20 + 3 * 12)
    assert core.estimate(5, [Dense(1)], **known).flops == 2 * 7 * 2 * 5
    assert core.estimate(4, [core.LayerNorm(), Dense(3)], **known).flops == 2 * 7 * 3 * 12
    assert core.estimate(4, [core.LayerNorm()], **known).flops == 0


def test_an_estimate_of_more_than_any_memory_takes_none():
    layers = [Dense(4000, "relu"), Dense(4000, "relu"), Dense(10, "softmax")]
    tracemalloc.start()
    try:
        found = core.estimate(4000, layers, n_samples=10**12, loss="softmax_cross_entropy", batch_size=4096)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.n_parameters == 2 * 4000 * 4001 + 10 * 4001
    # 16 bytes for each sample, the two orders, are far more than all else; the batches' own indices are really made.
    assert found.peak_bytes == pytest.approx(16 * 10**12, rel=1e-3)
    assert taken < 10**6


def test_what_counts_is_what_is_in_use():
    counting = CountingBackend("float64")
    array = counting.empty((10, 20))
    part = array[3:, :5]
    del array
    assert counting.bytes == 1600
    del part
    assert counting.bytes == 0


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"n_samples": 0}, "n_samples: 0 is not allowed"),
        ({"n_validation": -1}, "n_validation: -1 is not allowed"),
        ({"epochs": 0}, "epochs: 0 is not allowed"),
        ({"networks": 0}, "networks: 0 is not allowed"),
        ({"batch_size": 0}, "batch_size: 0 is not allowed"),
        ({"dtype": "float16"}, "dtype: 'float16' is not allowed"),
        ({"data_dtype": "U3"}, "data_dtype: 'U3' is not allowed"),
        ({"loss": "binary_cross_entropy"}, "goes with a last layer whose activation is sigmoid"),
        ({"optimizer": "adamant"}, "optimizer: there is no 'adamant'"),
    ],
)
def test_what_is_not_allowed_is_refused(changed: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        core.estimate(2, [Dense(1)], **{"n_samples": 10, "loss": "squared_error"} | changed)
