"""AMSGrad: Adam whose steps are scaled by the largest second moment so far."""

from __future__ import annotations

from dataclasses import dataclass

from core.arrays import Array, Namespace, Slots
from core.optimizers.adam import Adam, moments_into


@dataclass(frozen=True)
class AmsGrad(Adam):
    """m and v as in Adam, u ← max(u, v), p ← p − η m̂/(√û + ε), with û = u/(1−β₂ᵗ).

    (Reddi, Kale and Kumar, "On the convergence of Adam and beyond", ICLR 2018, algorithm 2, with Adam's corrections of
    the bias, as in PyTorch)

    Args:
        learning_rate, beta1, beta2, epsilon, weight_decay: as in `Adam`.

    >>> AmsGrad().slots
    ('first_moment', 'second_moment', 'largest')
    """

    name = "amsgrad"
    slots = ("first_moment", "second_moment", "largest")
    cuda = (
        "first_moment = keep1 * first_moment + take1 * g;"
        " second_moment = keep2 * second_moment + take2 * (g * g);"
        " largest = second_moment <= largest ? largest : second_moment;"
        " p -= rate * first_moment / (root * sqrt(largest) + epsilon);"
    )

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p, m, v and u after the step."""
        (m, v, u), (rate, root, keep1, take1, keep2, take2, epsilon) = slots, numbers
        m = keep1 * m + take1 * g
        v = keep2 * v + take2 * (g * g)
        u = xp.maximum(u, v)
        return p - rate * m / (root * xp.sqrt(u) + epsilon), m, v, u

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (m, v, u), (rate, root, *moments, epsilon), way = slots, numbers, scratch[0]
        moments_into(xp, g, m, v, way, *moments)
        xp.maximum(u, v, out=u)
        xp.sqrt(u, out=way)
        xp.multiply(way, root, out=way)
        xp.add(way, epsilon, out=way)
        xp.divide(m, way, out=way)
        xp.multiply(way, rate, out=way)
        xp.subtract(p, way, out=p)
