"""Plants faults in the formulas, one at a time, and sees whether the test that is named beside each turns red.

`make mutations` runs all; `python tests/mutations.py sigmoid` those whose file has "sigmoid" in its name. The faults
are planted in a copy. Each test runs in a fork of this process, which has imported pytest and NumPy already.
"""

from __future__ import annotations

import compileall
import importlib
import os
import shlex
import shutil
import sys
import tempfile
import time
import tomllib
import traceback
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).parent.parent
FAULTS = Path(__file__).parent / "mutations.toml"
TESTS_FAILED = 1  # pytest's exit code; others mean that the tests didn't run
BROKE_OFF = 100  # ours, where pytest itself raised


@dataclass(frozen=True)
class Fault:
    """`old`, which stands `times` times in `file`, becomes `new`; `test` must then fail."""

    file: str
    old: str
    new: str
    test: str
    why: str
    times: int = 1

    def planted(self, text: str) -> str:
        """Return the file's text with the fault.

        Raises:
            ValueError: where `old` doesn't stand there as often as it should.
        """
        if text.count(self.old) != self.times:
            raise ValueError(f"{self.old!r} stands {text.count(self.old)} times in {self.file}, not {self.times}")
        return text.replace(self.old, self.new)


def faults() -> list[Fault]:
    """Return the faults of mutations.toml: one table a file, in it one entry a fault."""
    read = tomllib.loads(FAULTS.read_text(encoding="utf-8"))
    return [Fault(file, **entry) for file, entries in read.items() for entry in entries]


def copy_to(folder: Path) -> None:
    """Copy what the tests need, compiled such that the bytecode goes by the text, not by its second of writing."""
    for name in ("core", "tests", "service", "pyproject.toml", "README.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for name in ("core", "tests"):
        compileall.compile_dir(folder / name, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)


def pytest_in_a_fork(arguments: list[str], folder: Path, output: Path) -> int:
    """Run pytest on `folder`, with what it prints written to `output`; return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = BROKE_OFF
    try:
        import pytest

        printed = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *arguments]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def is_caught(fault: Fault, copy: Path) -> str | None:
    """Return None where the named test fails for the fault, else what went wrong."""
    file, output = copy / fault.file, copy / "printed"
    right = file.read_text(encoding="utf-8")
    try:
        file.write_text(fault.planted(right), encoding="utf-8")
        code = pytest_in_a_fork(shlex.split(fault.test), copy, output)
    except ValueError as error:
        return str(error)
    finally:
        file.write_text(right, encoding="utf-8")
    if code == TESTS_FAILED:
        return None
    return "the tests passed" if code == 0 else f"pytest ended with {code}:\n{output.read_text()[-2000:]}"


def main() -> int:
    """Try every fault and print a line for each; return the exit code."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a process with threads is not to be forked
    sys.dont_write_bytecode = True
    for module in ("pytest", "numpy"):  # once, for all forks
        importlib.import_module(module)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [fault for fault in faults() if wanted in fault.file]
    missed, began = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy_to(Path(folder))
        for fault in chosen:
            problem = is_caught(fault, Path(folder))
            missed += problem is not None
            print(f"{'missed' if problem else 'caught'}  {fault.file}: {fault.why}", flush=True)
            if problem:
                print(f"        {problem}\n        by {fault.test}", flush=True)
    seconds = time.monotonic() - began
    print(f"{len(chosen) - missed} of {len(chosen)} faults caught in {seconds:.0f} s")
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
