"""Adadelta: steps scaled by running means of the squared gradients and of the squared steps."""

from __future__ import annotations

from dataclasses import dataclass

from core.arrays import Array, Namespace, Numbers, Slots
from core.optimizers.elementwise import ElementwiseOptimizer
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class Adadelta(ElementwiseOptimizer):
    """s ← ρs + (1−ρ)g², d = g √(u + ε)/√(s + ε), u ← ρu + (1−ρ)d², p ← p − η d, from s = u = 0.

    (Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, 2012, algorithm 1, where η = 1)

    Args:
        learning_rate: η > 0.
        rho: ρ, from 0 up to but not 1.
        epsilon: ε > 0; the first steps are about √ε long.
        weight_decay: λ of `ElementwiseOptimizer`.

    >>> Adadelta(rho=0.75).step_numbers(1, 1.0)
    (1.0, 0.75, 0.25, 1e-06)
    """

    learning_rate: float = 1.0
    rho: float = 0.95
    epsilon: float = 1e-6

    name = "adadelta"
    slots = ("squared_gradients", "squared_steps")
    numbers = ("rate", "keep", "take", "epsilon")
    cuda = (
        "squared_gradients = keep * squared_gradients + take * (g * g);"
        " T d = sqrt((squared_steps + epsilon) / (squared_gradients + epsilon)) * g;"
        " squared_steps = keep * squared_steps + take * (d * d);"
        " p -= rate * d;"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require("rho", self.rho, 0, 1, low_allowed=True)
        require("epsilon", self.epsilon, 0)

    def step_numbers(self, step: int, learning_rate: float | Array) -> Numbers:
        """Return η, ρ, 1−ρ and ε."""
        return learning_rate, self.rho, 1 - self.rho, self.epsilon

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p, s and u after the step."""
        (s, u), (rate, keep, take, epsilon) = slots, numbers
        s = keep * s + take * (g * g)
        d = xp.sqrt((u + epsilon) / (s + epsilon)) * g
        return p - rate * d, s, keep * u + take * (d * d)

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (s, u), (rate, keep, take, epsilon), (d, other) = slots, numbers, scratch
        xp.multiply(s, keep, out=s)
        xp.multiply(g, g, out=d)
        xp.multiply(d, take, out=d)
        xp.add(s, d, out=s)
        xp.add(u, epsilon, out=d)
        xp.add(s, epsilon, out=other)
        xp.divide(d, other, out=d)
        xp.sqrt(d, out=d)
        xp.multiply(d, g, out=d)
        xp.multiply(d, d, out=other)
        xp.multiply(other, take, out=other)
        xp.multiply(u, keep, out=u)
        xp.add(u, other, out=u)
        xp.multiply(d, rate, out=d)
        xp.subtract(p, d, out=p)
