"""The contestants' processes, with those that need no peer: ourselves and NumPy's matmuls."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.contestants import US
from benchmarks.measurement import measure
from benchmarks.session import Session, ThreadsError, Visit
from benchmarks.shapes import Shape
from core.threads import cores, environment

pytest.importorskip("threadpoolctl")

SHAPE = Shape("small", (8, 6, 3), 16, 4, epochs=3)


def test_a_measurement():
    with Session(1) as session:
        found = measure(session, SHAPE, [US, "matmuls_numpy", "no_such_module"], rounds=2)
    assert {name: len(visits) for name, visits in found.visits.items()} == {US: 2, "matmuls_numpy": 2}
    assert found.refusals["no_such_module"].startswith("failed: ModuleNotFoundError")
    assert found.disagreements == []
    first, second = found.visits[US]
    assert first.losses == second.losses  # each visit begins from the same weights
    assert len(first.seconds) == SHAPE.epochs
    assert np.isfinite(first.final).all()
    assert second.final == []  # only the first round is judged
    assert session.versions.keys() == {"deltabar", "numpy"}


def test_another_shape_in_the_same_process():
    with Session(1) as session:
        session.ask(US, SHAPE, judge=False)
        fleet = session.ask(US, replace(SHAPE, networks=2), judge=True)
    assert isinstance(fleet, Visit)
    assert len(fleet.final) == 2


@pytest.mark.skipif(cores() < 2, reason="BLAS has no second thread on a machine of one core")
def test_too_many_threads_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.session.environment", lambda _: environment(2))
    monkeypatch.setattr("benchmarks.session.cores_for", nullcontext)
    with Session(1) as session, pytest.raises(ThreadsError, match="where all contestants have 1"):
        session.ask(US, SHAPE, judge=False)
