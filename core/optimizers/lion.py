"""Lion: steps of one length, along the sign of a mean of gradients."""

from __future__ import annotations

from dataclasses import dataclass

from core.arrays import Array, Namespace, Numbers, Slots
from core.optimizers.elementwise import ElementwiseOptimizer
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class Lion(ElementwiseOptimizer):
    """p ← p − η sign(β₁m + (1−β₁)g), then m ← β₂m + (1−β₂)g, from m = 0.

    (Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, program 1)

    Args:
        learning_rate: η > 0; 3 to 10 times smaller than Adam's.
        beta1: β₁, from 0 up to but not 1.
        beta2: β₂, from 0 up to but not 1.
        weight_decay: λ of `ElementwiseOptimizer`; 3 to 10 times larger than AdamW's.

    >>> Lion(beta1=0.5, beta2=0.75).step_numbers(1, 0.1)
    (0.1, 0.5, 0.5, 0.75, 0.25)
    """

    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99

    name = "lion"
    slots = ("moment",)
    numbers = ("rate", "keep1", "take1", "keep2", "take2")
    # What is neither above nor below 0 is 0 or NaN, and remains what it is.
    cuda = (
        "T way = keep1 * moment + take1 * g;"
        " p -= rate * (way > T(0) ? T(1) : way < T(0) ? T(-1) : way);"
        " moment = keep2 * moment + take2 * g;"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require("beta1", self.beta1, 0, 1, low_allowed=True)
        require("beta2", self.beta2, 0, 1, low_allowed=True)

    def step_numbers(self, step: int, learning_rate: float | Array) -> Numbers:
        """Return η, β₁, 1−β₁, β₂ and 1−β₂."""
        return learning_rate, self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p and m after the step."""
        (m,), (rate, keep1, take1, keep2, take2) = slots, numbers
        return p - rate * xp.sign(keep1 * m + take1 * g), keep2 * m + take2 * g

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (m,), (rate, keep1, take1, keep2, take2), (way, other) = slots, numbers, scratch
        xp.multiply(m, keep1, out=way)
        xp.multiply(g, take1, out=other)
        xp.add(way, other, out=way)
        xp.sign(way, out=way)
        xp.multiply(way, rate, out=way)
        xp.subtract(p, way, out=p)
        xp.multiply(m, keep2, out=m)
        xp.multiply(g, take2, out=other)
        xp.add(m, other, out=m)
