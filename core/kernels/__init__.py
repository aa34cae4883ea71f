"""The seam: the few operations that matter for speed, with one signature and several versions.

`reference.py` runs on any array namespace and is what the others are held to; `inplace.py` allocates nothing, for NumPy
and, where there is nothing faster, for CuPy; `fused.py` launches the CUDA kernels whose source `cuda.py` writes;
`compiled.py` calls what Numba makes of the formulas' text, for training on the CPU.
"""

from __future__ import annotations

from core.kernels.inplace import InPlaceKernels
from core.kernels.reference import ReferenceKernels
from core.kernels.seam import Kernels

__all__ = ["InPlaceKernels", "Kernels", "ReferenceKernels"]
