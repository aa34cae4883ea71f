"""The version for CuPy: our own CUDA kernels where one pass does the work of several, CuPy's calls elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from core.activations import Activation, Elementwise
from core.arrays import Array, Namespace, Numbers, Slots
from core.kernels import cuda, cuda_steps
from core.kernels.cuda_steps import Formulas
from core.kernels.inplace import InPlaceKernels
from core.losses import Loss, LossScratch, SoftmaxCrossEntropy
from core.rule import Rule, are_per_network

MOST_BLOCKS = 65_535
FREELY_SHARED = 48 * 1024
"""Bytes that a block can share without asking (CUDA C++ Programming Guide, "Shared Memory")."""


class FusedKernels(InPlaceKernels):
    """`Kernels` on the namespace `xp`, which is CuPy."""

    def __init__(self, xp: Namespace) -> None:
        super().__init__(xp)
        # Compiled when first asked for; CuPy keeps the result on disk for the next process.
        self._function = cache(self._compile)

    def bias_activation(self, activation: Activation, z: Array, bias: Array | None, a: Array, row: Array) -> None:
        """Add `bias` to z in place, then write a = f(z)."""
        if not isinstance(activation, Elementwise):
            super().bias_activation(activation, z, bias, a, row)
            return
        m, n = z.shape[-2:]
        if bias is not None and bias.ndim > 3:
            bias = self.xp.reshape(bias, (-1, 1, n), copy=False)  # raises unless they lie equally far apart
        stride = bias.strides[0] // bias.itemsize if bias is not None and bias.ndim == 3 else 0
        null = self.xp.intp(0)
        function = self._function("bias_activation", cuda.activation_source, activation, str(z.dtype))
        sizes = (z.size, m * n, n, stride)
        self._launch(function, z.size, z, null if bias is None else bias, a, *map(self.xp.int64, sizes))

    def activation_pullback(
        self, activation: Activation, a_bar: Array, z: Array, a: Array, z_bar: Array, row: Array
    ) -> None:
        """Write z̄."""
        if not isinstance(activation, Elementwise):
            super().activation_pullback(activation, a_bar, z, a, z_bar, row)
            return
        function = self._function("activation_pullback", cuda.activation_source, activation, str(z.dtype))
        self._launch(function, z.size, a_bar, z, a, z_bar, self.xp.int64(z.size))

    def loss(
        self, loss: Loss, u: Array, y: Array, j_bar: Array, values: Array, u_bar: Array, scratch: LossScratch
    ) -> None:
        """Write each sample's loss and ū."""
        if not isinstance(loss, SoftmaxCrossEntropy) or y.ndim == u.ndim:
            super().loss(loss, u, y, j_bar, values, u_bar, scratch)
            return
        n = u.shape[-1]
        rows = u.size // n
        function = self._function("of_rows", cuda.softmax_cross_entropy_source, loss, str(u.dtype))
        sizes = map(self.xp.int64, (rows, n))
        smoothing = u.dtype.type(loss.smoothing)
        self._launch(function, cuda.WARP * rows, u, y, j_bar, smoothing, values, u_bar, *sizes)

    def elementwise_step(self, rule: Rule, p: Array, g: Array, slots: Slots, numbers: Numbers) -> None:
        """Change p and the slots in one pass over the flat buffers."""
        dtype, sizes = str(p.dtype), (self.xp.int64(p.size), self.xp.int64(p.shape[-1]))
        if are_per_network(numbers):
            function = self._function("step_each", cuda.rule_source, type(rule), dtype)
            self._launch(function, p.size, p, g, *slots, *numbers, *sizes)
            return
        function = self._function("elementwise_step", cuda.rule_source, type(rule), dtype)
        self._launch(function, p.size, p, g, *slots, *map(p.dtype.type, numbers), sizes[0])

    def steps(self, made_for: tuple[Formulas, str], launch: tuple[int, int, int], *arguments: Any) -> None:
        """Take the steps of `core.kernels.cuda_steps`.

        Args:
            made_for: the formulas, and the dtype.
            launch: blocks, threads of each, and bytes that these share.
            arguments: of the kernel.
        """
        blocks, threads, shared = launch
        function = self._function("steps", cuda_steps.steps_source, *made_for)
        if shared > FREELY_SHARED and function.max_dynamic_shared_size_bytes < shared:
            function.max_dynamic_shared_size_bytes = shared
        function((blocks,), (threads,), arguments, shared_mem=shared)

    def _compile(self, name: str, source: Callable[[Any, str], str], formula: object, dtype: str) -> Any:
        return self.xp.RawModule(code=source(formula, dtype), options=cuda.OPTIONS).get_function(name)

    def _launch(self, function: Any, threads: int, *arguments: Any) -> None:
        if threads:
            blocks = min(-(-threads // cuda.THREADS), MOST_BLOCKS)
            function((blocks,), (cuda.THREADS,), arguments)
