"""Whether the host waits for the GPU, on the stand-in for CuPy as on a real device."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

cupy = pytest.importorskip("cupy", exc_type=ImportError)
cupyx = pytest.importorskip("cupyx", exc_type=ImportError)


class WaitedError(AssertionError):
    """The host has waited for a stream."""


@contextmanager
def without_waiting() -> Iterator[None]:
    """Let raise whatever reads from the device, or waits for it or for one of its streams.

    CuPy itself detects reads (`get`, and so `item`, `float`, `bool` and `asnumpy`) and `Device.synchronize`; a wait for
    a stream is found by its method, through which reads go as well. A wait for an event is none: it is for what was
    asked of another stream some steps ago.
    """
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # It may go from CuPy one day, "as it is not possible to reliably detect synchronizations".
        warnings.filterwarnings("ignore", "cupyx.allow_synchronize will be removed")
        patch.setattr(cupy.cuda.Stream, "synchronize", _raise)
        patch.setattr(cupy.cuda.ExternalStream, "synchronize", _raise)
        with cupyx.allow_synchronize(False):
            yield


def _raise(_stream: object) -> None:
    raise WaitedError
