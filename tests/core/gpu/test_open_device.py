"""`get_backend` says what is missing where a GPU can't be used, and uses it where it can."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import pytest

pytest.importorskip("cupy", exc_type=ImportError)

from core.backend import BackendError, NumpyBackend, get_backend
from core.cupy_backend import CupyBackend
from tests.core.gpu.cupy_stand_in import CupyStandIn
from tests.core.gpu.stand_in_array import cupy

Install = Callable[[object], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that puts a module in CuPy's place."""
    return lambda module: monkeypatch.setitem(sys.modules, "cupy", module)


def has_gpu() -> bool:
    try:
        return cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


@pytest.mark.parametrize(("name", "device"), [("cupy", 0), ("cupy:0", 0), ("cupy:1", 1), ("auto", 0)])
def test_a_working_gpu_is_used(install: Install, name: str, device: int) -> None:
    install(CupyStandIn(devices=2))
    backend = get_backend(name, dtype="float64")
    assert isinstance(backend, CupyBackend)
    assert (backend.name, backend.dtype) == (f"cupy:{device}", np.float64)


def test_the_memory_of_a_gpu_is_limited_through_cupys_pool(install: Install) -> None:
    assert "set_limit(self, size=None, fraction=None)" in str(cupy.cuda.MemoryPool.set_limit.__doc__)
    module = CupyStandIn()
    install(module)
    backend = get_backend("cupy")
    for size in (1 << 30, 0):
        backend.limit_memory(size)
        assert module.get_default_memory_pool().limit == size


class BrokenCompiler(CupyStandIn):
    def RawModule(self, **_options: Any) -> NoReturn:
        raise OSError("libnvrtc.so.12: cannot open shared object file")


class WrongProducts(CupyStandIn):
    def matmul(self, left: Any, right: Any, out: Any) -> None:
        out[...] = 0


class NoMemory(CupyStandIn):
    def asarray(self, *_args: Any, **_options: Any) -> NoReturn:
        raise MemoryError("out of memory allocating 512 bytes")


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        (None, "cupy", r"backend 'cupy:0': CuPy can't be imported .*pip install 'deltabar\[cuda12\]'"),
        (CupyStandIn(devices=1), "cupy:7", r"backend 'cupy:7': this machine has 1 GPU\(s\), numbered from 0"),
        (BrokenCompiler(), "cupy", r"the GPU can't be used \(OSError: libnvrtc.*NVIDIA driver"),
        (WrongProducts(), "cupy", r"cupy:0: the GPU gives wrong results"),
        (NoMemory(), "cupy", r"the GPU can't be used \(MemoryError: out of memory"),
    ],
    ids=["no CuPy", "no such device", "no compiler", "wrong results", "no memory"],
)
def test_what_is_missing_is_said(install: Install, module: object, name: str, message: str) -> None:
    install(module)
    with pytest.raises(BackendError, match=message):
        get_backend(name)
    if ":" not in name:
        assert isinstance(get_backend("auto"), NumpyBackend)


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_without_a_gpu_the_real_cupy_is_refused_and_auto_takes_numpy() -> None:
    with pytest.raises(
        BackendError, match=r"can't be used \(CUDARuntimeError: .*driver and a GPU; use the backend 'numpy'"
    ):
        get_backend("cupy")
    assert isinstance(get_backend("auto", dtype="float64"), NumpyBackend)
