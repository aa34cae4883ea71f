"""The version for training on the CPU: loops compiled by Numba where NumPy would make several passes or many calls."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np

from core.activations import Activation, Elementwise
from core.arrays import Array, Numbers, Slots
from core.kernels.called import activation_called, loss_called, rule_called
from core.kernels.compiling import copy_of, module_of
from core.kernels.counter import WRAP
from core.kernels.inplace import NumpyKernels
from core.kernels.loops import activation_loops, loss_loops, rule_loops
from core.kernels.translation import UntranslatableError
from core.losses import Loss, LossScratch, SoftmaxCrossEntropy
from core.rule import Rule, are_per_network
from core.threads import allowed

LONG = 400_000
"""Elements from which on a second core is worth the time that it takes to ask it."""


class CompiledKernels(NumpyKernels):
    """`Kernels` on NumPy's arrays, with Numba. The first call of each compiles it, unless an earlier process did."""

    def __init__(self) -> None:
        super().__init__()
        self._functions = importlib.import_module("core.kernels.numba_functions")

    def bias_activation(self, activation: Activation, z: Array, bias: Array | None, a: Array, row: Array) -> None:
        """Add `bias` to z in place, then write a = f(z)."""
        loops = _activation(type(activation), str(z.dtype))
        if loops is None or bias is None:
            super().bias_activation(activation, z, bias, a, row)
        else:
            loops.bias_activation(_stacked(z), _stacked(bias), _stacked(a))

    def activation_pullback(
        self, activation: Activation, a_bar: Array, z: Array, a: Array, z_bar: Array, row: Array
    ) -> None:
        """Write z̄."""
        loops = _activation(type(activation), str(z.dtype))
        if loops is None:
            super().activation_pullback(activation, a_bar, z, a, z_bar, row)
        else:
            loops.pullback(*(array.reshape(-1) for array in (a_bar, z, a, z_bar)))

    def add_bias(self, z: Array, bias: Array | None) -> None:
        """Add `bias` to z in place."""
        if bias is not None:
            self._functions.add_bias(_stacked(z), _stacked(bias))

    def sum_samples(self, z_bar: Array, out: Array) -> None:
        """Write b̄ = Σ_samples z̄."""
        self._functions.sum_samples(_stacked(z_bar), _stacked(out))

    def dropout_mask(
        self, seeds: Array, stream: int, keep: float, counter: Array, bits: Array, scratch: Array, mask: Array
    ) -> None:
        """Write 1/keep where an element is kept, else 0."""
        m, n = mask.shape[-2:]
        stack = mask.reshape(math.prod(mask.shape[:-2]), m * n, copy=False)
        each = np.broadcast_to(seeds.reshape(-1), (len(stack),))
        numbers = (np.uint64(stream), mask.dtype.type(1 / keep), np.uint64(int(keep * WRAP)))
        self._functions.dropout_mask(each, *numbers, stack)

    def loss(
        self, loss: Loss, u: Array, y: Array, j_bar: Array, values: Array, u_bar: Array, scratch: LossScratch
    ) -> None:
        """Write each sample's loss and ū."""
        loops = _loss(loss, str(u.dtype))
        if loops is None or (y.ndim == u.ndim) is (type(loss) is SoftmaxCrossEntropy):
            super().loss(loss, u, y, j_bar, values, u_bar, scratch)
            return
        n = u.shape[-1]
        targets = y.reshape(-1) if y.ndim < u.ndim else y.reshape(-1, n)
        flat = j_bar.reshape(-1), values.reshape(-1)
        loops.loss(u.reshape(-1, n), targets, *flat, u_bar.reshape(-1, n))

    def add_up(self, values: Array, weights: Array | None, total: Array) -> None:
        """Add Σ values to `total`, or Σ w ∘ values."""
        if weights is not None:
            np.multiply(values, weights, out=values)
        self._functions.add_up(values.reshape(total.size, values.shape[-1]), total.reshape(-1, copy=False))

    def elementwise_step(self, rule: Rule, p: Array, g: Array, slots: Slots, numbers: Numbers) -> None:
        """Change p and the slots in one pass over the flat buffers."""
        loops = _rule(type(rule), str(p.dtype))
        if loops is None:
            super().elementwise_step(rule, p, g, slots, numbers)
            return
        if are_per_network(numbers):
            loops.step_each(p, g, *slots, *numbers)
            return
        flat, plain = [array.reshape(-1, copy=False) for array in (p, g, *slots)], [float(number) for number in numbers]
        parts = min(allowed(), 1 + p.size // LONG)
        if parts == 1:
            loops.step(*flat, *plain)
            return
        ends = [part * p.size // parts for part in range(parts + 1)]
        pieces = [[array[start:stop] for array in flat] for start, stop in pairwise(ends)]
        list(_pool(parts).map(lambda piece: loops.step(*piece, *plain), pieces))


def _stacked(array: Array) -> Array:
    """Return the array as `(K, m, n)`, with K = 1 for one network; writing to it writes to the array."""
    if array.ndim == 2:
        return array[None]
    return array if array.ndim == 3 else array.reshape(math.prod(array.shape[:-2]), *array.shape[-2:], copy=False)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "deltabar")


@cache
def _rule(rule: type[Rule], dtype: str) -> Any:
    """Return the compiled loops; None where the formula, which may be a user's, isn't made for single numbers."""
    try:
        return module_of(rule_loops(rule, dtype))
    except UntranslatableError:
        return None


@cache
def _activation(activation: type[Activation], dtype: str) -> Any:
    """Return the compiled loops; None where the activation isn't elementwise, or not made for single numbers."""
    if not issubclass(activation, Elementwise):
        return None
    try:
        return module_of(activation_loops(activation, dtype))
    except UntranslatableError:
        return None


def _loss(loss: Loss, dtype: str) -> Any:
    """Return the compiled loop, likewise; a user's loss that can't be told from others has none either."""
    return _loss_of(loss, dtype) if isinstance(loss, Hashable) else None


@cache
def _loss_of(loss: Loss, dtype: str) -> Any:
    try:
        return module_of(loss_loops(loss, dtype))
    except UntranslatableError:
        return None


def steps_of(
    rule: type[Rule], activations: Sequence[type[Elementwise] | None], loss: Loss, dtype: str, y_dtype: str
) -> Callable[..., float]:
    """Return `steps` of `core.kernels.epochs` with the addresses of these formulas, one activation for each layer."""
    calls = [_activation_called(activation, dtype) if activation else (0, 0) for activation in activations]
    layers = (np.array(addresses, np.intp) for addresses in zip(*calls, strict=True))
    return partial(copy_of("epochs").steps, _loss_called(loss, dtype, y_dtype), _rule_called(rule, dtype), *layers)


@cache
def _activation_called(activation: type[Elementwise], dtype: str) -> tuple[int, int]:
    """Return the addresses of f and f'."""
    module = module_of(activation_called(activation, dtype))
    return module.activate.address, module.pull_back.address


@cache
def _loss_called(loss: Loss, dtype: str, y_dtype: str) -> int:
    labels = type(loss) is SoftmaxCrossEntropy
    return module_of(loss_called(_loss(loss, dtype).__name__, dtype, y_dtype, labels=labels)).judge.address


@cache
def _rule_called(rule: type[Rule], dtype: str) -> int:
    return module_of(rule_called(rule, _rule(rule, dtype).__name__, dtype)).update.address
