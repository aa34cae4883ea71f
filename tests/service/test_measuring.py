from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from service import measuring
from service.measuring import Measuring
from tests.service.processes import eventually

FOUND = """print('{"calibration": {"start": 1}, "findings": []}')"""


@pytest.mark.parametrize(("code", "stored"), [(FOUND, [{"start": 1}]), ("raise SystemExit(1)", [])])
def test_a_measurement_that_is_over_is_stored_once_and_can_be_closed(
    monkeypatch: pytest.MonkeyPatch, code: str, stored: list[dict[str, Any]]
):
    start, begun, told = subprocess.Popen, [], []

    def start_quickly(_command: list[str], **options: Any) -> subprocess.Popen[str]:
        begun.append(start([sys.executable, "-S", "-c", code], **options))
        return begun[-1]

    monkeypatch.setattr(measuring, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(measuring.subprocess, "Popen", start_quickly)
    own = Measuring(1, told.append)
    own.go_on(idle=True)
    assert eventually(lambda: begun[0].poll() is not None)
    own.go_on(idle=True)
    own.go_on(idle=True)
    own.close()
    own.close()
    assert (len(begun), told) == (1, stored)
