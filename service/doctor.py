"""`deltabar doctor`: what the service would run on, and what to do where it couldn't.

Every check looks and changes nothing: no table is made, no folder, no key. The service logs the same when it starts:
`cheap` are those that take milliseconds, which it waits for; `computing` it leaves to the process that measures the
machine (`service.calibration`), and each GPU to the child that is to train on it (`service.runner`).
"""

from __future__ import annotations

import importlib
import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from service.devices import cupy_release, driver_version, n_gpus, slots_of
from service.settings import Settings

if TYPE_CHECKING:
    import core

State = Literal["good", "absent", "bad"]
SIZE = 1024
"""Of the matrices of the product that is timed."""
MEASURED_SECONDS = 0.2
GIB = 2**30
LITTLE_BYTES = GIB
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: what was looked at.
        state: "good"; "absent" is what the service does without; "bad" is what it can't do its work with.
        says: what there is, in words.
        advice: what to do about it, where there is something.
        figures: the same for programs.
    """

    name: str
    state: State
    says: str
    figures: dict[str, Any]
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield every finding, those that take no time first."""
    yield from cheap(settings)
    yield from computing()
    yield from gpus(settings)
    yield keys(settings)


def cheap(settings: Settings) -> Iterator[Finding]:
    """Yield what is found out in milliseconds, without importing what computes."""
    yield versions()
    yield processor(settings)
    yield driver()
    yield cupy()
    yield storage(settings)
    yield database(settings)


def computing() -> Iterator[Finding]:
    """Yield what the CPU multiplies matrices with, and how fast."""
    yield blas()
    yield product_on("numpy")


def tell(findings: Iterable[Finding]) -> None:
    """Log `findings`, one line each with its figures as fields."""
    for finding in findings:
        level = logging.WARNING if finding.state == "bad" else logging.INFO
        advice = f"; {finding.advice}" if finding.state == "bad" else ""
        log.log(level, "%s: %s%s", finding.name, finding.says, advice, extra={finding.name: finding.figures})


def versions() -> Finding:
    """Return which deltabar, Python and system these are."""
    found = {"deltabar": version("deltabar"), "python": platform.python_version(), "system": platform.platform()}
    return Finding(
        "versions", "good", f"deltabar {found['deltabar']}, Python {found['python']}, {found['system']}", found
    )


