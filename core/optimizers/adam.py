"""Adam: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.arrays import Array, Namespace, Numbers, Slots
from core.optimizers.elementwise import ElementwiseOptimizer
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class Adam(ElementwiseOptimizer):
    """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p − η m̂/(√v̂ + ε), with m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ).

    (Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1)

    Args:
        learning_rate: η > 0.
        beta1: β₁, from 0 up to but not 1.
        beta2: β₂, from 0 up to but not 1.
        epsilon: ε > 0.
        weight_decay: λ of `ElementwiseOptimizer`.

    >>> [round(number, 6) for number in Adam().step_numbers(1, 0.001)[:2]]
    [0.01, 31.622777]
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    name = "adam"
    slots = ("first_moment", "second_moment")
    numbers = ("rate", "root", "keep1", "take1", "keep2", "take2", "epsilon")
    cuda = (
        "first_moment = keep1 * first_moment + take1 * g;"
        " second_moment = keep2 * second_moment + take2 * (g * g);"
        " p -= rate * first_moment / (root * sqrt(second_moment) + epsilon);"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require("beta1", self.beta1, 0, 1, low_allowed=True)
        require("beta2", self.beta2, 0, 1, low_allowed=True)
        require("epsilon", self.epsilon, 0)

    def step_numbers(self, step: int, learning_rate: float | Array) -> Numbers:
        """Return η/(1−β₁ᵗ), 1/√(1−β₂ᵗ), β₁, 1−β₁, β₂, 1−β₂ and ε for t = `step`."""
        rate = learning_rate / (1 - self.beta1**step)
        root = 1 / math.sqrt(1 - self.beta2**step)
        return rate, root, self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2, self.epsilon

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p, m and v after the step."""
        (m, v), (rate, root, keep1, take1, keep2, take2, epsilon) = slots, numbers
        m = keep1 * m + take1 * g
        v = keep2 * v + take2 * (g * g)
        return p - rate * m / (root * xp.sqrt(v) + epsilon), m, v

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (m, v), (rate, root, *moments, epsilon), way = slots, numbers, scratch[0]
        moments_into(xp, g, m, v, way, *moments)
        xp.sqrt(v, out=way)
        xp.multiply(way, root, out=way)
        xp.add(way, epsilon, out=way)
        xp.divide(m, way, out=way)
        xp.multiply(way, rate, out=way)
        xp.subtract(p, way, out=p)


def moments_into(
    xp: Namespace, g: Array, m: Array, v: Array, scratch: Array, keep1: float, take1: float, keep2: float, take2: float
) -> None:
    """Change m and v by one step, in place."""
    xp.multiply(m, keep1, out=m)
    xp.multiply(g, take1, out=scratch)
    xp.add(m, scratch, out=m)
    xp.multiply(v, keep2, out=v)
    xp.multiply(g, g, out=scratch)
    xp.multiply(scratch, take2, out=scratch)
    xp.add(v, scratch, out=v)
