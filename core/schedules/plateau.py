"""Lower the learning rate when the loss no longer falls."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.schedules.schedule import Schedule, ScheduleState, require


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """γⁿ after n plateaus: more than `patience` epochs in which the loss didn't fall below (1 − τ) of the best.

    The loss is that on the validation samples, or on the training samples where there are none. A loss that isn't a
    number is no improvement. (The rule by which He et al., "Deep residual learning for image recognition", CVPR 2016,
    section 3.4, lowered theirs; in the form of PyTorch's ReduceLROnPlateau.)

    Args:
        gamma: γ, above 0 and below 1.
        patience: epochs without improvement that are borne, an integer ≥ 0.
        threshold: τ, from 0 up to but not 1.
        end: the factor goes no lower, from 0 to 1.

    >>> schedule = ReduceOnPlateau(gamma=0.5, patience=1)
    >>> state = schedule.init()
    >>> for loss in (3.0, 2.0, 2.0, 2.5):
    ...     schedule.listen(loss, state)
    >>> schedule.factor(4, 100, state), state
    (0.5, {'best': 2.0, 'waited': 0, 'plateaus': 1})
    """

    gamma: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    end: float = 0.0

    def __post_init__(self) -> None:
        require(0 < self.gamma < 1, "gamma", self.gamma, "> 0 and < 1")
        whole = isinstance(self.patience, int) and not isinstance(self.patience, bool)
        require(whole and self.patience >= 0, "patience", self.patience, "an integer ≥ 0")
        require(0 <= self.threshold < 1, "threshold", self.threshold, "≥ 0 and < 1")
        require(0 <= self.end <= 1, "end", self.end, "≥ 0 and ≤ 1")

    @property
    def listens(self) -> bool:
        """It does."""
        return True

    def init(self) -> ScheduleState:
        """Return the best loss so far, the epochs waited for a better one, and the plateaus."""
        return {"best": math.inf, "waited": 0, "plateaus": 0}

    def factor(self, passed: float, epochs: float, state: ScheduleState) -> float:
        """Return γⁿ, but no less than `end`."""
        return max(self.gamma ** state["plateaus"], self.end)

    def listen(self, loss: float, state: ScheduleState) -> None:
        """Note whether the loss is a new best, and where not, wait; after too long a wait there is a new plateau."""
        best = state["best"]
        if loss < (best - self.threshold * abs(best) if math.isfinite(best) else best):
            state.update(best=loss, waited=0)
            return
        state["waited"] += 1
        if state["waited"] > self.patience:
            state.update(waited=0, plateaus=state["plateaus"] + 1)