def processor(settings: Settings) -> Finding:
    """Return how many cores there are, how many may be used, and how a worker divides them."""
    from core.threads import cores, quota

    devices = slots_of(settings.devices, settings.slots)
    there, usable, share = os.cpu_count(), cores(), quota()
    threads = max(1, (settings.threads or usable) // len(devices))
    limit = f", as this container has the time of {share:g}" if share < (there or 0) else ""
    says = f"{usable} of {there} cores{limit}; a worker trains on {', '.join(devices)} with {threads} thread(s) each"
    figures = {"cores": there, "usable": usable, "devices": devices, "threads": threads}
    return Finding("processor", "good", says, figures)


def driver() -> Finding:
    """Return what NVIDIA's driver says of itself and its GPUs."""
    known = driver_version()
    if known is None:
        says = "no NVIDIA driver; without one, jobs train on the CPU"
        advice = "for a GPU install its driver; in a container, give it the device: --gpus all, or a CDI device"
        return Finding("driver", "absent", says, {"version": None, "gpus": 0}, advice)
    count = n_gpus()
    figures = {"version": known, "gpus": count}
    says = f"NVIDIA's driver for CUDA up to {known} with {count} GPU(s)"
    if not count:
        return Finding(
            "driver", "absent", says, figures, "CUDA_VISIBLE_DEVICES may hide them, or the container's options"
        )
    return Finding("driver", "good", says, figures)


def cupy() -> Finding:
    """Return which CuPy is installed, without importing it."""
    if found := cupy_release():
        return Finding("cupy", "good", " ".join(found), {"package": found[0], "version": found[1]})
    install = "pip install 'deltabar[cuda12]' or 'deltabar[cuda13]', or take the image deltabar:gpu"
    figures = {"package": None, "version": None}
    if n_gpus():
        return Finding("cupy", "bad", "not installed, so that no job can use the GPUs", figures, install)
    return Finding("cupy", "absent", "not installed", figures, f"for a GPU {install}")


def blas() -> Finding:
    """Return which libraries NumPy's products are computed with, and by how many threads."""
    importlib.import_module("numpy")
    from threadpoolctl import threadpool_info

    found = [each for each in threadpool_info() if each["user_api"] == "blas"]
    figures = {"libraries": [{key: each.get(key) for key in _OF_BLAS} for each in found]}
    numba = _installed("numba")
    compiled = f"; steps are compiled by Numba {numba}" if numba else "; without Numba, steps aren't compiled"
    if not found:
        return Finding("blas", "good", f"of a kind that isn't known{compiled}", figures)
    said = ", ".join(
        f"{each['internal_api']} {each['version']} for {each.get('architecture')}, {each['num_threads']} thread(s)"
        for each in found
    )
    return Finding("blas", "good", said + compiled, figures)


_OF_BLAS = ("internal_api", "version", "architecture", "num_threads")


def gpus(settings: Settings) -> Iterator[Finding]:
    """Yield what each GPU that the settings name can do: an allocation, a kernel of ours, and products."""
    devices = sorted({device for device in slots_of(settings.devices, 1) if device != "cpu"})
    for device in devices:
        yield product_on(device.replace("cuda", "cupy"))


def product_on(name: str, seconds: float = MEASURED_SECONDS) -> Finding:
    """Return what the backend called `name` is, and how fast it multiplies matrices; "bad" where it can't be used.

    Args:
        name: as `core.get_backend` has it.
        seconds: how long to multiply.
    """
    import core

    shown = name.replace("cupy", "cuda").replace("numpy", "cpu")
    try:
        backend = core.get_backend(name)
        rate = _rate(backend, seconds)
    except Exception as error:  # CuPy's errors share no base class
        advice = "set DELTABAR_DEVICES=cpu to do without it"
        return Finding(shown, "bad", str(error), {"error": type(error).__name__}, advice)
    figures: dict[str, Any] = {"gflops": round(rate / 1e9, 1)}
    says = f"{figures['gflops']:,} GFLOP/s in float32 products of {SIZE} × {SIZE}"
    if memory := backend.memory():
        figures |= {"free_bytes": memory.free, "used_bytes": memory.used}
        says = f"an allocation, a kernel and a product work; {memory.free / GIB:.1f} GiB free; {says}"
    return Finding(shown, "good", says, figures)


def _rate(backend: core.Backend, seconds: float) -> float:
    import numpy as np

    a = backend.asarray(np.random.default_rng(0).standard_normal((SIZE, SIZE)))
    out = backend.empty((SIZE, SIZE))
    backend.kernels.matmul(a, a, out=out)
    backend.synchronize()
    products, begun = 0, time.perf_counter()
    while (took := time.perf_counter() - begun) < seconds or not products:
        backend.kernels.matmul(a, a, out=out)
        backend.synchronize()
        products += 1
    return 2 * SIZE**3 * products / took


def storage(settings: Settings) -> Finding:
    """Return whether files can be written to the data folder, or the folder be made, and how much space is left."""
    folder = settings.data_dir.resolve()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    figures: dict[str, Any] = {"folder": str(folder), "exists": there == folder}
    try:
        if there.is_dir() and there != folder and not os.access(there, os.W_OK):
            raise PermissionError(13, os.strerror(13), str(there))
        if there == folder or not there.is_dir():
            with tempfile.TemporaryFile(dir=there):
                pass
    except OSError as error:
        says = f"{folder} can't be written to: {error.strerror}"
        advice = "choose another with --data-dir (or DELTABAR_DATA_DIR), or give it to the user of this process"
        return Finding("storage", "bad", says, figures, advice)
    free = figures["free_bytes"] = shutil.disk_usage(there).free
    says = f"{folder} {'can be written to' if there == folder else 'can be made'}, {free / GIB:.1f} GiB free"
    if free < LITTLE_BYTES:
        return Finding("storage", "bad", says, figures, "make room: data sets and checkpoints are written there")
    return Finding("storage", "good", says, figures)


def database(settings: Settings) -> Finding:
    """Return whether the database answers, and whether its tables are this version's."""
    from service.data_dir import standing

    try:
        found = standing(settings)
    except Exception as error:  # of the URL, the driver, the server, the file
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        advice = "check that the server runs and that DELTABAR_DATABASE_URL names it"
        return Finding("database", "bad", reason, {"error": type(error).__name__}, advice)
    figures = {"url": found.shown, "tables": found.tables}
    says = (
        f"{found.shown}: "
        + {
            "missing": "no tables yet; they are made with the first start",
            "older": "tables of an older version; they are changed with the first start, so back up first",
            "current": "the tables are this version's",
            "unknown": "tables of another version, which this one doesn't know",
        }[found.tables]
    )
    if found.tables == "unknown":
        return Finding("database", "bad", says, figures, "use the version of deltabar that made them, or a newer one")
    return Finding("database", "good", says, figures)


def keys(settings: Settings) -> Finding:
    """Return whether requests need an API key, and whether there is one."""
    from service.data_dir import standing

    needed = settings.keys_required
    try:
        there = settings.admin_key is not None or standing(settings).has_key
    except Exception:  # `database` tells
        there = None
    figures = {"needed": needed, "there": there}
    if not needed:
        return Finding("keys", "good", f"on {settings.host} requests need no API key", figures)
    says = f"on {settings.host} every request needs an API key, and "
    if there:
        return Finding("keys", "good", f"{says}there is one", figures)
    if there is None:
        return Finding("keys", "absent", f"{says}the database doesn't tell whether there is one", figures)
    return Finding("keys", "bad", f"{says}there is none", figures, "make one: `deltabar keys create --owner NAME`")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def report(findings: list[Finding]) -> dict[str, Any]:
    """Return the findings for programs."""
    return {"ok": all(finding.state != "bad" for finding in findings), "checks": [asdict(each) for each in findings]}
