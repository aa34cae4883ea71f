"""The version that allocates nothing in proportion to the data: `out=` everywhere. NumPy and CuPy both run it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from core.activations import Activation, Elementwise
from core.activations.activation import SCRATCH
from core.arrays import Array, Namespace, Numbers, Slots
from core.kernels.counter import GAMMA, WRAP, mixed_into
from core.losses import Loss, LossScratch
from core.rule import Rule, are_per_network

BLOCK = 16_384
"""Elements of a piece of the flat buffer: 7 arrays of so many float32 stay in a core's own cache (2nd level)."""


class InPlaceKernels:
    """`Kernels` on `xp`, NumPy or a namespace with its `out=` arguments."""

    def __init__(self, xp: Namespace) -> None:
        self.xp = xp
        self._scratch: dict[str, Array] = {}

    def matmul(self, left: Array, right: Array, out: Array) -> None:
        """Write left · right."""
        self.xp.matmul(left, right, out=out)

    def bias_activation(self, activation: Activation, z: Array, bias: Array | None, a: Array, row: Array) -> None:
        """Add `bias` to z in place, then write a = f(z)."""
        self.add_bias(z, bias)
        if not isinstance(activation, Elementwise):
            activation.value_into(self.xp, z, a, row)
            return
        for (z_piece, a_piece), scratch in self._pieces(z, a):
            activation.value_into(self.xp, z_piece, a_piece, scratch)

    def add_bias(self, z: Array, bias: Array | None) -> None:
        """Add `bias` to z in place."""
        if bias is not None:
            self.xp.add(z, bias, out=z)

    def activation_pullback(
        self, activation: Activation, a_bar: Array, z: Array, a: Array, z_bar: Array, row: Array
    ) -> None:
        """Write z̄."""
        if not isinstance(activation, Elementwise):
            activation.pullback_into(self.xp, a_bar, z, a, z_bar, row)
            return
        for (above, at, value, below), scratch in self._pieces(a_bar, z, a, z_bar):
            activation.pullback_into(self.xp, above, at, value, below, scratch)

    def sum_samples(self, z_bar: Array, out: Array) -> None:
        """Write b̄ = Σ_samples z̄."""
        self.xp.sum(z_bar, axis=-2, keepdims=True, out=out)

    def multiply(self, left: Array, right: Array, out: Array) -> None:
        """Write left ∘ right."""
        self.xp.multiply(left, right, out=out)

    def add(self, left: Array, right: Array, out: Array) -> None:
        """Write left + right."""
        self.xp.add(left, right, out=out)

    def prelu(self, z: Array, slope: Array, a: Array, scratch: Array) -> None:
        """Write a = max(z, 0) + s ∘ min(z, 0)."""
        xp = self.xp
        xp.maximum(z, 0, out=a)
        xp.minimum(z, 0, out=scratch)
        xp.multiply(scratch, slope, out=scratch)
        xp.add(a, scratch, out=a)

    def prelu_pullback(self, a_bar: Array, z: Array, slope: Array, z_bar: Array | None, terms: Array) -> None:
        """Write z̄ and ā ∘ min(z, 0); `terms` holds s where z ≤ 0 on the way."""
        xp = self.xp
        if z_bar is not None:
            # 1 where z > 0, else 0, NaN where z is NaN; NumPy's `heaviside` takes 1.1 ms for 256 × 512, these two 0.1.
            xp.sign(z, out=z_bar)
            xp.maximum(z_bar, 0, out=z_bar)
            xp.subtract(1, z_bar, out=terms)
            xp.multiply(terms, slope, out=terms)
            xp.add(z_bar, terms, out=z_bar)
            xp.multiply(z_bar, a_bar, out=z_bar)
        xp.minimum(z, 0, out=terms)
        xp.multiply(terms, a_bar, out=terms)

    def maxout(self, x: Array, pieces: int, a: Array, mask: Array, scratch: Array) -> None:
        """Write a and the mask, a piece after the other; `scratch` is 1 as long as no piece has been the largest."""
        xp, each = self.xp, [(..., slice(piece, None, pieces)) for piece in range(pieces)]
        xp.maximum(x[each[0]], x[each[1]], out=a)
        for piece in each[2:]:
            xp.maximum(a, x[piece], out=a)
        # 1, but NaN where a is: that goes through the products below.
        xp.sign(a, out=scratch)
        xp.multiply(scratch, 0, out=scratch)
        xp.add(scratch, 1, out=scratch)
        for piece in each:
            xp.equal(x[piece], a, out=mask[piece])
            xp.multiply(mask[piece], scratch, out=mask[piece])
            xp.subtract(scratch, mask[piece], out=scratch)

    def moments(self, x: Array, axis: int, mean: Array, variance: Array, scratch: Array) -> None:
        """Write x's mean and variance along `axis`."""
        xp = self.xp
        xp.mean(x, axis=axis, keepdims=True, out=mean)
        xp.subtract(x, mean, out=scratch)
        xp.multiply(scratch, scratch, out=scratch)
        xp.mean(scratch, axis=axis, keepdims=True, out=variance)

    def standardize(self, x: Array, mean: Array, variance: Array, epsilon: float, inverse: Array, x_hat: Array) -> None:
        """Write inverse = 1/√(variance + ε) and x̂ = (x − mean) ∘ inverse."""
        xp = self.xp
        xp.add(variance, epsilon, out=inverse)
        xp.sqrt(inverse, out=inverse)
        xp.reciprocal(inverse, out=inverse)
        xp.subtract(x, mean, out=x_hat)
        xp.multiply(x_hat, inverse, out=x_hat)

    def standardize_pullback(
        self, g: Array, x_hat: Array, inverse: Array, axis: int, x_bar: Array, mean: Array, paired: Array
    ) -> None:
        """Write x̄ = inverse ∘ (g − ⟨g⟩ − x̂ ∘ ⟨g ∘ x̂⟩); x̄ holds products on the way."""
        xp = self.xp
        xp.multiply(g, x_hat, out=x_bar)
        xp.mean(x_bar, axis=axis, keepdims=True, out=paired)
        xp.mean(g, axis=axis, keepdims=True, out=mean)
        xp.subtract(g, mean, out=g)
        xp.multiply(x_hat, paired, out=x_bar)
        xp.subtract(g, x_bar, out=x_bar)
        xp.multiply(x_bar, inverse, out=x_bar)

    def blend(self, running: Array, new: Array, share: float, factor: float) -> None:
        """Change `running` to (1 − share) · running + share · factor · new."""
        self.xp.multiply(running, 1 - share, out=running)
        self.xp.multiply(new, share * factor, out=new)
        self.xp.add(running, new, out=running)

    def dropout_mask(
        self, seeds: Array, stream: int, keep: float, counter: Array, bits: Array, scratch: Array, mask: Array
    ) -> None:
        """Write 1/keep where an element is kept, else 0."""
        xp = self.xp
        key = seeds + xp.uint64(stream)
        mixed_into(xp, key, xp.empty_like(key))
        xp.multiply(counter, xp.uint64(GAMMA), out=bits)
        xp.add(bits, key, out=bits)
        mixed_into(xp, bits, scratch)
        xp.less(bits, xp.uint64(int(keep * WRAP)), out=mask)
        xp.multiply(mask, 1 / keep, out=mask)

    def loss(
        self, loss: Loss, u: Array, y: Array, j_bar: Array, values: Array, u_bar: Array, scratch: LossScratch
    ) -> None:
        """Write each sample's loss and ū."""
        loss.value_and_gradient_into(self.xp, u, y, j_bar, values, u_bar, scratch)

    def share(self, weights: Array, j_bar: Array) -> None:
        """Write J̄ = w/Σw."""
        self.xp.divide(weights, self.xp.sum(weights, axis=-1, keepdims=True), out=j_bar[..., 0])

    def add_up(self, values: Array, weights: Array | None, total: Array) -> None:
        """Add Σ values to `total`, or Σ w ∘ values."""
        if weights is not None:
            self.xp.multiply(values, weights, out=values)
        self.xp.add(total, self.xp.sum(values, axis=-1), out=total)

    def gather(self, table: Array, index: Array, out: Array) -> None:
        """Write the rows of `table` that `index` names."""
        self.xp.take(table, index, axis=0, out=out)

    def elementwise_step(self, rule: Rule, p: Array, g: Array, slots: Slots, numbers: Numbers) -> None:
        """Change p and the slots by one step, a piece that fits the cache after the other."""
        if are_per_network(numbers):
            self._step_each(rule, p, g, slots, numbers)
            return
        p, g, *kept = (array.reshape(-1) for array in (p, g, *slots))
        scratch = self._scratch_like(p)
        for start in range(0, p.size, BLOCK):
            piece = slice(start, min(start + BLOCK, p.size))
            pieces = tuple(array[piece] for array in kept)
            rule.formula_into(self.xp, p[piece], g[piece], pieces, scratch[:2, : piece.stop - start], *numbers)

    def _step_each(self, rule: Rule, p: Array, g: Array, slots: Slots, numbers: Numbers) -> None:
        """Take a step with numbers for each row: several short rows at a time, or a piece of a long one."""
        size, scratch = p.shape[-1], self._scratch_like(p)
        n_rows, n_columns = max(1, BLOCK // size), min(size, BLOCK)
        for top, left in product(range(0, len(p), n_rows), range(0, size, n_columns)):
            rows, piece = slice(top, top + n_rows), (slice(top, top + n_rows), slice(left, left + n_columns))
            pieces, own = tuple(slot[piece] for slot in slots), tuple(number[rows] for number in numbers)
            room = scratch[:2, : p[piece].size].reshape(2, *p[piece].shape)
            rule.formula_into(self.xp, p[piece], g[piece], pieces, room, *own)

    def bound_norm(self, rows: Array, largest: float, squares: Array) -> None:
        """Make each row shorter whose norm is above `largest`."""
        xp = self.xp
        xp.multiply(rows, rows, out=squares, dtype="float64")
        factor = xp.sqrt(xp.sum(squares, axis=-1, keepdims=True))
        xp.maximum(factor, largest, out=factor)
        xp.divide(largest, factor, out=factor)
        xp.multiply(rows, factor, out=rows, casting="same_kind")

    def _pieces(self, *arrays: Array) -> Iterator[tuple[list[Array], Array]]:
        """Yield pieces of the arrays, each contiguous, that fit the cache, and scratch for an elementwise f."""
        flat, scratch = [array.reshape(-1, copy=False) for array in arrays], self._scratch_like(arrays[0])
        for start in range(0, flat[0].size, BLOCK):
            pieces = [array[start : start + BLOCK] for array in flat]
            yield pieces, scratch[:, : pieces[0].size]

    def _scratch_like(self, array: Array) -> Array:
        key = str(array.dtype)
        if key not in self._scratch:
            self._scratch[key] = self.xp.empty((SCRATCH, BLOCK), dtype=array.dtype)
        return self._scratch[key]


class NumpyKernels(InPlaceKernels):
    """`Kernels` on NumPy."""

    def __init__(self) -> None:
        super().__init__(np)

    def gather(self, table: Array, index: Array, out: Array) -> None:
        """Write the rows of `table` that `index` names; the caller has checked the range."""
        if table.dtype == out.dtype and table.flags.c_contiguous:
            # mode="raise" would write to a buffer first and copy (NumPy's documentation of `take`).
            np.take(table, index, axis=0, out=out, mode="clip")
        else:
            out[...] = table[index]  # `take` would copy the whole table first
