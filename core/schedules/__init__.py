"""Schedules of the learning rate, by name with their defaults or as objects."""

from __future__ import annotations

from core.schedules.cosine import CosineDecay, OneCycle
from core.schedules.decays import ConstantRate, ExponentialDecay, PolynomialDecay, StepDecay
from core.schedules.plateau import ReduceOnPlateau
from core.schedules.schedule import Schedule, ScheduleState
from core.schedules.warmup import Warmup

SCHEDULES: dict[str, type[Schedule]] = {
    "constant": ConstantRate,
    "step": StepDecay,
    "exponential": ExponentialDecay,
    "polynomial": PolynomialDecay,
    "cosine": CosineDecay,
    "one_cycle": OneCycle,
    "warmup": Warmup,
    "reduce_on_plateau": ReduceOnPlateau,
}
"""Every schedule's class by its name."""

__all__ = [
    "SCHEDULES",
    "ConstantRate",
    "CosineDecay",
    "ExponentialDecay",
    "OneCycle",
    "PolynomialDecay",
    "ReduceOnPlateau",
    "Schedule",
    "ScheduleState",
    "StepDecay",
    "Warmup",
]
