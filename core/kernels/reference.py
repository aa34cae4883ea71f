"""The reference version: each operation as its formula, in calls of the array API standard, with new arrays in between.

(https://data-apis.org/array-api/latest/; any namespace that follows version 2023.12 will do.)
"""

from __future__ import annotations

from core.activations import Activation
from core.arrays import Array, Namespace, Numbers, Slots
from core.kernels.counter import GAMMA, WRAP, mixed
from core.losses import Loss, LossScratch
from core.rule import Rule


class ReferenceKernels:
    """`Kernels` on the namespace `xp`."""

    def __init__(self, xp: Namespace) -> None:
        self.xp = xp

    def matmul(self, left: Array, right: Array, out: Array) -> None:
        """Write left · right."""
        out[...] = self.xp.matmul(left, right)

    def bias_activation(self, activation: Activation, z: Array, bias: Array | None, a: Array, row: Array) -> None:
        """Add `bias` to z in place, then write a = f(z)."""
        self.add_bias(z, bias)
        a[...] = activation.value(self.xp, z)

    def add_bias(self, z: Array, bias: Array | None) -> None:
        """Add `bias` to z in place."""
        if bias is not None:
            z[...] = z + bias

    def activation_pullback(
        self, activation: Activation, a_bar: Array, z: Array, a: Array, z_bar: Array, row: Array
    ) -> None:
        """Write z̄."""
        z_bar[...] = activation.pullback(self.xp, a_bar, z, a)

    def sum_samples(self, z_bar: Array, out: Array) -> None:
        """Write b̄ = Σ_samples z̄."""
        out[...] = self.xp.sum(z_bar, axis=-2, keepdims=True)

    def multiply(self, left: Array, right: Array, out: Array) -> None:
        """Write left ∘ right."""
        out[...] = left * right

    def add(self, left: Array, right: Array, out: Array) -> None:
        """Write left + right."""
        out[...] = left + right

    def prelu(self, z: Array, slope: Array, a: Array, scratch: Array) -> None:
        """Write a = max(z, 0) + s ∘ min(z, 0)."""
        a[...] = self.xp.maximum(z, 0) + slope * self.xp.minimum(z, 0)

    def prelu_pullback(self, a_bar: Array, z: Array, slope: Array, z_bar: Array | None, terms: Array) -> None:
        """Write z̄ and ā ∘ min(z, 0)."""
        right = self.xp.maximum(self.xp.sign(z), 0)  # 1 where z > 0, else 0, and NaN where z is NaN
        if z_bar is not None:
            z_bar[...] = a_bar * (right + slope * (1 - right))
        terms[...] = a_bar * self.xp.minimum(z, 0)

    def maxout(self, x: Array, pieces: int, a: Array, mask: Array, scratch: Array) -> None:
        """Write a and the mask."""
        xp, groups = self.xp, self.xp.reshape(x, (*a.shape, pieces))
        largest = xp.max(groups, axis=-1, keepdims=True)
        equal = xp.astype(groups == largest, x.dtype)
        first = equal * xp.astype(xp.cumulative_sum(equal, axis=-1) == 1, x.dtype)
        a[...] = largest[..., 0]
        mask[...] = xp.reshape(first + 0 * xp.sign(largest), x.shape)

    def moments(self, x: Array, axis: int, mean: Array, variance: Array, scratch: Array) -> None:
        """Write x's mean and variance along `axis`."""
        mean[...] = self.xp.mean(x, axis=axis, keepdims=True)
        variance[...] = self.xp.mean((x - mean) ** 2, axis=axis, keepdims=True)

    def standardize(self, x: Array, mean: Array, variance: Array, epsilon: float, inverse: Array, x_hat: Array) -> None:
        """Write inverse = 1/√(variance + ε) and x̂ = (x − mean) ∘ inverse."""
        inverse[...] = 1 / self.xp.sqrt(variance + epsilon)
        x_hat[...] = (x - mean) * inverse

    def standardize_pullback(
        self, g: Array, x_hat: Array, inverse: Array, axis: int, x_bar: Array, mean: Array, paired: Array
    ) -> None:
        """Write x̄ = inverse ∘ (g − ⟨g⟩ − x̂ ∘ ⟨g ∘ x̂⟩)."""
        mean[...] = self.xp.mean(g, axis=axis, keepdims=True)
        paired[...] = self.xp.mean(g * x_hat, axis=axis, keepdims=True)
        x_bar[...] = inverse * (g - mean - x_hat * paired)

    def blend(self, running: Array, new: Array, share: float, factor: float) -> None:
        """Change `running` to (1 − share) · running + share · factor · new."""
        running[...] = (1 - share) * running + share * factor * new

    def dropout_mask(
        self, seeds: Array, stream: int, keep: float, counter: Array, bits: Array, scratch: Array, mask: Array
    ) -> None:
        """Write 1/keep where an element is kept, else 0."""
        drawn = mixed(mixed(seeds + stream) + counter * GAMMA)
        mask[...] = self.xp.astype(drawn < int(keep * WRAP), mask.dtype) / keep

    def loss(
        self, loss: Loss, u: Array, y: Array, j_bar: Array, values: Array, u_bar: Array, scratch: LossScratch
    ) -> None:
        """Write each sample's loss and ū."""
        values[...] = loss.value(self.xp, u, y)
        u_bar[...] = loss.gradient(self.xp, u, y, j_bar)

    def share(self, weights: Array, j_bar: Array) -> None:
        """Write J̄ = w/Σw."""
        j_bar[...] = self.xp.expand_dims(weights / self.xp.sum(weights, axis=-1, keepdims=True), axis=-1)

    def add_up(self, values: Array, weights: Array | None, total: Array) -> None:
        """Add Σ values to `total`, or Σ w ∘ values."""
        total[...] = total + self.xp.sum(values if weights is None else values * weights, axis=-1)

    def gather(self, table: Array, index: Array, out: Array) -> None:
        """Write the rows of `table` that `index` names."""
        rows = self.xp.take(table, self.xp.reshape(index, (-1,)), axis=0)
        out[...] = self.xp.reshape(rows, out.shape)

    def elementwise_step(self, rule: Rule, p: Array, g: Array, slots: Slots, numbers: Numbers) -> None:
        """Change p and the slots by one step."""
        new = rule.formula(self.xp, p, g, slots, *numbers)
        for array, value in zip((p, *slots), new, strict=True):
            array[...] = value

    def bound_norm(self, rows: Array, largest: float, squares: Array) -> None:
        """Make each row shorter whose norm is above `largest`."""
        xp, wide = self.xp, self.xp.astype(rows, self.xp.float64)
        norm = xp.sqrt(xp.sum(wide * wide, axis=-1, keepdims=True))
        # largest / max(norm, largest) is 1 where the norm is within its bound, and NaN where it is.
        rows[...] = xp.astype(wide * (largest / xp.maximum(norm, 0 * norm + largest)), rows.dtype)
