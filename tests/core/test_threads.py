"""One number of threads for BLAS, and for the networks of a fleet side by side."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import core
from core.threads import VARIABLES, allowed, cores, environment, one_of_blas, quota


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


def test_blas_gets_its_threads_back_whoever_else_was_within() -> None:
    there, leave = threading.Event(), threading.Event()

    def within() -> None:
        with one_of_blas():
            there.set()
            leave.wait(10)

    with core.threads(2):
        with one_of_blas():
            other = threading.Thread(target=within)
            other.start()
            there.wait(10)
            assert of_blas() == {1}
        assert of_blas() == {2}
        leave.set()
        other.join()
        assert of_blas() == {2}


@pytest.mark.parametrize(("limit", "seen"), [(10**9, 1), (0, 2)], ids=["little", "much"])
def test_a_little_validation_takes_one_thread_where_several_take_steps(
    monkeypatch: pytest.MonkeyPatch, limit: int, seen: int
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr("core.validation.LITTLE", limit)
    monkeypatch.setattr(sys.modules["core.threads"], "cores", lambda: 2)
    found: list[set[int]] = []

    def metric(_y: Any, _outputs: Any) -> float:
        found.append(of_blas())
        return 0.0

    x = np.random.default_rng(0).standard_normal((256, 64))
    with core.threads(2):
        net = core.Network(64, [core.Dense(256, "tanh"), core.Dense(1)], seed=0)
        choices: dict[str, Any] = {"batch_size": 128, "validation": (x, x[:, :1]), "metrics": {"seen": metric}}
        core.fit(net, x, x[:, :1], loss="squared_error", epochs=2, **choices)
        assert of_blas() == {2}
    assert found == [{seen}, {seen}]


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


def _version_1(group: str, share: int) -> dict[str, str]:
    return {f"{group}/cpu.cfs_quota_us": f"{share}\n", f"{group}/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("member", "files", "expected"),
    [
        ("0::/", {"cpu.max": "150000 100000\n"}, 1.5),  # version 2, in a container that sees its own group as the root
        ("0::/a/b", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "400000 100000\n", "cpu.max": "max 100000"}, 4.0),
        ("0::/a/b", {"a/b/cpu.max": "50000 100000\n", "a/cpu.max": "400000 100000\n"}, 0.5),
        ("0::/../other", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/", {}, np.inf),
        # Version 1; a container may see its own group as the root, while its name is that outside.
        ("4:memory:/a\n3:cpu,cpuacct:/a\n", _version_1("cpu,cpuacct/a", 300_000), 3.0),
        ("4:memory:/a\n3:cpu:/docker/0123\n0::/\n", _version_1("cpu", 250_000), 2.5),
        ("3:cpu:/\n", _version_1("cpu", -1), np.inf),
        ("4:cpuset:/a\n", _version_1("cpuset/a", 100_000), np.inf),
    ],
)
def test_the_quota_of_a_container(tmp_path: Path, member: str, files: dict[str, str], expected: float):
    groups, membership = tmp_path / "groups", tmp_path / "cgroup"
    membership.write_text(member)
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)
    assert quota(groups, membership) == expected


def test_another_system_has_no_quota(tmp_path: Path):
    assert quota(tmp_path, tmp_path / "none") == np.inf


@pytest.mark.parametrize(("share", "expected"), [(0.25, 1), (1.0, 1), (1.5, 2), (np.inf, 8), (64.0, 8)])
def test_a_quota_rounds_up_and_never_adds_cores(monkeypatch: pytest.MonkeyPatch, share: float, expected: int):
    monkeypatch.setattr(sys.modules["core.threads"], "quota", lambda: share)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert cores() == expected
