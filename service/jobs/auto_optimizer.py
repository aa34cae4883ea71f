"""The optimizer where a job names none: AdamW, whose weight decay follows from how many steps there are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import core

NORMALIZED_DECAY = 0.05
"""λ_norm of the paper, which it finds to suit trainings of any length."""


@dataclass(frozen=True)
class AutoOptimizer:
    """AdamW with the weight decay λ = 0.05 / (η √steps), so that few steps on few rows don't overfit.

    (Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, appendix B.1, whose decay isn't multiplied with
    the learning rate η, as that of AdamW is)

    Args:
        learning_rate: The learning rate η of AdamW, > 0.

    Raises:
        ValueError: for a learning rate that AdamW doesn't allow.

    >>> AutoOptimizer().settled(steps=2500).weight_decay
    1.0
    """

    learning_rate: float = 0.001

    def __post_init__(self) -> None:
        core.AdamW(self.learning_rate)

    def settled(self, steps: int) -> core.AdamW:
        """Return the optimizer for a training of so many steps, its decay to three digits."""
        decay = NORMALIZED_DECAY / (self.learning_rate * math.sqrt(steps))
        return core.AdamW(self.learning_rate, weight_decay=float(f"{decay:.3g}"))
