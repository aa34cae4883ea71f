"""Which devices a worker trains on: one slot, and so one child at work, for each entry."""

from __future__ import annotations

import contextlib
import ctypes
from importlib.metadata import PackageNotFoundError, version

DRIVER = "libcuda.so.1"


def slots_of(devices: str, slots: int) -> list[str]:
    """Return the device of every slot.

    Args:
        devices: as the setting has it, "auto" or a list such as "cuda:0,cuda:1"; "auto" is every GPU where CuPy is
            installed and there is one, else the CPU.
        slots: on each device.

    >>> slots_of("cuda:0,cuda:1", 2)
    ['cuda:0', 'cuda:0', 'cuda:1', 'cuda:1']
    """
    found = devices.split(",")
    if devices == "auto":
        found = [f"cuda:{number}" for number in range(n_gpus())] if cupy_release() else []
    return [device for device in found or ["cpu"] for _ in range(slots)]


def cupy_release() -> tuple[str, str] | None:
    """Return the name of the package and its version as which CuPy is installed, without importing it; else None."""
    for name in ("cupy-cuda13x", "cupy-cuda12x", "cupy"):
        with contextlib.suppress(PackageNotFoundError):
            return name, version(name)
    return None


def driver_version() -> str | None:
    """Return the newest CUDA that the driver knows, such as "12.9"; None where there is no driver that answers."""
    number = ctypes.c_int()
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return None
    if driver.cuDriverGetVersion(ctypes.byref(number)):
        return None
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def n_gpus() -> int:
    """Return how many GPUs the driver shows to this process: 0 where there is none, or no driver.

    The driver is asked directly, as importing CuPy would take longer than starting the worker.
    """
    count = ctypes.c_int()
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return 0
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return 0 if failed else count.value
