"""What a schedule is: the factor of the learning rate as a function of how far training is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

ScheduleState: TypeAlias = dict[str, float]
"""What a schedule remembers of the epochs: plain data; empty for all but those that listen."""


@dataclass(frozen=True)
class Schedule(ABC):
    """The factor of the optimizer's learning rate, which is 1 at most.

    Time is counted in epochs, with a fraction: after 3 of an epoch's 4 batches 0.75 epochs have passed, and the first
    step is taken at 0. So a schedule changes at each step, and is the same for any batch size.
    """

    @property
    def listens(self) -> bool:
        """Whether the factor depends on the losses: then it is one for a network, not for a fleet."""
        return False

    def init(self) -> ScheduleState:
        """Return the state before the first epoch."""
        return {}

    @abstractmethod
    def factor(self, passed: float, epochs: float, state: ScheduleState) -> float:
        """Return the factor for a step that is taken when `passed` of `epochs` epochs have passed."""

    def listen(self, loss: float, state: ScheduleState) -> None:  # noqa: B027 -- most have nothing to take note of
        """Take note, in `state`, of an epoch's loss: on the validation samples, or else on the training samples."""


def require(allowed: bool, name: str, value: object, what: str) -> None:
    """Raise ValueError unless `allowed`, saying that the argument `name` must be `what`."""
    if not allowed:
        raise ValueError(f"{name}: {value!r} is not allowed; it must be {what}")
