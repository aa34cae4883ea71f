"""Trainings that differ are found, and rounding is not taken for a difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import agreement
from benchmarks.agreement import TOLERANCE, disagreements
from benchmarks.contestants import US, deltabar
from benchmarks.problem import Problem
from benchmarks.session import Visit
from benchmarks.shapes import EVERY, Shape

SMALL = Shape("small", (16, 24, 5), 32, 16, epochs=4)
FLEET = replace(SMALL, name="fleet", networks=3)


def visit(problem: Problem, epochs: int = SMALL.epochs) -> Visit:
    run = deltabar.prepare(problem)(epochs)
    return Visit(run.seconds, [loss.tolist() for loss in run.losses], problem.loss(run.layers).tolist())


@pytest.fixture(scope="module")
def ours() -> Visit:
    return visit(Problem(SMALL))


def test_a_second_run_of_our_own_agrees(ours: Visit):
    assert disagreements(SMALL, {US: ours, "again": visit(Problem(SMALL))}) == []


def test_rounding_agrees(ours: Visit):
    problem = Problem(SMALL)
    problem.x = np.nextafter(problem.x, np.float32(np.inf))
    rounded = visit(problem)
    assert rounded.final != ours.final
    assert disagreements(SMALL, {US: ours, "rounded": rounded}) == []


def test_a_learning_rate_2_percent_off_is_found(ours: Visit):
    problem = Problem(SMALL)
    problem.learning_rates *= 1.02
    found = disagreements(SMALL, {US: ours, "hasty": visit(problem)})
    assert any("final loss of hasty" in sentence for sentence in found)


def test_other_initial_weights_are_found(ours: Visit):
    problem = Problem(SMALL)
    problem.initial[0] = (problem.initial[0][0][::-1], problem.initial[0][1])
    assert any(
        "loss curve of other" in sentence for sentence in disagreements(SMALL, {US: ours, "other": visit(problem)})
    )


def test_an_epoch_too_few_is_found_by_the_curve(ours: Visit):
    found = disagreements(SMALL, {US: ours, "lazy": visit(Problem(SMALL), epochs=3)})
    assert any("loss curve of lazy" in sentence for sentence in found)


def test_one_network_of_a_fleet_that_differs_is_found():
    problem = Problem(FLEET)
    ours = visit(problem)
    problem.initial[-1][0][2, 0, 0] += 0.5
    assert disagreements(FLEET, {US: ours, "again": ours}) == []
    assert disagreements(FLEET, {US: ours, "other": visit(problem)})


def test_nan_is_found(ours: Visit):
    assert disagreements(SMALL, {US: ours, "broken": replace(ours, final=[float("nan")])})
    assert disagreements(SMALL, {US: replace(ours, final=[float("nan")])})


def test_that_we_learn_nothing_is_found(ours: Visit):
    idle = replace(ours, losses=[ours.losses[0]] * SMALL.epochs)
    assert any("doesn't fall" in sentence for sentence in disagreements(SMALL, {US: idle}))


@pytest.mark.parametrize("shape", [shape for shape in EVERY if not shape.dropout], ids=lambda shape: shape.name)
def test_rounding_stays_below_the_tolerance(shape: Shape):
    steps, widest = shape.steps * shape.epochs, max(shape.widths)
    rounding = float(np.finfo(np.float32).eps) / 2
    assert np.sqrt(widest) * rounding * steps <= TOLERANCE


def test_dropout_has_a_tolerance_of_its_own(ours: Visit):
    off = replace(ours, final=[ours.final[0] + 0.02 * ours.losses[0]])
    assert disagreements(SMALL, {US: ours, "off": off})
    assert disagreements(replace(SMALL, dropout=0.2), {US: ours, "off": off}) == []
    further = replace(ours, final=[ours.final[0] + 2 * agreement.DROPOUT_TOLERANCE * ours.losses[0]])
    assert disagreements(replace(SMALL, dropout=0.2), {US: ours, "further": further})
