"""Schedules against their closed forms at chosen times, and what each must refuse."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from core import (
    SCHEDULES,
    ConstantRate,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    PolynomialDecay,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    Warmup,
)

POINTS: list[tuple[Schedule, dict[float, float]]] = [
    (ConstantRate(), {0: 1.0, 7.3: 1.0, 20: 1.0}),
    (StepDecay(every=5, gamma=0.1), {0: 1.0, 4.999: 1.0, 5: 0.1, 9.999: 0.1, 10: 0.01, 20: 1e-4}),
    (StepDecay(every=2.5, gamma=0.5), {2.4: 1.0, 2.5: 0.5, 5: 0.25}),
    (ExponentialDecay(gamma=0.5), {0: 1.0, 1: 0.5, 2.5: 0.5**2.5, 10: 0.5**10}),
    (PolynomialDecay(), {0: 1.0, 5: 0.75, 20: 0.0}),
    (PolynomialDecay(power=2, end=0.1), {0: 1.0, 10: 0.1 + 0.9 * 0.25, 20: 0.1}),
    (CosineDecay(), {0: 1.0, 5: (1 + math.sqrt(0.5)) / 2, 10: 0.5, 20: 1.0}),
    (CosineDecay(end=0.2), {10: 0.6, 15: 0.2 + 0.8 * (1 - math.sqrt(0.5)) / 2}),
    (CosineDecay(cycle=4, growth=1), {0: 1.0, 2: 0.5, 4: 1.0, 6: 0.5, 8: 1.0, 19: (1 - math.sqrt(0.5)) / 2}),
    (CosineDecay(cycle=2, growth=2), {1: 0.5, 2: 1.0, 4: 0.5, 6: 1.0, 10: 0.5, 14: 1.0}),
    (OneCycle(rise=0.5, start=0.2, end=0.1), {0: 0.2, 5: 0.6, 10: 1.0, 15: 0.55, 20: 0.1}),
    (Warmup(duration=4, start=0.2), {0: 0.2, 1: 0.4, 2: 0.6, 4: 1.0, 19: 1.0}),
    (Warmup(duration=4, start=0.5, then=PolynomialDecay()), {2: 0.75, 4: 1.0, 12: 0.5, 20: 0.0}),
    (Warmup(duration=30, start=0.5), {15: 0.75}),
    (ReduceOnPlateau(), {0: 1.0, 20: 1.0}),
]


def test_every_schedule_is_on_the_list() -> None:
    assert {type(schedule) for schedule, _ in POINTS} == set(SCHEDULES.values())


@pytest.mark.parametrize(("schedule", "points"), POINTS, ids=str)
def test_factors_are_those_of_the_closed_form(schedule: Schedule, points: dict[float, float]) -> None:
    for passed, expected in points.items():
        assert schedule.factor(passed, 20, schedule.init()) == pytest.approx(expected, rel=1e-14, abs=1e-14), passed


@pytest.mark.parametrize(("schedule", "points"), POINTS, ids=str)
def test_factors_lie_between_0_and_1_and_have_no_memory(schedule: Schedule, points: dict[float, float]) -> None:
    times = np.linspace(0, 20, 400, endpoint=False)
    factors = [schedule.factor(passed, 20, schedule.init()) for passed in times]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[::-1] == [schedule.factor(passed, 20, schedule.init()) for passed in times[::-1]]


def test_a_plateau_is_a_stretch_without_improvement() -> None:
    schedule = ReduceOnPlateau(gamma=0.5, patience=2, threshold=0.1, end=0.2)
    state, factors = schedule.init(), []
    # 9.5 isn't 10 % below 10, nor is NaN; the third wait makes a plateau, and waiting begins anew.
    for loss in [10.0, 9.5, math.nan, 9.2, 8.9, 9, 9, 9, 9, 9, 9, math.inf, 9, 9]:
        schedule.listen(loss, state)
        factors.append(schedule.factor(0, 1, state))
    assert factors == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2]


def test_a_loss_below_0_can_improve() -> None:
    schedule = ReduceOnPlateau(patience=0, threshold=0.1)
    state = schedule.init()
    for loss in (-1.0, -1.05, -1.2):
        schedule.listen(loss, state)
    assert state == {"best": -1.2, "waited": 0, "plateaus": 1}


def test_the_first_number_is_the_best_after_losses_that_are_none() -> None:
    schedule = ReduceOnPlateau(patience=5)
    state = schedule.init()
    for loss in (math.nan, math.inf, 3.0):
        schedule.listen(loss, state)
    assert state["best"] == 3.0


def test_warmup_passes_losses_on() -> None:
    schedule = Warmup(duration=1, then=ReduceOnPlateau(gamma=0.5, patience=0))
    state = schedule.init()
    assert schedule.listens
    for loss in (1.0, 1.0):
        schedule.listen(loss, state)
    assert schedule.factor(2, 10, state) == 0.5


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: StepDecay(every=0), "every: 0 is not allowed; it must be > 0 and finite, in epochs"),
        (lambda: StepDecay(gamma=1.5), "gamma: 1.5"),
        (lambda: ExponentialDecay(gamma=0), "gamma: 0"),
        (lambda: PolynomialDecay(power=math.inf), "power: inf"),
        (lambda: PolynomialDecay(end=-1), "end: -1"),
        (lambda: CosineDecay(cycle=0), "cycle: 0"),
        (lambda: CosineDecay(growth=0.5), "growth: 0.5"),
        (lambda: CosineDecay(end=math.nan), "end: nan"),
        (lambda: OneCycle(rise=1), "rise: 1"),
        (lambda: OneCycle(start=0), "start: 0"),
        (lambda: OneCycle(end=2), "end: 2"),
        (lambda: Warmup(duration=-1), "duration: -1"),
        (lambda: Warmup(start=0), "start: 0"),
        (lambda: Warmup(then="cosine"), "then: 'cosine' is not allowed; it must be a schedule"),  # type: ignore[arg-type]
        (lambda: ReduceOnPlateau(gamma=1), "gamma: 1"),
        (lambda: ReduceOnPlateau(patience=1.5), "patience: 1.5"),  # type: ignore[arg-type]
        (lambda: ReduceOnPlateau(threshold=1), "threshold: 1"),
        (lambda: ReduceOnPlateau(end=2), "end: 2"),
    ],
)
def test_bad_values_are_refused_by_name(make: Callable[[], Schedule], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
