"""Many steps in one launch against the same steps in NumPy's calls: the same numbers, up to rounding.

The CUDA text is run on the CPU; with `-m gpu` on a real device.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cupy", exc_type=ImportError)

from core import (
    ACTIVATIONS,
    LOSSES,
    Adam,
    BatchNorm,
    Dense,
    Dropout,
    Network,
    NonFiniteError,
    Sgd,
    Training,
    get_backend,
    persistent_steps,
    train,
)
from core.activations import Elementwise
from core.backend import Backend, BackendError, NumpyBackend
from core.cupy_backend import CupyBackend
from core.losses import Loss, SoftmaxCrossEntropy
from core.optimizers import ELEMENTWISE
from tests.core.gpu.cuda_on_host import compute_on_host
from tests.core.gpu.cupy_stand_in import CupyStandIn
from tests.core.gpu.kernel_formulas import MANY_STEPS
from tests.core.losses.targets import targets_for

RNG = np.random.default_rng(0)
X = RNG.standard_normal((23, 3))
BATCH, STEPS, EPOCHS = 8, 3, 4
"""Samples of a batch, the last of 7; steps of an epoch; epochs."""
DENSE = [Dense(6, "tanh"), Dense(5, "tanh"), Dense(2)]
SHARED = 96 * 1024
"""Bytes that a block shares on the oldest GPUs that we support (compute capability 7.0)."""

Open = Callable[[str], Backend]


def _text(dtype: str) -> Backend:
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ to compile the CUDA text for the CPU")
    return CupyBackend(CupyStandIn(compute_on_host, shared_memory=SHARED), 0, dtype)


def _cupy(dtype: str) -> Backend:
    try:
        return get_backend("cupy", dtype)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(params=[_text, pytest.param(_cupy, marks=pytest.mark.gpu)], ids=["cuda_text", "cupy"])
def gpu(request: pytest.FixtureRequest) -> Open:
    """From a dtype to the backend."""
    return request.param


def training(
    backend: Backend,
    layers: Sequence[Any] = DENSE,
    loss: str | Loss = "squared_error",
    optimizer: Any = "adam",
    seed: int | list[int] = 0,
    **options: Any,
) -> Training:
    net = Network(3, layers, backend=backend, seed=seed)
    rule = LOSSES[loss] if isinstance(loss, str) else loss
    y = targets_for(rule, np.random.default_rng(1), (len(X), net.n_outputs))
    return train(net, X, y, loss=rule, optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, **options)


def together(backend: Backend, **options: Any) -> Training:
    """Return a training whose steps are taken many in a launch."""
    found = training(backend, **options)
    assert isinstance(found._compiled, persistent_steps.PersistentSteps)
    return found


def weights(now: Training) -> np.ndarray:
    return now.network.backend.to_host(now.network.parameters)


def assert_same(gpu: Open, dtype: str = "float64", **options: Any) -> None:
    """Assert that both ways end with the same weights and losses."""
    one, other = together(gpu(dtype), **options), training(NumpyBackend(dtype, compiled=False), **options)
    curves = [np.array([record.loss for record in each]) for each in (one, other)]
    # As for compiled steps: twelve steps of some 200 roundings each; Adam and its kin divide by √v, which makes
    # rounding of small gradients one of a whole step's share: a hundred times that is allowed.
    bound = 12 * 200 * 100 * float(np.finfo(dtype).eps)
    got, wanted = weights(one), other.network.parameters
    np.testing.assert_allclose(got, wanted, rtol=0, atol=bound * max(1.0, np.abs(wanted).max()))
    np.testing.assert_allclose(curves[0], curves[1], rtol=0, atol=bound * max(1.0, np.abs(curves[1]).max()))


ELEMENTWISE_ACTIVATIONS = [name for name, f in ACTIVATIONS.items() if isinstance(f, Elementwise) and name != "exp"]


@pytest.mark.parametrize("activations", [ELEMENTWISE_ACTIVATIONS[k::3] for k in range(3)], ids="-".join)
def test_every_activation(gpu: Open, activations: list[str]) -> None:
    layers = [*(Dense(6, activation) for activation in activations), Dense(2)]
    assert_same(gpu, layers=layers, optimizer=Sgd(0.01))


def test_exp(gpu: Open) -> None:
    """By itself, as one over another soon passes what a float holds."""
    assert_same(gpu, layers=[Dense(6, "exp"), Dense(2)], optimizer=Sgd(0.001))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_single_precision(gpu: Open, activation: str) -> None:
    assert_same(gpu, layers=[Dense(6, activation), Dense(2)], optimizer=Sgd(0.01), dtype="float32")


@pytest.mark.parametrize("loss", MANY_STEPS)
def test_every_loss(gpu: Open, loss: str) -> None:
    last = LOSSES[loss].output_activation or "identity"
    assert_same(gpu, layers=[Dense(6, "tanh"), Dense(2, last)], loss=loss)


def test_a_loss_behind_an_activation(gpu: Open) -> None:
    assert_same(gpu, layers=[Dense(6, "tanh"), Dense(2, "sigmoid")])


def test_choices_of_a_loss_are_in_the_text(gpu: Open) -> None:
    layers = [Dense(6, "tanh"), Dense(3, "softmax")]
    assert_same(gpu, layers=layers, loss=SoftmaxCrossEntropy(smoothing=0.1))


@pytest.mark.parametrize("optimizer", ELEMENTWISE)
def test_every_optimizer(gpu: Open, optimizer: str) -> None:
    assert_same(gpu, optimizer=replace(ELEMENTWISE[optimizer](), weight_decay=0.1))


@pytest.mark.parametrize(
    "layers",
    [
        [Dense(2)],
        [Dense(2, "tanh")],
        [Dense(7, "tanh", bias=False), Dense(2, bias=False)],
        [Dense(7, "tanh"), Dense(4), Dense(5, "tanh"), Dense(3, "tanh"), Dense(2, "tanh")],
        [Dense(40, "tanh"), Dense(70), Dense(2)],
    ],
    ids=["one", "one with an activation", "no bias", "five", "wide"],
)
def test_depths_widths_biases_and_layers_without_activation(gpu: Open, layers: list[Dense]) -> None:
    assert_same(gpu, layers=layers)


@pytest.mark.parametrize("options", [{"shuffle": False}, {"schedule": "one_cycle"}, {"seed": 5}], ids=str)
def test_orders_and_schedules(gpu: Open, options: dict[str, Any]) -> None:
    assert_same(gpu, **options)


def test_dropout_has_the_same_masks(gpu: Open) -> None:
    layers = [Dense(6, "tanh"), Dropout(0.5), Dense(5), Dropout(0.2), Dense(2)]
    assert_same(gpu, layers=layers)
    assert_same(gpu, layers=layers, seed=[3, 1, 4])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fleets_networks_have_the_bits_that_they_have_alone(gpu: Open, dtype: str) -> None:
    optimizers, seeds = [Adam(0.1), Adam(0.01, weight_decay=0.5), Adam(0.001)], [3, 1, 4]
    layers = [Dense(6, "tanh"), Dropout(0.5), Dense(2)]
    fleet = together(gpu(dtype), layers=layers, seed=seeds, optimizer=optimizers)
    curve = [np.asarray(record.loss) for record in fleet]
    for k, (seed, optimizer) in enumerate(zip(seeds, optimizers, strict=True)):
        alone = together(gpu(dtype), layers=layers, seed=seed, optimizer=optimizer)
        np.testing.assert_array_equal([losses[k] for losses in curve], [record.loss for record in alone])
        np.testing.assert_array_equal(weights(fleet)[k], weights(alone))


def test_a_gradient_has_the_same_bits_in_a_fleet_and_in_any_block(gpu: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for seed, most_threads in ((1, 512), ([0, 1, 2], 512), (1, 32), (1, 96)):
        monkeypatch.setattr(persistent_steps, "MOST_THREADS", most_threads)
        now = together(gpu("float32"), seed=seed)
        now.advance(steps=2)
        gradient = now.network.backend.to_host(now._steps.gradients)
        found.append(gradient[1] if gradient.ndim == 2 else gradient)
    assert np.abs(found[0]).min() > 0
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("stops", [[1], [2, 1], [1, 1, 1, 1], [3, 2]], ids=str)
def test_stretches_of_any_length_give_the_same_bits_and_so_does_going_on(gpu: Open, stops: list[int]) -> None:
    whole = together(gpu("float32"))
    expected = [record.loss for record in whole]
    now, losses = together(gpu("float32")), []
    for steps in stops:
        record = now.advance(steps=steps)
        losses += [record.loss] if record else []
        now = together(gpu("float32"), resume=now.checkpoint())
    losses += [record.loss for record in now]
    assert losses == expected
    np.testing.assert_array_equal(weights(now), weights(whole))


@pytest.mark.parametrize("seed", [0, [0, 1]], ids=["alone", "a fleet"])
def test_a_number_that_is_not_finite_is_traced(gpu: Open, seed: int | list[int]) -> None:
    now = together(gpu("float64"), layers=[Dense(6, "relu"), Dense(2)], optimizer=Sgd(1e200), seed=seed)
    with pytest.raises(NonFiniteError) as raised:
        list(now)
    assert (raised.value.epoch, raised.value.step) == (1, 2)
    assert raised.value.layer is not None
    assert np.isfinite(weights(now)).all()


WITHOUT: dict[str, dict[str, Any]] = {
    "batch norm": {"layers": [Dense(6, "tanh"), BatchNorm(), Dense(2)]},
    "dropout first": {"layers": [Dropout(0.5), Dense(6, "tanh"), Dense(2)]},
    "too wide": {"layers": [Dense(200, "tanh"), Dense(200, "tanh"), Dense(2)]},
    "l2": {"l2": 0.1},
    "average": {"average": 0.9},
    "weights": {"sample_weight": np.arange(1, 24)},
    **{loss: {"loss": loss, "layers": [Dense(2, "exp")]} for loss in ("gamma", "poisson", "tweedie")},
    "binary_focal": {"loss": "binary_focal", "layers": [Dense(2, "sigmoid")]},
    "softmax_focal": {"loss": "softmax_focal", "layers": [Dense(2, "softmax")]},
}


@pytest.mark.parametrize("options", WITHOUT.values(), ids=WITHOUT)
def test_what_there_are_no_such_steps_for_goes_kernel_by_kernel(options: dict[str, Any]) -> None:
    found = training(CupyBackend(CupyStandIn(shared_memory=SHARED), 0, "float64"), **options)
    assert found._compiled is None
    list(found)


def test_a_user_s_own_optimizer_goes_by_its_own_formulas() -> None:
    class Own(Sgd):
        name = "own"

    backend = CupyBackend(CupyStandIn(shared_memory=SHARED), 0, "float64")
    assert training(backend, optimizer=Own(0.1))._compiled is None


def test_what_fits_depends_on_the_device() -> None:
    """784-256-128-10 fits nowhere; 64-64-10 with Adam and 64 samples not where a block shares less than 110 kB."""
    x, y = np.zeros((128, 64)), np.zeros(128, np.int64)
    for shared, fits in ((96 * 1024, False), (163 * 1024, True), (227 * 1024, True)):
        backend = CupyBackend(CupyStandIn(shared_memory=shared), 0, "float32")
        net = Network(64, [Dense(64, "relu"), Dense(10, "softmax")], backend=backend)
        found = train(net, x, y, loss="softmax_cross_entropy", batch_size=64)
        assert (found._compiled is not None) is fits
