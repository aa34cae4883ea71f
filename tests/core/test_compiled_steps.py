"""Steps in compiled code against the same steps kernel by kernel: the same numbers, up to rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, cycle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import ACTIVATIONS, LOSSES, Adam, Dense, Dropout, Network, NonFiniteError, Sgd, Training, get_backend, train
from core.activations import Elementwise
from core.compiled_steps import CompiledSteps
from core.kernels.compiling import copy_of
from core.losses import Loss, SoftmaxCrossEntropy
from core.optimizers import ELEMENTWISE
from core.threads import threads
from tests.core.losses.targets import targets_for

pytest.importorskip("numba")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((23, 3))
BATCH, STEPS, EPOCHS = 8, 3, 4
"""Samples of a batch, the last of 7; steps of an epoch; epochs."""
DENSE = [Dense(6, "tanh"), Dense(5, "tanh"), Dense(2)]


def training(
    layers: Sequence[Any] = DENSE,
    loss: str | Loss = "squared_error",
    optimizer: Any = "adam",
    dtype: str = "float64",
    seed: int | list[int] = 0,
    compiled: bool = True,
    **options: Any,
) -> Training:
    net = Network(3, layers, backend=get_backend("numpy", dtype, compiled=compiled), seed=seed)
    rule = LOSSES[loss] if isinstance(loss, str) else loss
    y = targets_for(rule, np.random.default_rng(1), (len(X), net.n_outputs))
    found = train(net, X, y, loss=rule, optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, **options)
    assert (found._compiled is not None) is compiled
    return found


def assert_same(**options: Any) -> None:
    """Assert that both ways end with the same weights and losses."""
    one, other = (training(compiled=compiled, **options) for compiled in (True, False))
    curves = [np.array([record.loss for record in each]) for each in (one, other)]
    eps = float(np.finfo(one.network.backend.dtype).eps)
    # Twelve steps of some 200 roundings each; Adam and its kin divide by √v, which makes rounding of small gradients
    # one of a whole step's share: a hundred times that is allowed.
    bound = 12 * 200 * 100 * eps
    got, wanted = one.network.parameters, other.network.parameters
    np.testing.assert_allclose(got, wanted, rtol=0, atol=bound * max(1.0, np.abs(wanted).max()))
    np.testing.assert_allclose(curves[0], curves[1], rtol=0, atol=bound * max(1.0, np.abs(curves[1]).max()))


TRANSLATED = [name for name, f in ACTIVATIONS.items() if isinstance(f, Elementwise) and name != "exp"]
WITH_LOOPS = [*("squared_error", "absolute_error", "huber", "log_cosh", "quantile", "hinge"), "binary_cross_entropy"]


CHOICES = [
    (optimizer, loss, TRANSLATED[k :: len(ELEMENTWISE)])
    for k, (optimizer, loss) in enumerate(zip(ELEMENTWISE, cycle([*WITH_LOOPS, "softmax_cross_entropy"]), strict=False))
]
"""Each optimizer, each loss, and each activation in some network: a combination takes seconds to compile, and its parts
know nothing of each other."""


@pytest.mark.parametrize(("optimizer", "loss", "activations"), CHOICES)
def test_every_optimizer_loss_and_activation(optimizer: str, loss: str, activations: list[str]) -> None:
    last = Dense(2, LOSSES[loss].output_activation or "identity")
    layers = [*(Dense(6, activation) for activation in activations), last]
    assert_same(layers=layers, loss=loss, optimizer=replace(ELEMENTWISE[optimizer](), weight_decay=0.1))


def test_every_choice_is_among_them() -> None:
    optimizers, losses, activations = zip(*CHOICES, strict=True)
    assert set(optimizers) == set(ELEMENTWISE)
    assert set(losses) == {*WITH_LOOPS, "softmax_cross_entropy"}
    assert set(chain(*activations)) == set(TRANSLATED)


def test_single_precision() -> None:
    assert_same(dtype="float32")


SMOOTH = SoftmaxCrossEntropy(smoothing=0.1)


def test_choices_of_a_loss_are_in_the_code() -> None:
    layers = [Dense(6, "tanh"), Dense(5, "relu"), Dense(3, "softmax")]
    assert_same(layers=layers, loss=SMOOTH, optimizer=Sgd(0.1))


@pytest.mark.parametrize(
    "layers",
    [
        [Dense(2)],
        [Dense(2, "gelu")],
        [Dense(7, "gelu", bias=False), Dense(2, bias=False)],
        [Dense(7, "gelu"), Dense(4), Dense(5, "gelu"), Dense(3), Dense(2, "gelu")],
    ],
    ids=len,
)
def test_depths_biases_and_layers_without_activation(layers: list[Dense]) -> None:
    """With a combination that CHOICES have, as most of those that follow, so that it is compiled once."""
    assert_same(layers=layers, optimizer=Sgd(0.05, momentum=0.9))


@pytest.mark.parametrize("options", [{"shuffle": False}, {"schedule": "one_cycle"}, {"seed": 5}], ids=str)
def test_orders_and_schedules(options: dict[str, Any]) -> None:
    assert_same(**options)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "column by column": np.asfortranarray,
    "every other column": lambda table: np.repeat(table, 2, axis=1)[:, ::2],
    "every other row": lambda table: np.repeat(table, 2, axis=0)[::2],
    "backwards": lambda table: table[::-1].copy()[::-1],
    "not to be written to": lambda table: np.frombuffer(table.tobytes(), table.dtype).reshape(table.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("inputs", [2, 3])
def test_samples_and_targets_may_lie_in_any_way(
    monkeypatch: pytest.MonkeyPatch, layout: str, dtype: str, inputs: int
) -> None:
    monkeypatch.setattr("core.backend.COPIED", 0)  # else a table so small would be copied
    x, labels = X[:, :inputs].astype(dtype), np.arange(len(X)) % 3
    for outputs, y in ((2, x[:, :2].copy()), (1, x[:, :1].copy()), (3, labels)):
        loss = "softmax_cross_entropy" if y.ndim == 1 else "squared_error"
        found = []
        for change in (lambda table: table, LAYOUTS[layout]):
            last = Dense(outputs, "softmax" if y.ndim == 1 else "identity")
            net = Network(inputs, [Dense(6, "tanh"), last], backend=get_backend("numpy", dtype), seed=0)
            own_x, own_y = change(x), change(y.reshape(len(y), -1)).reshape(y.shape)
            assert (own_x == x).all()
            assert (own_y == y).all()
            list(train(net, own_x, own_y, loss=loss, epochs=2, batch_size=BATCH))
            found.append(net.parameters.tobytes())
        assert found[0] == found[1]


def test_all_of_that_is_compiled_once_for_each_type_of_elements() -> None:
    labels = targets_for(LOSSES["softmax_cross_entropy"], RNG, (len(X), 3))
    for dtype in ("float32", "float64"):
        for loss, optimizer, y in (("squared_error", "adam", X[:, ::-1]), ("softmax_cross_entropy", "sgd", labels)):
            layers = [Dense(4, "relu"), Dense(3, "softmax" if y is labels else "identity")]
            net = Network(3, layers, backend=get_backend("numpy", dtype), seed=0)
            list(train(net, X.astype(dtype), y, loss=loss, optimizer=optimizer, epochs=1))
    assert len(copy_of("epochs").steps.signatures) == 2


def test_a_fleets_networks_have_the_bits_that_they_have_alone() -> None:
    optimizers = [Adam(0.1), Adam(0.01, weight_decay=0.5), Adam(0.001), Adam(0.02), Adam(0.03)]
    fleet = training(seed=[3, 1, 4, 1, 5], optimizer=optimizers)
    curve = [np.asarray(record.loss) for record in fleet]
    for k, (seed, optimizer) in enumerate(zip([3, 1, 4, 1, 5], optimizers, strict=True)):
        alone = training(seed=seed, optimizer=optimizer)
        np.testing.assert_array_equal([losses[k] for losses in curve], [record.loss for record in alone])
        np.testing.assert_array_equal(fleet.network.parameters[k], alone.network.parameters)
    assert_same(seed=[1, 2], optimizer=[Adam(0.1), Adam(0.01)])


def test_dropout_has_the_same_masks() -> None:
    layers = [Dense(6, "tanh"), Dropout(0.5), Dense(5), Dropout(0.2), Dense(2)]
    assert_same(layers=layers)
    assert_same(layers=layers, seed=[3, 1, 4], dtype="float32")


LARGE = [Dense(320, "tanh"), Dropout(0.3), Dense(80, "relu"), Dense(200), Dense(5, "softmax")]
"""For a batch of 150 samples of 100 numbers: products in one part, in some, cut by rows, by columns, and into tiles."""


def large(threads_allowed: int, *, compiled: bool = True, seed: int | list[int] = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the losses and the weights, with so many threads."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((400, 100)), rng.integers(0, 5, 400)
    net = Network(100, LARGE, backend=get_backend("numpy", "float64", compiled=compiled), seed=seed)
    with threads(threads_allowed):
        found = train(net, x, y, loss=SMOOTH, optimizer=Sgd(0.1), epochs=2, batch_size=150)
        return np.array([record.loss for record in found]), np.array(net.parameters)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    losses, weights = large(1)
    for count in (2, 3, 7):
        for got, wanted in zip(large(count), (losses, weights), strict=True):
            np.testing.assert_array_equal(got, wanted)
    fleet_losses, fleet_weights = large(5, seed=[8, 0])  # two networks side by side, with two threads each
    np.testing.assert_array_equal(fleet_losses[:, 1], losses)
    np.testing.assert_array_equal(fleet_weights[1], weights)
    # Six steps, of sums of up to 320 products, none of which is larger than ten.
    bound = 6 * 320 * 10 * float(np.finfo(np.float64).eps)
    for got, wanted in zip(large(1, compiled=False), (losses, weights), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=bound)


@settings(max_examples=20, deadline=None)
@given(stops=st.lists(st.integers(1, 5), max_size=6))
def test_stretches_of_any_length_give_the_same_bits_and_so_does_going_on_from_a_checkpoint(stops: list[int]) -> None:
    whole = training()
    expected = [record.loss for record in whole]
    now, losses = training(), []
    for steps in stops:
        record = now.advance(steps=steps)
        losses += [record.loss] if record else []
        now = training(resume=now.checkpoint())
    losses += [record.loss for record in now]
    assert losses == expected
    np.testing.assert_array_equal(now.network.parameters, whole.network.parameters)


def test_the_clock_can_stop_it() -> None:
    now = training()
    now.advance(seconds=0.0)
    assert 0 < now.step <= STEPS


@pytest.mark.parametrize("seed", [0, [0, 1, 2, 3, 4]], ids=["alone", "a fleet"])
def test_a_number_that_is_not_finite_is_traced(seed: int | list[int]) -> None:
    now = training(layers=[Dense(6, "gelu"), Dense(2)], optimizer=Sgd(1e200), seed=seed)
    with pytest.raises(NonFiniteError) as raised:
        list(now)
    assert (raised.value.epoch, raised.value.step) == (1, 2)
    assert raised.value.layer is not None
    assert np.isfinite(now.network.parameters).all()


@pytest.mark.parametrize(
    ("layers", "options"),
    [
        ([Dropout(0.5), Dense(6, "tanh"), Dense(2)], {}),
        ([Dense(6, "tanh"), Dropout(0.5), Dropout(0.5), Dense(2)], {}),
        ([Dense(6, "exp"), Dense(2)], {}),
        (DENSE, {"l2": 0.1}),
        (DENSE, {"average": 0.9}),
        (DENSE, {"sample_weight": np.arange(1, 24)}),
        (DENSE, {"loss": "tweedie", "layers": [Dense(2, "exp")]}),
    ],
    ids=["dropout first", "dropout twice", "exp", "l2", "average", "weights", "loss"],
)
def test_what_there_is_no_such_code_for_goes_kernel_by_kernel(layers: list[Any], options: dict[str, Any]) -> None:
    layers, loss = options.pop("layers", layers), options.pop("loss", "squared_error")
    net = Network(3, layers)
    found = train(net, X, np.ones((len(X), 2)), **{"loss": loss, "epochs": 1, "batch_size": BATCH, **options})
    assert found._compiled is None
    list(found)


def test_the_choice_depends_on_no_number_of_epochs() -> None:
    """Otherwise an interrupted training would have other bits than a whole one."""
    assert "epochs" not in CompiledSteps.suit.__annotations__


@dataclass(frozen=True)
class Scaled(Sgd):
    """An optimizer of a user's own, whose formula asks for its own fields."""

    scale: float = 2.0
    name = "scaled"

    def formula(self, xp: Any, p: Any, g: Any, slots: Any, *numbers: float) -> tuple[Any, ...]:
        return super().formula(xp, p, self.scale * g, slots, *numbers)

    def formula_into(self, xp: Any, p: Any, g: Any, slots: Any, scratch: Any, *numbers: float) -> None:
        super().formula_into(xp, p, self.scale * g, slots, scratch, *numbers)


