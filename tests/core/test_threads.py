"""One number of threads for BLAS, and for the networks of a fleet side by side."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import core
from core.threads import VARIABLES, allowed, cores, environment


def of_blas() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_within_blas_has_as_many_and_then_as_before():
    before = of_blas()
    assert before, "NumPy's BLAS is found"
    with core.threads(1):
        assert of_blas() == {1}
        assert allowed() == 1
    assert of_blas() == before
    assert allowed() == cores()


def test_the_innermost_counts_and_an_error_ends_it():
    with core.threads(2):
        with pytest.raises(RuntimeError), core.threads(1):  # noqa: PT012
            assert allowed() == 1
            raise RuntimeError
        assert allowed() == 2


def test_a_fleet_takes_no_more_threads_than_it_may(monkeypatch: pytest.MonkeyPatch):
    """Of 6 networks that are trained by compiled code, on as many cores as there are said to be."""
    monkeypatch.setattr(sys.modules["core.threads"], "cores", lambda: 3)
    seen = _threads_of_a_fleet(monkeypatch)
    assert len(seen) == 3
    with core.threads(2):
        assert len(_threads_of_a_fleet(monkeypatch)) == 2
    with core.threads(1):
        assert _threads_of_a_fleet(monkeypatch) == {threading.get_ident()}


def _threads_of_a_fleet(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Return the threads in which the steps of a fleet are taken; each waits a little for the others to begin."""
    pytest.importorskip("numba")
    compiled = importlib.import_module("core.kernels.compiled")
    steps_of, seen = compiled.steps_of, set()

    def noted(*choices: Any) -> Callable[..., float]:
        steps = steps_of(*choices)

        def take(*given: Any) -> float:
            seen.add(threading.get_ident())
            threading.Event().wait(0.02)
            return steps(*given)

        return take

    with monkeypatch.context() as patch:
        patch.setattr(compiled, "steps_of", noted)
        fleet = core.Network(3, [core.Dense(4, "tanh"), core.Dense(1)], seed=range(6))
        x = np.random.default_rng(0).standard_normal((40, 3))
        core.fit(fleet, x, x[:, :1], loss="squared_error", epochs=1)
    return seen


def test_a_process_starts_with_as_many_as_its_environment_says():
    prints = "import numpy; from threadpoolctl import threadpool_info; print(threadpool_info()[0]['num_threads'])"
    ran = subprocess.run(
        [sys.executable, "-c", prints], env=dict(environment(1)), capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["1"]


def test_the_rest_of_the_environment_stays():
    assert {name: value for name, value in environment(5).items() if name not in VARIABLES} == {
        name: value for name, value in os.environ.items() if name not in VARIABLES
    }


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_a_count_below_1_is_refused(count: Any):
    with pytest.raises(ValueError, match=r"count: .* is not allowed; it must be an integer ≥ 1"), core.threads(count):
        pass
