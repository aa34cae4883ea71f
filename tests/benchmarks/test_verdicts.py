"""Bars are met, missed or unclear by numbers made up here; the tables say so."""

from __future__ import annotations

import pytest

from benchmarks import results, startup, table
from benchmarks.bars import Verdict, fraction_of_bound, verdicts
from benchmarks.contestants import US
from benchmarks.measurement import Measurement
from benchmarks.session import Visit
from benchmarks.shapes import Shape
from benchmarks.timing import Spread, ratios, step_microseconds

SHAPE = Shape("medium", (8, 8, 2), 4, 10, bars={"jax_scan": 2.0}, bound_bar=0.8)


def visits(*seconds: float) -> list[Visit]:
    """Return a visit of a slow first epoch and two equal ones for each number."""
    return [Visit([100.0, each, each], [2.0, 1.5, 1.0], [0.9]) for each in seconds]


def measured(jax: list[Visit], bound: list[Visit]) -> Measurement:
    return Measurement(SHAPE, {US: visits(1, 1, 1), "jax_scan": jax, "matmuls_numpy": bound})


def test_the_first_epoch_is_not_in_a_step():
    assert step_microseconds(SHAPE, visits(0.001)) == pytest.approx([100.0])


def test_a_fleets_step_is_one_networks():
    fleet = Shape("", (8, 8, 2), 4, 10, networks=5)
    assert step_microseconds(fleet, visits(0.001)) == pytest.approx([20.0])


def test_ratios_are_of_the_same_round():
    assert ratios(SHAPE, visits(2, 40), visits(1, 20)) == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize(
    ("seconds", "word"), [((3, 3, 3), "met"), ((1.9, 1.95, 2.5), "unclear"), ((1.5, 1.6, 1.7), "missed")]
)
def test_the_word_for_a_ratio(seconds: tuple[float, ...], word: str):
    found = measured(visits(*seconds), visits(0.9, 0.9, 0.9))
    by_peer, bound = verdicts(found)
    assert (by_peer.word, by_peer.bar, bound.word) == (word, 2.0, "met")
    assert f"≥ 2: {word}" in table.ratio_table([found], ["jax_scan"])


def test_a_missed_bound():
    found = measured(visits(3, 3, 3), visits(0.5, 0.5, 0.5))
    assert fraction_of_bound(found) == pytest.approx([0.5] * 3)
    assert verdicts(found)[-1].word == "missed"
    assert "≥ 0.8: missed" in table.bound_table([found])


def test_the_faster_bound_counts():
    found = measured(visits(3, 3, 3), visits(0.9, 0.9, 0.9))
    found.visits["matmuls_torch"] = visits(0.7, 0.7, 1.2)
    assert fraction_of_bound(found) == pytest.approx([0.7, 0.7, 0.9])


def test_a_peer_without_a_bar_of_its_own_must_not_be_faster():
    found = measured(visits(3, 3, 3), visits(0.9, 0.9, 0.9))
    found.visits["sklearn_mlp"] = visits(0.9, 0.9, 0.9)
    assert [(verdict.bar, verdict.word) for verdict in verdicts(found)][1] == (1.0, "missed")


def test_at_most():
    assert Verdict("", "", 1.0, Spread.of([0.5, 0.6]), at_most=True).word == "met"
    assert Verdict("", "", 1.0, Spread.of([0.5, 1.1, 1.2]), at_most=True).word == "unclear"
    assert Verdict("", "", 1.0, Spread.of([1.1, 1.2]), at_most=True).word == "missed"


def test_the_report_has_every_part():
    found = measured(visits(1.5, 1.6, 1.7), visits(0.9, 0.9, 0.9))
    found.refusals["thinc_chain"] = "has no tanh"
    found.disagreements = ["medium: the final loss of jax_scan differs"]
    starts: startup.StartUps = {US: {"library": Spread.of([0.2]), "first_epoch": Spread.of([0.1])}}
    text = results.report({"Commit": "abc"}, "python -m benchmarks", 3, results.Found([found], starts, [0.5]))
    for part in (
        "abc",
        "missed: medium 8-8-2 (4)",
        "missed: start-up",
        "missed: memory-mapped",
        "has no tanh",
        "loss of jax_scan differs",
    ):
        assert part in text
