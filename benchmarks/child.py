"""A contestant's own process: reads a request a line, trains, answers a line. `python -m benchmarks.child NAME DEVICE`.

Threads are bounded by the environment before anything is imported, see `benchmarks.session`.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from importlib import metadata
from typing import Any, TextIO

from benchmarks.problem import Problem
from benchmarks.run import Training
from benchmarks.shapes import Shape


class Answers:
    """Answers requests for one contestant, and keeps what it compiled for the shape that is on."""

    def __init__(self, name: str, device: str) -> None:
        self._device = device
        self.contestant = importlib.import_module(f"benchmarks.contestants.{name}")
        self._shape: Shape | None = None
        self._problem: Problem
        self._training: Training

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Train the shape of the request, or say why not."""
        shape = Shape(**request["shape"] | {"widths": tuple(request["shape"]["widths"])})
        if reason := self.contestant.why_not(shape):
            return {"refused": reason}
        if shape != self._shape:
            self._problem, self._shape = Problem(shape, self._device), shape
            self._training = self.contestant.prepare(self._problem)
        run = self._training(request["epochs"])
        answer: dict[str, Any] = {"seconds": run.seconds, "losses": [loss.tolist() for loss in run.losses]}
        if request["judge"] and run.layers:
            answer["final"] = self._problem.loss(run.layers).tolist()
        return answer | {"threads": _threads()}


def _threads() -> dict[str, int]:
    """Return the size of each thread pool of this process, as the libraries themselves tell it."""
    from threadpoolctl import threadpool_info

    pools = {f"{pool['internal_api']} {pool['prefix']}": pool["num_threads"] for pool in threadpool_info()}
    if torch := sys.modules.get("torch"):
        pools["torch"] = torch.get_num_threads()
    if numba := sys.modules.get("numba"):
        pools["numba"] = numba.get_num_threads()
    return pools


def main(name: str, device: str, requests: TextIO, answers: TextIO) -> None:
    """Answer until there are no more requests."""
    contestant: Answers | None = None
    for line in requests:
        try:
            contestant = contestant or Answers(name, device)
            answer: dict[str, Any] = contestant.answer(json.loads(line))
        except Exception as error:  # a peer that fails is a line in the table, not the end of the run
            traceback.print_exc()
            answer = {"refused": f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        if contestant:
            answer["versions"] = {library: metadata.version(library) for library in contestant.contestant.LIBRARIES}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    # Libraries that print would garble the answers: what was standard output is kept for them alone.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as kept:
        os.dup2(2, 1)
        name, device = sys.argv[1:]
        main(name, device, sys.stdin, kept)