class Halved(SoftmaxCrossEntropy):
    """A loss of a user's own, which isn't the one that it is made from."""

    def value(self, xp: Any, u: Any, y: Any) -> Any:
        return super().value(xp, u, y) / 2

    def gradient(self, xp: Any, u: Any, y: Any, j_bar: Any) -> Any:
        return super().gradient(xp, u, y, j_bar) / 2

    value_and_gradient_into = Loss.value_and_gradient_into


def test_what_a_user_brings_along_goes_by_its_own_formulas() -> None:
    by_rule, twice = (training(optimizer=Sgd(0.02), compiled=False), train_with(optimizer=Scaled(0.01)))
    for each in (by_rule, twice):
        list(each)
    np.testing.assert_allclose(twice.network.parameters, by_rule.network.parameters, rtol=1e-12, atol=1e-14)
    layers = [Dense(6, "elu"), Dense(3, "softmax")]
    plain, halved = (train_with(layers, loss, "nadam") for loss in (SoftmaxCrossEntropy(), Halved()))
    assert next(halved).loss == pytest.approx(0.5 * float(next(plain).loss), rel=0.1)


def test_a_formula_that_was_typed_in_goes_by_its_calls() -> None:
    names: dict[str, Any] = {}
    exec("from core.losses import SquaredError\nclass Typed(SquaredError):\n"
         "    def value(self, xp, u, y):\n        return xp.sum((u - y) ** 2, axis=-1) / 2\n"
         "    __hash__ = None", names)  # fmt: skip
    typed, known = train_with(loss=names["Typed"]()), training(compiled=False)
    for each in (typed, known):
        list(each)
    np.testing.assert_allclose(typed.network.parameters, known.network.parameters, rtol=1e-12, atol=1e-14)


def train_with(layers: Sequence[Any] = DENSE, loss: Any = "squared_error", optimizer: Any = "adam") -> Training:
    """Return a training on the data of `training`, for which there are no compiled steps or some."""
    net = Network(3, layers, backend=get_backend("numpy", "float64"))
    rule = LOSSES[loss] if isinstance(loss, str) else loss
    y = targets_for(rule, np.random.default_rng(1), (len(X), net.n_outputs))
    return train(net, X, y, loss=rule, optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH)
