"""The same networks, trained on every backend, end where NumPy's end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

import numpy as np
import pytest

import core
from core.backend import Backend, NumpyBackend

N_INPUTS, N_SAMPLES, EPOCHS, BATCH_SIZE = 3, 13, 2, 5
LAST = {
    "squared_error": (2, "identity"),
    "softmax_cross_entropy": (4, "softmax"),
    "binary_cross_entropy": (2, "sigmoid"),
}
OPTIMIZERS: list[core.Optimizer] = [core.Sgd(0.1, momentum=0.9), core.Adam(0.01)]
OTHER_OPTIMIZERS: list[core.Optimizer] = [
    core.Sgd(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    core.RmsProp(0.01, momentum=0.9, centered=True),
    *(make() for name, make in core.OPTIMIZERS.items() if name not in ("sgd", "adam", "rmsprop")),
]
"""Each with one activation and one loss; all pairs of those come with the others."""
SEEDS: list[int | Sequence[int]] = [7, (7, 8, 9)]


def data(loss: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    x, n_outputs = rng.standard_normal((N_SAMPLES, N_INPUTS)), LAST[loss][0]
    if core.LOSSES[loss].takes_labels:
        return x, rng.integers(n_outputs, size=N_SAMPLES)
    return x, rng.random((N_SAMPLES, n_outputs))


def network(backend: Backend, loss: str, activation: str, seed: int | Sequence[int]) -> core.Network:
    units, last = LAST[loss]
    return core.Network(N_INPUTS, [core.Dense(6, activation), core.Dense(units, last)], backend=backend, seed=seed)


def trained(
    backend: Backend, loss: str, activation: str, optimizer: core.Optimizer, seed: int | Sequence[int]
) -> dict[str, np.ndarray]:
    """Return the parameters, outputs and losses after a short training with a validation set and an odd last batch."""
    net, (x, y) = network(backend, loss, activation, seed), data(loss)
    batch_size = None if optimizer.full_batch else BATCH_SIZE
    curve = core.fit(
        net, x, y, loss=loss, optimizer=optimizer, epochs=EPOCHS, batch_size=batch_size, validation=(x[:4], y[:4])
    )
    return {
        "parameters": backend.to_host(net.parameters),
        "outputs": net.predict(x),
        "losses": np.array([record.loss for record in curve]),
        "validation losses": np.array([record.validation_loss for record in curve]),
    }


@cache
def expected(
    dtype: str, loss: str, activation: str, optimizer: core.Optimizer, seed: int | Sequence[int]
) -> dict[str, np.ndarray]:
    return trained(NumpyBackend(dtype, compiled=False), loss, activation, optimizer, seed)


def tolerance(dtype: np.dtype, wanted: np.ndarray) -> float:
    """Return how far from `wanted` another backend may end.

    Six steps, of two layers and two passes each, with sums of at most 16 terms of the size of the result, or 1 where
    that is smaller: 6 · 2 · 2 · 16 roundings.
    """
    return 6 * 2 * 2 * 16 * float(np.finfo(dtype).eps) * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
@pytest.mark.parametrize("loss", LAST)
def test_training(backend: Backend, loss: str, optimizer: core.Optimizer) -> None:
    # Each activation with one of the two optimizers for this loss, and with the other for the next.
    first = (OPTIMIZERS.index(optimizer) + list(LAST).index(loss)) % len(OPTIMIZERS)
    for activation, seed in product(list(core.ACTIVATIONS)[first :: len(OPTIMIZERS)], SEEDS):
        wanted = expected(str(backend.dtype), loss, activation, optimizer, seed)
        for name, got in trained(backend, loss, activation, optimizer, seed).items():
            bound = tolerance(backend.dtype, wanted[name])
            np.testing.assert_allclose(got, wanted[name], rtol=0, atol=bound, err_msg=f"{name}: {activation}, {seed}")


@pytest.mark.parametrize("optimizer", OTHER_OPTIMIZERS, ids=lambda optimizer: optimizer.name)
def test_training_with_other_optimizers(backend: Backend, optimizer: core.Optimizer) -> None:
    for seed in SEEDS[:1] if optimizer.full_batch else SEEDS:
        wanted = expected(str(backend.dtype), "squared_error", "tanh", optimizer, seed)
        for name, got in trained(backend, "squared_error", "tanh", optimizer, seed).items():
            bound = tolerance(backend.dtype, wanted[name])
            np.testing.assert_allclose(got, wanted[name], rtol=0, atol=bound, err_msg=name)


@pytest.mark.parametrize("seed", SEEDS, ids=["single", "fleet"])
def test_the_way_back_and_the_way_forward(backend: Backend, seed: int | Sequence[int]) -> None:
    rng = np.random.default_rng(6)
    for activation in core.ACTIVATIONS:
        nets = [
            network(each, "squared_error", activation, seed) for each in (backend, NumpyBackend(str(backend.dtype)))
        ]
        x, leading = rng.standard_normal((5, N_INPUTS)), nets[0].leading
        a_bar = rng.standard_normal((*leading, 5, nets[0].n_outputs))
        theta_dot = rng.standard_normal((*leading, nets[0].n_parameters))
        got, wanted = ([*net.vjp(x, a_bar), net.jvp(x, np.ones_like(x), theta_dot)] for net in nets)
        for array, value in zip(got, wanted, strict=True):
            bound = tolerance(backend.dtype, value)
            np.testing.assert_allclose(backend.to_host(array), value, rtol=0, atol=bound, err_msg=activation)


def test_parameters_go_to_the_host_and_back(backend: Backend) -> None:
    net, other = (network(backend, "squared_error", "tanh", seed) for seed in [(1, 2), (3, 4)])
    other.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(backend.to_host(other.parameters), backend.to_host(net.parameters))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_of_the_host_begin_with_a_line_of_the_cache(dtype: str) -> None:
    backend = core.get_backend("numpy", dtype)
    network = core.Network(5, [core.Dense(3)], backend=backend, seed=[0, 1])
    for array in (backend.empty((3, 7)), backend.zeros((5,)), network.parameters):
        assert array.ctypes.data % 64 == 0
        assert array.dtype == dtype
    assert not backend.zeros((2, 3), "int64").any()


def test_backend_tells_about_itself(backend: Backend) -> None:
    backend.synchronize()
    memory = backend.memory()
    assert memory is None or min(memory.used, memory.free) >= 0
    assert str(backend.dtype) in repr(backend)
