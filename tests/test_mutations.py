"""The list of planted faults fits the code, so that `make mutations` can try each of them; it runs for minutes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutations import ROOT, Fault, faults


def test_there_are_faults_of_every_family() -> None:
    assert len(faults()) > 90
    files = {Path(fault.file) for fault in faults()}
    without_formulas = {"__init__", "held", "identity", "held_exp", "one_hot", "schedule", "adamw", "optimizer"}
    for family in ("activations", "losses", "optimizers", "schedules"):
        named = {path.stem for path in files if path.parent.name == family}
        assert named | without_formulas >= {path.stem for path in (ROOT / "core" / family).glob("*.py")}, family


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: f"{Path(fault.file).stem}: {fault.why}")
def test_the_fault_can_be_planted_and_its_test_is_there(fault: Fault) -> None:
    wrong = fault.planted((ROOT / fault.file).read_text(encoding="utf-8"))
    assert fault.old != fault.new
    compile(wrong, fault.file, "exec")
    assert (ROOT / shlex.split(fault.test)[0].partition("::")[0]).exists()


RIGHT = Fault("module.py", old="value = 1", new="value = 2", test="test_module.py", why="")
CASES = [
    (RIGHT, "None"),
    (replace(RIGHT, new="value = 1.0"), "the tests passed"),
    (replace(RIGHT, old="value = 3"), "'value = 3' stands 0 times in module.py, not 1"),
    (replace(RIGHT, test="test_module.py -k nothing"), "pytest ended with 5"),
    (replace(RIGHT, test="no_such_file.py"), "pytest ended with 4"),
    (replace(RIGHT, new="value ="), "pytest ended with 2"),
]
"""Faults in a module of one line, and what is said about each."""


def test_only_a_test_that_turns_red_catches_a_fault(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("value = 1\n")
    (tmp_path / "test_module.py").write_text("from module import value\n\ndef test_it():\n    assert value == 1\n")
    # In a process of its own, as it forks, which a process with threads is not to do.
    program = (
        "import sys; from pathlib import Path; from tests.mutations import Fault, is_caught; "
        f"print(*(is_caught(each, Path(sys.argv[1])) for each in {[fault for fault, _ in CASES]!r}), sep='\\0')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for said, (fault, expected) in zip(ran.stdout.split("\0"), CASES, strict=True):
        assert said.startswith(expected), fault
    assert (tmp_path / "module.py").read_text() == "value = 1\n"
