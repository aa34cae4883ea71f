"""`make bench-gpu`: every shape on a GPU, beside PyTorch and JAX on it, and at the rate of its matrix products."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import core
from benchmarks import machine, table
from benchmarks.contestants import GPU_FLEET_PEERS, GPU_PEERS, US
from benchmarks.measurement import Measurement, measure
from benchmarks.results_file import keep
from benchmarks.session import Session
from benchmarks.shapes import EVERY, Shape
from core.threads import cores

ROUNDS = 7
BOUND = "matmuls_torch"


def main() -> int:
    """Return 1 where there is no GPU, where contestants disagree, or where a bar is missed by more than the noise."""
    try:
        gpu = core.get_backend("cupy")
    except core.BackendError as error:
        print(f"There is no GPU to measure: {error}.", file=sys.stderr)
        return 1
    about = {"GPU": name_of(gpu)} | machine.description(cores())
    measurements: list[Measurement] = []
    with Session(cores(), device="cuda") as session:
        for shape in map(with_bars, EVERY):
            print(f"{shape.label} …", file=sys.stderr, flush=True)
            peers = GPU_FLEET_PEERS if shape.networks > 1 else GPU_PEERS
            measurements.append(measure(session, shape, [US, *peers, BOUND], ROUNDS))
        about |= {"Versions": ", ".join(f"{name} {version}" for name, version in sorted(session.versions.items()))}
    report = report_of(about, measurements)
    print(report)
    keep("On a GPU", report)
    wrong = [sentence for found in measurements for sentence in found.disagreements]
    return int(bool(wrong) or any(verdict.word == "missed" for verdict in table.every_verdict(measurements)))


def with_bars(shape: Shape) -> Shape:
    """Return the shape with a GPU's bars: as fast as every peer, and as yet none for the share of the bound."""
    return replace(shape, bars={}, bound_bar=None)


def report_of(about: dict[str, str], measurements: Sequence[Measurement]) -> str:
    """Return the report as Markdown."""
    alone = [found for found in measurements if found.shape.networks == 1]
    fleets = [found for found in measurements if found.shape.networks > 1]
    wrong = [sentence for found in measurements for sentence in found.disagreements]
    parts = [
        table.markdown(["", ""], list(about.items())),
        "",
        table.summary(table.every_verdict(measurements)),
        *(["\nNot the same training, so not to be compared:", *wrong] if wrong else []),
        "\n## How many times as fast we are on a GPU\n",
        table.ratio_table(alone, list(GPU_PEERS)),
        "\n## Fleets on a GPU: µs a step of one network\n",
        table.ratio_table(fleets, list(GPU_FLEET_PEERS)),
        "\n## The bound on a GPU: a step's matrix products alone\n",
        table.bound_table(measurements),
        "\n## Every time on a GPU\n",
        table.time_table(measurements),
        "\n## Who takes no part on a GPU\n",
        table.refusal_table(measurements),
    ]
    return "\n".join(parts)


def name_of(gpu: core.Backend) -> str:
    """Return the card's name, as its driver tells it."""
    return gpu.xp.cuda.runtime.getDeviceProperties(0)["name"].decode()


if __name__ == "__main__":
    sys.exit(main())
