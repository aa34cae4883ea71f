"""The benchmark on a GPU, as far as it goes without one."""

from __future__ import annotations

import numpy as np
import pytest

import core
from benchmarks import gpu
from benchmarks.contestants import GPU_FLEET_PEERS, GPU_PEERS, US
from benchmarks.measurement import Measurement
from benchmarks.session import Session, Visit
from benchmarks.shapes import EVERY, Shape

SHAPE = Shape("small", (8, 6, 3), 16, 4, epochs=3)


def test_without_a_gpu_it_says_so_and_ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def none(name: str) -> core.Backend:
        raise core.BackendError(f"backend {name!r}: this machine has 0 GPU(s)")

    monkeypatch.setattr(core, "get_backend", none)
    assert gpu.main() == 1
    assert capsys.readouterr().err == "There is no GPU to measure: backend 'cupy': this machine has 0 GPU(s).\n"


def test_contestants_are_told_the_device():
    with Session(1, device="cuda") as session:
        told = session.ask(US, SHAPE, judge=False)
    if isinstance(told, str):
        assert "backend 'cupy:0'" in told
    else:
        assert np.isfinite(told.losses).all()


def test_the_report():
    visits = [Visit([1.0, 0.5, seconds]) for seconds in (0.4, 0.5)]
    shapes = [gpu.with_bars(shape) for shape in EVERY]
    measurements = [
        Measurement(shape, dict.fromkeys((US, *peers, gpu.BOUND), visits))
        for shape in shapes
        for peers in [GPU_FLEET_PEERS if shape.networks > 1 else GPU_PEERS]
    ]
    report = gpu.report_of({"GPU": "a card"}, measurements)
    for shape in shapes:
        assert shape.label in report
    assert "CUDA graph" in report
    assert "≥ 1: met" in report
    assert "missed" not in report
