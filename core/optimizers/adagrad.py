"""Adagrad: steps scaled by the sum of the squared gradients so far."""

from __future__ import annotations

from dataclasses import dataclass

from core.arrays import Array, Namespace, Numbers, Slots
from core.optimizers.elementwise import ElementwiseOptimizer
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class Adagrad(ElementwiseOptimizer):
    """s ← s + g², p ← p − η g/(√s + ε), from s = s₀.

    (Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and stochastic optimization", Journal of
    Machine Learning Research 12, 2011, figure 1 with diagonal matrices; ε is δ there, and s₀ is 0.)

    Args:
        learning_rate: η > 0.
        initial_accumulator: s₀ ≥ 0.
        epsilon: ε > 0.
        weight_decay: λ of `ElementwiseOptimizer`.

    >>> Adagrad(initial_accumulator=0.1).initial("squares")
    0.1
    """

    learning_rate: float = 0.01
    initial_accumulator: float = 0.0
    epsilon: float = 1e-10

    name = "adagrad"
    slots = ("squares",)
    numbers = ("rate", "epsilon")
    cuda = "squares = squares + g * g; p -= rate * g / (sqrt(squares) + epsilon);"

    def __post_init__(self) -> None:
        super().__post_init__()
        require("initial_accumulator", self.initial_accumulator, 0, low_allowed=True)
        require("epsilon", self.epsilon, 0)

    def initial(self, slot: str) -> float:
        """Return s₀."""
        return self.initial_accumulator

    def step_numbers(self, step: int, learning_rate: float | Array) -> Numbers:
        """Return η and ε."""
        return learning_rate, self.epsilon

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p and s after the step."""
        (squares,), (rate, epsilon) = slots, numbers
        squares = squares + g * g
        return p - rate * g / (xp.sqrt(squares) + epsilon), squares

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (squares,), (rate, epsilon), (way, root) = slots, numbers, scratch
        xp.multiply(g, g, out=root)
        xp.add(squares, root, out=squares)
        xp.sqrt(squares, out=root)
        xp.add(root, epsilon, out=root)
        xp.multiply(g, rate, out=way)
        xp.divide(way, root, out=way)
        xp.subtract(p, way, out=p)
