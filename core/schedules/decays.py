"""Schedules that only ever lower the learning rate, by a formula of the time that has passed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from core.schedules.schedule import Schedule, ScheduleState, require


@dataclass(frozen=True)
class ConstantRate(Schedule):
    """1: the optimizer's learning rate throughout.

    >>> ConstantRate().factor(5.0, 10, {})
    1.0
    """

    def factor(self, passed: float, epochs: float, state: ScheduleState) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True)
class StepDecay(Schedule):
    """γ^⌊e/k⌋ after e epochs: γ times smaller after every k.

    (He et al., "Deep residual learning for image recognition", CVPR 2016, section 3.4, with γ = 0.1)

    Args:
        every: k > 0, in epochs.
        gamma: γ, above 0 and up to 1.

    >>> [StepDecay(every=10, gamma=0.5).factor(passed, 100, {}) for passed in (9.9, 10, 20)]
    [1.0, 0.5, 0.25]
    """

    every: float = 30
    gamma: float = 0.1

    def __post_init__(self) -> None:
        require(0 < self.every < math.inf, "every", self.every, "> 0 and finite, in epochs")
        require(0 < self.gamma <= 1, "gamma", self.gamma, "> 0 and ≤ 1")

    def factor(self, passed: float, epochs: float, state: ScheduleState) -> float:
        """Return γ^⌊e/k⌋."""
        return self.gamma ** (passed // self.every)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """γᵉ after e epochs.

    (Senior et al., "An empirical study of learning rates in deep neural networks for speech recognition", ICASSP 2013,
    section 2.2)

    Args:
        gamma: γ, above 0 and up to 1: the factor of one epoch.

    >>> ExponentialDecay(gamma=0.25).factor(1.5, 100, {})
    0.125
    """

    gamma: float = 0.95

    def __post_init__(self) -> None:
        require(0 < self.gamma <= 1, "gamma", self.gamma, "> 0 and ≤ 1")

    def factor(self, passed: float, epochs: float, state: ScheduleState) -> float:
        """Return γᵉ."""
        return self.gamma**passed


@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """c + (1−c)(1 − e/E)^q after e of all E epochs: from 1 down to c.

    (Chen et al., "DeepLab", IEEE Transactions on Pattern Analysis and Machine Intelligence 40, 2018, section 4.1.2)

    Args:
        power: q > 0; 1 is a straight line.
        end: c, from 0 to 1.

    >>> PolynomialDecay(power=2.0).factor(50, 100, {})
    0.25
    """

    power: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        require(0 < self.power < math.inf, "power", self.power, "> 0 and finite")
        require(0 <= self.end <= 1, "end", self.end, "≥ 0 and ≤ 1")

    def factor(self, passed: float, epochs: float, state: ScheduleState) -> float:
        """Return c + (1−c)(1 − e/E)^q."""
        return self.end + (1 - self.end) * (1 - passed / epochs) ** self.power
