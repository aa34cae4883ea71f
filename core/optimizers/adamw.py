"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.optimizers.adam import Adam


@dataclass(frozen=True)
class AdamW(Adam):
    """Θ ← (1 − ηλ) Θ, then Adam's step; any other optimizer decays as well where it is given a `weight_decay`.

    (Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2)

    Args:
        learning_rate, beta1, beta2, epsilon: as in `Adam`.
        weight_decay: λ ≥ 0.

    >>> AdamW().weight_decay
    0.01
    """

    weight_decay: float = field(default=0.01, kw_only=True)

    name = "adamw"
