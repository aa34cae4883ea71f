"""RAdam: Adam that scales its steps only once the second moment has seen enough gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.arrays import Array, Numbers
from core.optimizers.adam import Adam


@dataclass(frozen=True)
class RAdam(Adam):
    """p ← p − η r m̂/(√v̂ + ε) where ρₜ > 5, and else p ← p − η m̂; m̂ and v̂ as in Adam.

    ρ∞ = 2/(1−β₂) − 1, ρₜ = ρ∞ − 2tβ₂ᵗ/(1−β₂ᵗ), r² = (ρₜ−4)(ρₜ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρₜ).
    (Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020, algorithm 2; the bound is 4
    there, and 5 in the authors' code and in PyTorch, as the approximation behind r is poor close to 4.)

    Args:
        learning_rate, beta1, beta2, epsilon, weight_decay: as in `Adam`.

    >>> [RAdam().step_numbers(step, 0.001)[1] > 0 for step in (5, 6)]  # is v used?
    [False, True]
    """

    name = "radam"

    def step_numbers(self, step: int, learning_rate: float | Array) -> Numbers:
        """Return `Adam`'s numbers with η r for η; where v doesn't scale the step, with 0 for its factor and 1 for ε."""
        rate, root, *moments, epsilon = super().step_numbers(step, learning_rate)
        rectification = self._rectification(step)
        if rectification is None:
            return rate, 0.0, *moments, 1.0
        return rate * rectification, root, *moments, epsilon

    def _rectification(self, step: int) -> float | None:
        limit = 2 / (1 - self.beta2) - 1
        length = limit - 2 * step * self.beta2**step / (1 - self.beta2**step)
        if length <= 5:
            return None
        return math.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
