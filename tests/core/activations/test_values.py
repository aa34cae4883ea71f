"""Each activation against an oracle that shares nothing with it: Python's decimal numbers, many digits."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest

from core import ACTIVATIONS
from core.activations.normal import normal

ONE = Decimal(1)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798")
# Klambauer et al. 2017, (14), to the digits of a float64.
ALPHA, LAMBDA = Decimal("1.6732632423543772"), Decimal("1.0507009873554805")


def tanh(x: Decimal, plus: int = 0) -> Decimal:
    """Return tanh(x) + plus, for plus 0 or 1 without cancellation on the left."""
    if x < 0:
        square = (2 * x).exp()
        return ((1 + plus) * square - (1 - plus)) / (square + 1)
    square = (-2 * x).exp()
    return ((1 + plus) - (1 - plus) * square) / (1 + square)


def cumulative(z: Decimal) -> Decimal:
    """Return Φ(z), by erf's power series about 0, and by the continued fraction of Mills' ratio far out."""
    density = (-z * z / 2).exp() / (2 * PI).sqrt()
    if abs(z) < 6:
        term = total = z
        for n in range(1, 200):
            term *= z * z / (2 * n + 1)
            total += term
        return Decimal("0.5") + density * total
    below = abs(z)
    for n in range(400, 0, -1):
        below = abs(z) + n / below
    tail = density / below
    return tail if z < 0 else 1 - tail


ORACLES: dict[str, Callable[[Decimal], Decimal]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: ONE / (ONE + (-z).exp()),
    "tanh": lambda z: ((2 * z).exp() - 1) / ((2 * z).exp() + 1),
    "hard_tanh": lambda z: max(-ONE, min(z, ONE)),
    "softsign": lambda z: z / (1 + abs(z)),
    "relu": lambda z: max(z, Decimal(0)),
    "leaky_relu": lambda z: z if z > 0 else z / 100,
    "elu": lambda z: z if z > 0 else z.exp() - 1,
    "selu": lambda z: LAMBDA * (z if z > 0 else ALPHA * (z.exp() - 1)),
    "softplus": lambda z: (1 + z.exp()).ln(),
    "gelu": lambda z: z * cumulative(z),
    "gelu_tanh": lambda z: z * tanh((2 / PI).sqrt() * (z + Decimal("0.044715") * z**3), plus=1) / 2,
    "silu": lambda z: z / (1 + (-z).exp()),
    "mish": lambda z: z * tanh((1 + z.exp()).ln()),
    "exp": lambda z: z.exp(),
}
POINTS = [-700.0, -80.0, -30.0, -2.5, -1.0, -1e-3, -1e-300, 0.0, 1e-300, 1e-8, 0.3, 1.0, 5.0, 40.0, 700.0]


def test_every_elementwise_activation_has_an_oracle() -> None:
    assert ORACLES.keys() | {"softmax"} == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("point", POINTS)
def test_value_is_right_to_the_last_digits(name: str, point: float) -> None:
    with localcontext() as context:
        context.prec = 400  # 1 + 1e-300 must not be 1
        expected = float(ORACLES[name](Decimal(point)))
    got = ACTIVATIONS[name].value(np, np.array([[point]])).item()
    # exp turns the rounding of its argument, ε|z|, into a relative error of its result.
    assert got == pytest.approx(expected, rel=(4 + abs(point)) * 2.3e-16, abs=1e-307)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_normal_distribution_is_that_of_the_error_function(dtype: str) -> None:
    z, eps = np.linspace(-37, 9, 20_001, dtype=dtype), float(np.finfo(dtype).eps)
    expected = [math.erfc(-value / math.sqrt(2)) / 2 for value in z.tolist()]
    cumulative, density = normal(np, z)
    # exp passes on the rounding of z²/2, and so does erfc that of z/√2 in float64, twice as much, as its argument
    # squared is rounded twice; 20 steps of two polynomials come on top of it.
    bound = 20 * eps + (eps / 2 + np.finfo(np.float64).eps) * z.astype(np.float64) ** 2
    tiny = float(np.finfo(dtype).tiny)
    np.testing.assert_array_less(np.abs(cumulative - expected), bound * expected + tiny)
    np.testing.assert_array_less(np.abs(cumulative - expected), 1.5 * eps)
    assert density.dtype == cumulative.dtype == dtype


def test_softmax_is_right_to_the_last_digits() -> None:
    z = np.array([[1.0, 2.0, -3.5, 40.0], [1000.0, 1001.0, 999.0, -1000.0]])
    with localcontext() as context:
        context.prec = 50
        powers = [[Decimal(value).exp() for value in row] for row in z.tolist()]
        expected = [[float(power / sum(row)) for power in row] for row in powers]
    np.testing.assert_allclose(ACTIVATIONS["softmax"].value(np, z), expected, rtol=1e-14, atol=1e-307)
