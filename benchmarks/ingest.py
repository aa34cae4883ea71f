"""`make bench-ingest`: a CSV file of 1 GB through the service, beside polars' own reading; kept in RESULTS.md."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

from benchmarks import machine
from benchmarks.results_file import keep
from benchmarks.session import ROOT
from benchmarks.table import markdown, number
from core.threads import cores
from service.client import Client

GB = 10**9
ROUNDS = 5
WIDE = 3000
MOST_WEB_MB, MOST_INGEST_MB, LEAST_SHARE = 250, 1000, 60
HOW = """\
The file has 12 columns: eight of fractions, one of whole numbers, one that counts, two of texts. Reading it with
`polars.read_csv` and ingesting it (`service.datasets.ingest`: checked, read, written as a table, with statistics of
every column) take turns, each in a process of its own whose imports are done, with as many threads of polars as there
are cores; the share is that of two times of one round, the median of the rounds. polars looks for no spelling of a
missing value but the empty one, makes no statistics and keeps nothing. Memory is the peak of the resident set. The web
process is that of `deltabar serve`, which gets the file over HTTP and describes it in its answer.
"""
_POLARS = """
import polars, resource, sys, time
start, used = time.perf_counter(), time.process_time()
polars.read_csv(sys.argv[1])
seconds, used = time.perf_counter() - start, time.process_time() - used
"""
_INGEST = """
import resource, sys, tempfile, time
from pathlib import Path
from service.datasets.ingest import Request, ingest
from service.datasets.limits import Limits
from service.datasets.reading import Reading
from service.settings import Settings
path, limits = Path(sys.argv[1]), Limits.of(Settings())
with tempfile.TemporaryDirectory(dir=path.parent) as folder:
    start, used = time.perf_counter(), time.process_time()
    ingest(Request(path=path, folder=Path(folder, "table"), reading=Reading(), limits=limits))
    seconds, used = time.perf_counter() - start, time.process_time() - used
"""
_SAY = "\nprint(seconds, used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)\n"


@dataclass(frozen=True)
class Run:
    """What reading the file once took; `used` is the processors' time, in seconds, of all threads."""

    seconds: float
    used: float
    megabytes: float


def main() -> int:
    """Return 1 where a bar is missed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 MB and one round; keeps nothing")
    parser.add_argument("--file", type=Path, help="a CSV file to take instead of one that is made")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="deltabar-bench-") as folder:
        path = given.file or made(Path(folder, "rows.csv"), GB // 10 if given.quick else GB)
        pairs = [(run(_POLARS, path), run(_INGEST, path)) for _ in range(1 if given.quick else ROUNDS)]
        web, upload = through_the_service(path, Path(folder))
        size = path.stat().st_size
        wide = wide_made(Path(folder, "wide.csv"), GB // (100 if given.quick else 10))
        wides = [(run(_POLARS, wide), run(_INGEST, wide)) for _ in range(1 if given.quick else ROUNDS)]
        wide_size = wide.stat().st_size
    shares = [100 * polars.seconds / ours.seconds for polars, ours in pairs]
    peak = max(ours.megabytes for _, ours in pairs)
    share = float(np.median(shares))
    used = float(np.median([100 * polars.used / ours.used for polars, ours in pairs]))
    rows = [
        _row("web process: peak of memory, MB", web, web <= MOST_WEB_MB, f"≤ {MOST_WEB_MB}"),
        _row("ingestion: peak of memory, MB", peak, peak <= MOST_INGEST_MB, f"≤ {MOST_INGEST_MB}"),
        _row("ingestion: speed, % of polars' reading", share, share >= LEAST_SHARE, f"≥ {LEAST_SHARE}"),
        _row("ingestion: % of polars' reading, by the processors' time", used),
        _row("ingestion: MB a second", size / 1e6 / float(np.median([ours.seconds for _, ours in pairs]))),
        _row("polars.read_csv: MB a second", size / 1e6 / float(np.median([polars.seconds for polars, _ in pairs]))),
        _row("polars.read_csv: peak of memory, MB", max(polars.megabytes for polars, _ in pairs)),
        _row("upload until it is described, s", upload),
        _row(
            f"{WIDE:,} columns, {wide_size / 1e6:,.0f} MB: % of polars' reading, by the processors' time",
            float(np.median([100 * polars.used / ours.used for polars, ours in wides])),
        ),
        _row(
            f"{WIDE:,} columns: MB a second of the processors",
            wide_size / 1e6 / float(np.median([ours.used for _, ours in wides])),
        ),
    ]
    about = machine.description(cores()) | {"polars": pl.__version__, "File": f"{size / 1e6:,.0f} MB of CSV"}
    table = markdown(["", "measured", "bar", ""], rows)
    report = "\n".join([markdown(["", ""], list(about.items())), "", table, "", HOW])
    print(report)
    if not given.quick:
        keep("Data in", report)
    return int(any(row[-1] == "missed" for row in rows))


def made(path: Path, size: int) -> Path:
    """Write a CSV file of about `size` bytes."""
    random, block, row = np.random.default_rng(0), 500_000, 0
    with path.open("wb") as file:
        while file.tell() < size:
            columns = {f"f{index}": np.round(random.normal(size=block), 6) for index in range(8)}
            texts = {"colour": ["red", "green", "blue", "amber"], "city": [f"city {index}" for index in range(300)]}
            table = pl.DataFrame(
                columns | {"count": random.integers(0, 1000, block), "id": np.arange(row, row + block)}
            )
            table = table.with_columns(
                pl.Series(name, np.array(among)[random.integers(0, len(among), block)]) for name, among in texts.items()
            )
            table.write_csv(file, include_header=row == 0)
            row += block
    return path


def wide_made(path: Path, size: int) -> Path:
    """Write a CSV file of about `size` bytes, of thousands of columns with fractions."""
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        while (start := file.tell()) < size:
            table = pl.DataFrame({f"f{index}": np.round(random.normal(size=500), 6) for index in range(WIDE)})
            table.write_csv(file, include_header=start == 0)
    return path


def run(program: str, path: Path) -> Run:
    """Run one of the programs on the file, in a process of its own."""
    command = [sys.executable, "-c", program + _SAY, str(path)]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Run(*map(float, answer.stdout.split()))


def through_the_service(path: Path, folder: Path) -> tuple[float, float]:
    """Upload the file to a service; return the web process's peak of memory in MB, and the seconds that it took."""
    serve = [sys.executable, "-m", "service.cli", "serve", "--port", "0", "--data-dir", str(folder / "data")]
    environment = os.environ | {"DELTABAR_MAX_UPLOAD_BYTES": str(4 * GB)}
    with subprocess.Popen(
        [*serve, "--watch-stdin"], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "the service doesn't start"
        try:
            with Client(found[0]) as client:
                start = perf_counter()
                dataset = client.datasets.upload(path)
                seconds = perf_counter() - start
                assert json.loads(dataset.model_dump_json())["rows"] > 0
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        finally:
            process.terminate()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak, status
    return int(peak[1]) * 1024 / 1e6, seconds


def _row(what: str, measured: float, met: bool | None = None, bar: str = "") -> list[str]:
    return [what, number(measured), bar, "" if met is None else "met" if met else "missed"]


if __name__ == "__main__":
    sys.exit(main())
