"""Decoupled weight decay: the weights shrink by a share of themselves before a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.arrays import Array, Namespace, Slots
from core.rule import Rule

if TYPE_CHECKING:
    from core.backend import Backend


class WeightDecay(Rule):
    """p ← p − s g p, with the share s = ηλ, and g = 1 for weights and 0 for the rest.

    (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019)
    """

    name = "weight_decay"
    numbers = ("share",)
    cuda = "p -= share * (g * p);"

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p − s g p."""
        (share,) = numbers
        return (p - share * (g * p),)

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (share,) = numbers
        shrinking = scratch[0]
        xp.multiply(g, p, out=shrinking)
        xp.multiply(shrinking, share, out=shrinking)
        xp.subtract(p, shrinking, out=p)

    def apply(self, backend: Backend, parameters: Array, share: float | Array, is_weight: Array | None) -> None:
        """Let `parameters` decay where `is_weight` is 1; all of them without it."""
        if is_weight is None:
            parameters[...] = parameters - share * parameters
        else:
            backend.kernels.elementwise_step(self, parameters, is_weight, (), (share,))
