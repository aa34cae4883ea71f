"""Each loss against numbers from an oracle that shares nothing with it: Python's decimal numbers, 50 digits."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest

from core import LOSSES
from core.losses import BinaryCrossEntropy, BinaryFocal, Huber, Loss, Quantile, SoftmaxCrossEntropy, Tweedie
from tests.core.losses.targets import WHOLE

Z = [[0.3, -1.2, 2.0], [30.0, -40.0, 5.0]]
LABELS = [2, 1]
TARGETS = [[0.0, 1.0, 0.25], [1.0, 0.0, 0.5]]
ZEROS_AND_ONES = [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]
PROBABILITIES = [[0.25, 0.5, 0.25], [0.0, 0.125, 0.875]]

ZERO, ONE, TWO = Decimal(0), Decimal(1), Decimal(2)


def squared_error(a: Decimal, y: Decimal) -> Decimal:
    return (a - y) ** 2 / 2


def absolute_error(a: Decimal, y: Decimal) -> Decimal:
    return abs(a - y)


def huber(a: Decimal, y: Decimal, delta: Decimal = ONE) -> Decimal:
    r = abs(a - y)
    return r * r / 2 if r <= delta else delta * (r - delta / 2)


def log_cosh(a: Decimal, y: Decimal) -> Decimal:
    return (((a - y).exp() + (y - a).exp()) / 2).ln()


def quantile(a: Decimal, y: Decimal, level: Decimal = ONE / 2) -> Decimal:
    return max(level * (y - a), (level - 1) * (y - a))


def binary_cross_entropy(z: Decimal, y: Decimal) -> Decimal:
    p = 1 / (1 + (-z).exp())
    return -(y * p.ln() + (1 - y) * (1 - p).ln())


def binary_focal(z: Decimal, y: Decimal, gamma: Decimal = TWO) -> Decimal:
    p = 1 / (1 + (-z if y else z).exp())
    return -((1 - p) ** gamma) * p.ln()


def hinge(a: Decimal, y: Decimal) -> Decimal:
    return max(ZERO, 1 - (a if y else -a))


def poisson(z: Decimal, y: Decimal) -> Decimal:
    return z.exp() - y * z


def gamma(z: Decimal, y: Decimal) -> Decimal:
    return z + y / z.exp()


def tweedie(z: Decimal, y: Decimal, power: Decimal = Decimal("1.5")) -> Decimal:
    mu = z.exp()
    return mu ** (2 - power) / (2 - power) - y * mu ** (1 - power) / (1 - power)


def log_softmax(row: list[float]) -> list[Decimal]:
    total = sum((Decimal(z).exp() for z in row), ZERO)
    return [(Decimal(z).exp() / total).ln() for z in row]


def softmax_cross_entropy() -> list[Decimal]:
    return [-log_softmax(row)[label] for row, label in zip(Z, LABELS, strict=True)]


def softmax_focal() -> list[Decimal]:
    logs = [log_softmax(row)[label] for row, label in zip(Z, LABELS, strict=True)]
    return [-((1 - each.exp()) ** 2) * each for each in logs]


def output_by_output(formula: Callable[[Decimal, Decimal], Decimal], targets: list[list[float]]) -> list[Decimal]:
    rows = zip(Z, targets, strict=True)
    return [sum((formula(Decimal(a), Decimal(y)) for a, y in zip(*row, strict=True)), ZERO) for row in rows]


BY_OUTPUT: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "log_cosh": log_cosh,
    "quantile": quantile,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_focal": binary_focal,
    "hinge": hinge,
    "poisson": poisson,
    "gamma": gamma,
    "tweedie": tweedie,
}
BY_SAMPLE = {oracle.__name__: oracle for oracle in (softmax_cross_entropy, softmax_focal)}


def check(loss: Loss, y: list[int] | list[list[float]], oracle: Callable[[], list[Decimal]]) -> None:
    with localcontext() as context:
        context.prec = 50
        expected = [float(value) for value in oracle()]
    # An exp is off by its argument's rounding, up to 40 ε; everything else by a few ε.
    tolerance = 1e-14 if loss.output_activation == "exp" else 1e-15
    np.testing.assert_allclose(loss.value(np, np.array(Z), np.array(y)), expected, rtol=tolerance)


def test_every_loss_has_an_oracle() -> None:
    assert BY_OUTPUT.keys() | BY_SAMPLE.keys() == LOSSES.keys()


@pytest.mark.parametrize("name", BY_OUTPUT)
def test_value_is_right_to_the_last_digits(name: str) -> None:
    targets = ZEROS_AND_ONES if name in WHOLE else TARGETS
    check(LOSSES[name], targets, lambda: output_by_output(BY_OUTPUT[name], targets))


@pytest.mark.parametrize("name", BY_SAMPLE)
def test_value_for_labels_is_right_to_the_last_digits(name: str) -> None:
    check(LOSSES[name], LABELS, BY_SAMPLE[name])


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        (Huber(0.5), lambda a, y: huber(a, y, Decimal("0.5"))),
        (Quantile(0.875), lambda a, y: quantile(a, y, Decimal("0.875"))),
        (BinaryFocal(0.5), lambda a, y: binary_focal(a, y, Decimal("0.5"))),
        (Tweedie(1.25), lambda a, y: tweedie(a, y, Decimal("1.25"))),
        (BinaryCrossEntropy(0.25), lambda a, y: binary_cross_entropy(a, Decimal("0.75") * y + Decimal("0.125"))),
    ],
    ids=repr,
)
def test_value_for_other_numbers_is_right_to_the_last_digits(
    loss: Loss, formula: Callable[[Decimal, Decimal], Decimal]
) -> None:
    check(loss, ZEROS_AND_ONES, lambda: output_by_output(formula, ZEROS_AND_ONES))


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_cross_entropy_of_probabilities_with_smoothing(smoothing: float) -> None:
    def oracle(probabilities: list[list[float]]) -> list[Decimal]:
        keep, rest = 1 - Decimal(smoothing), Decimal(smoothing) / 3
        return [
            -sum(((keep * Decimal(p) + rest) * log for p, log in zip(row, log_softmax(z), strict=True)), ZERO)
            for row, z in zip(probabilities, Z, strict=True)
        ]

    loss, one_hot = SoftmaxCrossEntropy(smoothing), np.eye(3)[LABELS].tolist()
    check(loss, PROBABILITIES, lambda: oracle(PROBABILITIES))
    check(loss, LABELS, lambda: oracle(one_hot))


def test_huber_lies_between_squared_and_absolute_error() -> None:
    """δ → ∞ gives the squared error; for δ → 0, huber/δ gives the absolute error, less δ/2 for each output."""
    z, y = np.array(Z), np.array(TARGETS)
    np.testing.assert_array_equal(Huber(1e9).gradient(np, z, y, 1.0), z - y)
    np.testing.assert_allclose(Huber(1e9).value(np, z, y), LOSSES["squared_error"].value(np, z, y), rtol=1e-15)
    np.testing.assert_allclose(
        Huber(1e-9).value(np, z, y) / 1e-9, LOSSES["absolute_error"].value(np, z, y) - 1.5e-9, rtol=1e-15
    )


def test_tweedie_goes_from_poisson_to_gamma() -> None:
    """Its gradient is μ^(1−(p−1)) − y μ^(−(p−1)): Poisson's at p = 1, gamma's at p = 2."""
    z, y, near = np.array([[0.3, -1.2, 2.0]]), np.array([[0.5, 1.0, 0.25]]), 2.0**-40
    for name, power in (("poisson", 1 + near), ("gamma", 2 - near)):
        expected = LOSSES[name].gradient(np, z, y, 1.0)
        # d/dp of both terms is at most |z| e^|z| of them.
        np.testing.assert_allclose(Tweedie(power).gradient(np, z, y, 1.0), expected, atol=20 * near)


def test_focal_without_gamma_is_cross_entropy_and_half_the_median_is_the_absolute_error() -> None:
    z, y = np.array(Z), np.array(ZEROS_AND_ONES)
    expected = LOSSES["binary_cross_entropy"].value(np, z, y)
    np.testing.assert_allclose(BinaryFocal(0).value(np, z, y), expected, rtol=1e-15)
    np.testing.assert_allclose(2 * Quantile(0.5).value(np, z, y), LOSSES["absolute_error"].value(np, z, y), rtol=1e-15)
