"""A GPU for a worker's children where there is none: CuPy's stand-in, which a file turns into a device that is lost."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.core.gpu.cupy_stand_in import CupyStandIn
from tests.core.gpu.stand_in_array import cupy
from tests.service.in_children import search_path

NO_DEVICE, DEVICES_UNAVAILABLE, ECC_UNCORRECTABLE, LAUNCH_FAILURE, UNKNOWN = 100, 46, 214, 719, 999
"""What CUDA's runtime may say of a GPU that has fallen off the bus, is another's, or is broken (`cudaError`)."""


class LosableGpu(CupyStandIn):
    """Once the file `lost` is there, every call ends with CUDA's error whose number stands in it.

    An array that is larger than what the pool was limited to ends as CuPy's pool ends it.
    """

    __version__ = cupy.__version__

    def __init__(self, lost: Path) -> None:
        super().__init__()
        self._lost = lost
        real = cupy.cuda.runtime
        self.cuda.runtime = SimpleNamespace(getDeviceCount=self._count, CUDARuntimeError=real.CUDARuntimeError)

    def asarray(self, *args: Any, **options: Any) -> Any:
        self._call()
        return super().asarray(*args, **options)

    def empty(self, *args: Any, **options: Any) -> Any:
        self._call()
        array = super().empty(*args, **options)
        limit = self._pool.limit
        if limit and array.host.nbytes > limit:
            raise cupy.cuda.memory.OutOfMemoryError(array.host.nbytes, self._pool.used_bytes(), limit)
        return array

    def asnumpy(self, *args: Any, **options: Any) -> Any:
        self._call()
        return super().asnumpy(*args, **options)

    def _count(self) -> int:
        self._call()
        return 2

    def _call(self) -> None:
        if self._lost.exists():
            raise cupy.cuda.runtime.CUDARuntimeError(int(self._lost.read_text()))


def in_children(folder: Path, lost: Path) -> str:
    """Return a search path with which every child that a worker starts has this GPU in CuPy's place."""
    code = "import sys\nfrom pathlib import Path\nfrom tests.service.losable_gpu import LosableGpu\n"
    return search_path(folder, f"{code}sys.modules['cupy'] = LosableGpu(Path({str(lost)!r}))")
