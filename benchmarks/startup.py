"""Start-up: what an import costs beyond NumPy's own, and the first epoch of a tiny network in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from benchmarks.bars import Verdict
from benchmarks.contestants import US
from benchmarks.session import ROOT
from benchmarks.threads import cores_for
from benchmarks.timing import Spread
from core.threads import environment

MODULES = {
    US: "core",
    "torch_eager": "torch",
    "torch_compiled": "torch",
    "jax_scan": "jax",
    "sklearn_mlp": "sklearn.neural_network",
    "thinc_chain": "thinc.api",
}
"""What a user of the contestant imports."""
MOST_IMPORT, MOST_FIRST_EPOCH = 0.15, 1.0

StartUps = Mapping[str, dict[str, Spread]]
"""By contestant: seconds of "numpy", "library", "first_epoch"."""


def start_ups(threads: int, repetitions: int) -> StartUps:
    """Start a new process for each contestant, in turn, `repetitions` times, after one that only fills the caches."""
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in MODULES}
    for each in range(repetitions + 1):
        for name, module in MODULES.items():
            command = [sys.executable, "-m", "benchmarks.first_epoch", module, name]
            # What pip installs has its bytecode, so we may keep ours.
            variables = {**environment(threads), "PYTHONDONTWRITEBYTECODE": ""}
            with cores_for(threads):
                ran = subprocess.run(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True, check=False)
            if ran.returncode == 0 and each > 0:
                seen[name].append(json.loads(ran.stdout.splitlines()[-1]))
    return {
        name: {key: Spread.of([run[key] for run in runs]) for key in runs[0]} for name, runs in seen.items() if runs
    }


def verdicts(found: StartUps) -> list[Verdict]:
    """Return the verdicts on our own start."""
    ours = found[US]
    return [
        Verdict("start-up", "s: `import core` beyond NumPy's own", MOST_IMPORT, ours["library"], at_most=True),
        Verdict("start-up", "s: first epoch of tiny", MOST_FIRST_EPOCH, ours["first_epoch"], at_most=True),
    ]
