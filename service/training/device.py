"""The device that a job is trained on: which it is, whether it computes, and what it means when it doesn't."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import core
from service.jobs.schemas import Spec
from service.training.cannot_train import CannotTrain


class DeviceFailed(Exception):  # noqa: N818 -- what happened
    """The worker's own device doesn't compute any more, which is no fault of the job: another worker may train it."""

    def __init__(self, device: str, fault: str) -> None:
        super().__init__(f"{device}, on which the job was trained, doesn't compute: {fault}")


def device_of(spec: Spec, own: str) -> str:
    """Return where to train, such as "cuda:0": where the job says, else on the worker's `own` device.

    >>> class Job:
    ...     device = "cuda"
    >>> device_of(Job, "cuda:1"), device_of(Job, "cpu")
    ('cuda:1', 'cuda:0')
    """
    if spec.device == "auto" or (spec.device == "cuda" and own.startswith("cuda")):
        return own
    return "cuda:0" if spec.device == "cuda" else spec.device


def backend_for(spec: Spec, own: str) -> core.Backend:
    """Return where to compute; `own` is the worker's device for jobs that don't name one.

    Raises:
        CannotTrain: when the job names a device that isn't this worker's, and that can't be used.
        DeviceFailed: when the worker's own can't.
    """
    device = device_of(spec, own)
    try:
        return core.get_backend(backend_name(device), dtype=spec.dtype)
    except core.BackendError as error:
        raise _failure(device, own, str(error)) from error


@contextmanager
def watched(spec: Spec, own: str) -> Iterator[None]:
    """Raise what `backend_for` does in place of an unexpected error within, where the device then doesn't compute.

    Whatever it is that a lost device makes CUDA, cuBLAS or CuPy raise: it is known by what it does afterwards.
    """
    try:
        yield
    except (CannotTrain, DeviceFailed, MemoryError, OSError):
        raise
    except Exception as error:
        device = device_of(spec, own)
        if fault := fault_of(device):
            raise _failure(device, own, f"{error}; {fault}") from error
        raise


def _failure(device: str, own: str, fault: str) -> Exception:
    if device == own:
        return DeviceFailed(device, fault)
    return CannotTrain("device_unavailable", f"device {device!r} can't be used: {fault}")


def fault_of(device: str) -> str | None:
    """Return why `device` doesn't compute, by trying it with an allocation, a kernel and a product; None where it does.

    After an error that a CUDA context doesn't survive, everything fails in this process; whether the device itself is
    lost, a new process can tell.
    """
    try:
        core.get_backend(backend_name(device))
    except core.BackendError as error:
        return str(error)
    return None


def warm_up(device: str) -> None:
    """Make ready for the first job on `device`: Numba takes longer to import than a small job to train."""
    if device == "cpu":
        core.get_backend("numpy").for_training()


def backend_name(device: str) -> str:
    """Return what `core.get_backend` calls `device`.

    >>> backend_name("cuda:1")
    'cupy:1'
    """
    return device.replace("cpu", "numpy").replace("cuda", "cupy")
