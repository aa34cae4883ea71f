"""Linear warm-up before any other schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from core.schedules.decays import ConstantRate
from core.schedules.schedule import Schedule, ScheduleState, require


@dataclass(frozen=True)
class Warmup(Schedule):
    """s + (1−s) e/w after e of the first w epochs; from then on another schedule, for which training begins there.

    (Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv:1706.02677, 2017, section 2.2)

    Args:
        duration: w > 0, in epochs.
        start: s, the first factor, above 0 and up to 1: at 0 the first step would be none.
        then: what comes after.

    >>> [Warmup(duration=5, start=0.5).factor(passed, 100, {}) for passed in (0, 2.5, 5, 99)]
    [0.5, 0.75, 1.0, 1.0]
    """

    duration: float = 5.0
    start: float = 0.1
    then: Schedule = field(default_factory=ConstantRate)

    def __post_init__(self) -> None:
        require(0 < self.duration < math.inf, "duration", self.duration, "> 0 and finite, in epochs")
        require(0 < self.start <= 1, "start", self.start, "> 0 and ≤ 1")
        require(isinstance(self.then, Schedule), "then", self.then, "a schedule, such as CosineDecay()")

    @property
    def listens(self) -> bool:
        """Whether the other schedule does."""
        return self.then.listens

    def init(self) -> ScheduleState:
        """Return the other schedule's state."""
        return self.then.init()

    def factor(self, passed: float, epochs: float, state: ScheduleState) -> float:
        """Return s + (1−s) e/w, or the other schedule's factor."""
        if passed < self.duration:
            return self.start + (1 - self.start) * passed / self.duration
        return self.then.factor(passed - self.duration, epochs - self.duration, state)

    def listen(self, loss: float, state: ScheduleState) -> None:
        """Pass it on."""
        self.then.listen(loss, state)
