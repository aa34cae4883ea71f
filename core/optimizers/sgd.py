"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from dataclasses import dataclass

from core.arrays import Array, Namespace, Numbers, Slots
from core.optimizers.elementwise import ElementwiseOptimizer
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class Sgd(ElementwiseOptimizer):
    """v ← μ v + g, p ← p − η v, from v = 0; with Nesterov's momentum p ← p − η (g + μ v).

    (Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013, equations 1 to 4,
    in the form in which the learning rate stands outside v, so that changing it acts at once, and in which p is where
    Nesterov's gradient is taken, as in PyTorch; with μ = 0, p ← p − η g.)

    Args:
        learning_rate: η > 0.
        momentum: μ, from 0 up to but not 1.
        nesterov: whether the step looks ahead; with momentum only.
        weight_decay: λ of `ElementwiseOptimizer`.

    >>> Sgd(learning_rate=0.5, momentum=0.75, nesterov=True).step_numbers(1, 0.5)
    (0.75, 0.375, 0.5)
    """

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    name = "sgd"
    slots = ("velocity",)
    numbers = ("momentum", "along_velocity", "along_gradient")
    cuda = "velocity = momentum * velocity + g; p -= along_velocity * velocity + along_gradient * g;"

    def __post_init__(self) -> None:
        super().__post_init__()
        require("momentum", self.momentum, 0, 1, low_allowed=True)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: True is not allowed without momentum; give a momentum > 0")

    def step_numbers(self, step: int, learning_rate: float | Array) -> Numbers:
        """Return μ, η and 0; with Nesterov's momentum μ, ημ and η."""
        if self.nesterov:
            return self.momentum, learning_rate * self.momentum, learning_rate
        return self.momentum, learning_rate, 0.0

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p and v = μ v + g."""
        (velocity,), (momentum, along_velocity, along_gradient) = slots, numbers
        velocity = momentum * velocity + g
        return p - (along_velocity * velocity + along_gradient * g), velocity

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (velocity,), (momentum, along_velocity, along_gradient), way = slots, numbers, scratch[0]
        xp.multiply(velocity, momentum, out=velocity)
        xp.add(velocity, g, out=velocity)
        xp.multiply(velocity, along_velocity, out=way)
        if self.nesterov:
            ahead = scratch[1]
            xp.multiply(g, along_gradient, out=ahead)
            xp.add(way, ahead, out=way)
        xp.subtract(p, way, out=p)
