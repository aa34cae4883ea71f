"""RMSprop: steps scaled by a running mean of the squared gradients."""

from __future__ import annotations

from dataclasses import dataclass

from core.arrays import Array, Namespace, Numbers, Slots
from core.optimizers.elementwise import ElementwiseOptimizer
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class RmsProp(ElementwiseOptimizer):
    """s ← αs + (1−α)g², v ← μv + g/(√s + ε), p ← p − η v; centered, √(s − ḡ²) for √s, with ḡ ← αḡ + (1−α)g.

    (Tieleman and Hinton, "Lecture 6.5: rmsprop", Coursera, 2012; centered: Graves, "Generating sequences with recurrent
    neural networks", arXiv:1308.0850, 2013, equations 38 to 45; ε and the momentum stand where PyTorch has them.)

    Args:
        learning_rate: η > 0.
        alpha: α, from 0 up to but not 1.
        momentum: μ, from 0 up to but not 1.
        centered: whether the running variance scales the steps in place of the mean square.
        epsilon: ε > 0.
        weight_decay: λ of `ElementwiseOptimizer`.

    >>> RmsProp(alpha=0.75, centered=True).step_numbers(1, 0.01)
    (0.01, 0.75, 0.25, 0.0, 1.0, 1e-08)
    """

    learning_rate: float = 0.01
    alpha: float = 0.99
    momentum: float = 0.0
    centered: bool = False
    epsilon: float = 1e-8

    name = "rmsprop"
    slots = ("squares", "mean", "velocity")
    numbers = ("rate", "keep", "take", "momentum", "center", "epsilon")
    # Rounding can make the variance of equal gradients negative.
    cuda = (
        "squares = keep * squares + take * (g * g);"
        " mean = keep * mean + take * g;"
        " T spread = squares - center * (mean * mean);"
        " velocity = momentum * velocity + g / (sqrt(spread < T(0) ? T(0) : spread) + epsilon);"
        " p -= rate * velocity;"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require("alpha", self.alpha, 0, 1, low_allowed=True)
        require("momentum", self.momentum, 0, 1, low_allowed=True)
        require("epsilon", self.epsilon, 0)

    def step_numbers(self, step: int, learning_rate: float | Array) -> Numbers:
        """Return η, α, 1−α, μ, 1 where centered and else 0, and ε."""
        return learning_rate, self.alpha, 1 - self.alpha, self.momentum, float(self.centered), self.epsilon

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p, s, ḡ and v after the step."""
        (squares, mean, velocity), (rate, keep, take, momentum, center, epsilon) = slots, numbers
        squares = keep * squares + take * (g * g)
        mean = keep * mean + take * g
        spread = xp.maximum(squares - center * (mean * mean), 0 * squares)
        velocity = momentum * velocity + g / (xp.sqrt(spread) + epsilon)
        return p - rate * velocity, squares, mean, velocity

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (squares, mean, velocity), (rate, keep, take, momentum, center, epsilon) = slots, numbers
        way, spread = scratch
        xp.multiply(squares, keep, out=squares)
        xp.multiply(g, g, out=way)
        xp.multiply(way, take, out=way)
        xp.add(squares, way, out=squares)
        xp.multiply(mean, keep, out=mean)
        xp.multiply(g, take, out=way)
        xp.add(mean, way, out=mean)
        xp.multiply(mean, mean, out=spread)
        xp.multiply(spread, center, out=spread)
        xp.subtract(squares, spread, out=spread)
        xp.maximum(spread, 0, out=spread)
        xp.sqrt(spread, out=spread)
        xp.add(spread, epsilon, out=spread)
        xp.divide(g, spread, out=way)
        xp.multiply(velocity, momentum, out=velocity)
        xp.add(velocity, way, out=velocity)
        xp.multiply(velocity, rate, out=way)
        xp.subtract(p, way, out=p)
