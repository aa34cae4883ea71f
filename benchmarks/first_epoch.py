"""The start of a new process: `python -m benchmarks.first_epoch MODULE CONTESTANT` prints the seconds as JSON.

Nothing is imported up here but the standard library, as imports are what is measured.
"""

import importlib
import json
import sys
import time


def main(module: str, contestant: str) -> None:
    """Print how long NumPy's import takes, `module`'s after it, and the first epoch of a tiny network then."""
    began = time.perf_counter()
    importlib.import_module("numpy")
    numpy_is_there = time.perf_counter()
    importlib.import_module(module)
    is_imported = time.perf_counter()

    from benchmarks.problem import Problem
    from benchmarks.shapes import TABLE

    problem = Problem(TABLE[0])
    trains = importlib.import_module(f"benchmarks.contestants.{contestant}")
    ready = time.perf_counter()
    trains.prepare(problem)(1)
    ended = time.perf_counter()
    seconds = {"numpy": numpy_is_there - began, "library": is_imported - numpy_is_there, "first_epoch": ended - ready}
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
