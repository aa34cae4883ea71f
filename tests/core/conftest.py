"""The backends that the tests of core run on; the real GPU is one of them (`pytest -m gpu`, `make test-gpu`)."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import numpy as np
import pytest

from core.arrays import Array
from core.backend import DTYPES, Backend, BackendError, CompiledNumpyBackend, NumpyBackend, get_backend
from core.kernels import InPlaceKernels, ReferenceKernels


def _numpy(dtype: str) -> Backend:
    """Return NumPy's own calls; what is compiled in their place is "compiled"."""
    return NumpyBackend(dtype, compiled=False)


def _strict(dtype: str) -> Backend:
    pytest.importorskip("array_api_strict")
    from tests.core.gpu.strict_backend import StrictBackend

    return StrictBackend(dtype)


def _stand_in(dtype: str) -> Backend:
    """Return core's own CuPy backend on a stand-in for CuPy; NumPy formulas compute what its kernels would."""
    pytest.importorskip("cupy", exc_type=ImportError)
    from core.cupy_backend import CupyBackend
    from tests.core.gpu.cupy_stand_in import CupyStandIn

    return CupyBackend(CupyStandIn(), 0, dtype)


def _cuda_text(dtype: str) -> Backend:
    """Return the same with the text of the CUDA kernels compiled for the CPU."""
    pytest.importorskip("cupy", exc_type=ImportError)
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ to compile the CUDA text for the CPU")
    from core.cupy_backend import CupyBackend
    from tests.core.gpu.cuda_on_host import compute_on_host
    from tests.core.gpu.cupy_stand_in import CupyStandIn

    return CupyBackend(CupyStandIn(compute_on_host), 0, dtype)


def _cupy(dtype: str) -> Backend:
    """Return a real GPU, each kernel launched by itself; many steps in one launch have tests of their own."""
    try:
        backend = get_backend("cupy", dtype)
    except BackendError as error:
        pytest.skip(str(error))
    backend.shared_memory = 0  # type: ignore[attr-defined]
    return backend


class _ReadOnlyInputs(NumpyBackend):
    """NumPy, where whatever is handed in can't be written to; outputs come from `empty` and `zeros`."""

    def asarray(self, host: np.ndarray, dtype: str | None = None) -> Array:
        array = np.array(host, dtype or self.dtype)
        array.flags.writeable = False
        return array


def _reference(dtype: str) -> Backend:
    backend = NumpyBackend(dtype)
    backend.kernels = ReferenceKernels(np)
    return backend


def _compiled(dtype: str) -> Backend:
    pytest.importorskip("numba")
    return CompiledNumpyBackend(dtype)


def _in_place(open_backend: Callable[[str], Backend]) -> Callable[[str], Backend]:
    def open_in_place(dtype: str) -> Backend:
        backend = open_backend(dtype)
        backend.kernels = InPlaceKernels(backend.xp)
        return backend

    return open_in_place


_BACKENDS = {
    "numpy": _numpy,
    "strict": _strict,
    "stand_in": _stand_in,
    "cuda_text": _cuda_text,
    "cupy": _cupy,
}
_ONLY_FOR_KERNELS = {
    "compiled": _compiled,
    "read_only": _ReadOnlyInputs,
    "reference": _reference,
    "stand_in_in_place": _in_place(_stand_in),
    "cupy_in_place": _in_place(_cupy),
}


def _parameters(backends: dict[str, Callable[[str], Backend]]) -> list[object]:
    return [
        pytest.param((open_backend, dtype), id=f"{name}-{dtype}", marks=pytest.mark.gpu if "cupy" in name else ())
        for name, open_backend in backends.items()
        for dtype in DTYPES
    ]


@pytest.fixture(params=_parameters(_BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend that networks can be trained on, in each dtype."""
    open_backend, dtype = request.param
    return open_backend(dtype)


@pytest.fixture(params=_parameters(_BACKENDS | _ONLY_FOR_KERNELS))
def kernel_backend(request: pytest.FixtureRequest) -> Backend:
    """The same, and more ways to run single kernels."""
    open_backend, dtype = request.param
    return open_backend(dtype)
