"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.arrays import Array, Namespace, Numbers, Slots
from core.optimizers.adam import Adam, moments_into
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class NAdam(Adam):
    """m and v as in Adam, p ← p − η m̂/(√v̂ + ε), with m̂ = μₜ₊₁ m/(1 − Π_{i≤t+1} μᵢ) + (1−μₜ) g/(1 − Π_{i≤t} μᵢ).

    μᵢ = β₁ (1 − ½ · 0.96^(iψ)). (Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, algorithm 2)

    Args:
        learning_rate, beta1, beta2, epsilon, weight_decay: as in `Adam`.
        momentum_decay: ψ ≥ 0.

    >>> round(NAdam().momentum_product(2), 6) == round(0.9**2 * (1 - 0.5 * 0.96**0.004) * (1 - 0.5 * 0.96**0.008), 6)
    True
    """

    learning_rate: float = 0.002
    momentum_decay: float = 0.004

    name = "nadam"
    numbers = ("along_moment", "along_gradient", "root", "keep1", "take1", "keep2", "take2", "epsilon")
    cuda = (
        "first_moment = keep1 * first_moment + take1 * g;"
        " second_moment = keep2 * second_moment + take2 * (g * g);"
        " p -= (along_moment * first_moment + along_gradient * g) / (root * sqrt(second_moment) + epsilon);"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require("momentum_decay", self.momentum_decay, 0, low_allowed=True)

    def momentum(self, step: int) -> float:
        """Return μ of the step."""
        return self.beta1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay))

    def momentum_product(self, step: int) -> float:
        """Return Π_{i≤t} μᵢ for t = `step`, from t alone, so that there is no number to keep.

        With q = 0.96^ψ, ln Π (1 − qⁱ/2) = −Σ_k 2⁻ᵏ/k Σ_i q^(ik), where the inner sums are geometric; each k adds a bit.
        """
        greatest = self.beta1**step
        if greatest < 2**-60:  # it no longer shows beside 1
            return 0.0
        ln_q = self.momentum_decay * math.log(0.96)
        terms = (
            0.5**k / k * (math.exp(k * ln_q) * math.expm1(k * step * ln_q) / math.expm1(k * ln_q) if ln_q else step)
            for k in range(1, 60)
        )
        return greatest * math.exp(-math.fsum(terms))

    def step_numbers(self, step: int, learning_rate: float | Array) -> Numbers:
        """Return η times the factors of m and of g in m̂, and 1/√(1−β₂ᵗ), β₁, 1−β₁, β₂, 1−β₂ and ε, for t = `step`."""
        _, root, *rest = super().step_numbers(step, learning_rate)
        now, ahead, product = self.momentum(step), self.momentum(step + 1), self.momentum_product(step)
        along_moment = learning_rate * ahead / (1 - product * ahead)
        return along_moment, learning_rate * (1 - now) / (1 - product), root, *rest

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return p, m and v after the step."""
        (m, v), (along_moment, along_gradient, root, keep1, take1, keep2, take2, epsilon) = slots, numbers
        m = keep1 * m + take1 * g
        v = keep2 * v + take2 * (g * g)
        return p - (along_moment * m + along_gradient * g) / (root * xp.sqrt(v) + epsilon), m, v

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (m, v), (along_moment, along_gradient, root, *moments, epsilon), (way, other) = slots, numbers, scratch
        moments_into(xp, g, m, v, way, *moments)
        xp.multiply(m, along_moment, out=way)
        xp.multiply(g, along_gradient, out=other)
        xp.add(way, other, out=way)
        xp.sqrt(v, out=other)
        xp.multiply(other, root, out=other)
        xp.add(other, epsilon, out=other)
        xp.divide(way, other, out=way)
        xp.subtract(p, way, out=p)
