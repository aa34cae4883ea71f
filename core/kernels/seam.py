"""What every version of the kernels offers."""

from __future__ import annotations

from typing import Protocol

from core.activations import Activation
from core.arrays import Array, Numbers, Slots
from core.losses import Loss, LossScratch
from core.rule import Rule


class Kernels(Protocol):
    """Operations that write to given arrays. `…` stands for any leading axes: none, or (N,) for a fleet.

    Shapes: z, a, z̄, ā `(…, m, n)`; bias `(…, 1, n)` or None; row `(…, m, 1)`; values `(…, m)`. There may be no
    samples, m = 0.

    Contiguous must be, as kernels run through them as one row of numbers: all arrays of `bias_activation`,
    `activation_pullback` and `loss`, what `gather` and `dropout_mask` write, the total of `add_up`, and p, g and the
    slots of `elementwise_step`. But a bias may be a view into flat buffers `(…, P)`. Every other array may have any
    strides; only, behind two leading axes all networks lie equally far apart, as they do in such buffers.
    """

    def matmul(self, left: Array, right: Array, out: Array) -> None:
        """Write left · right."""
        ...

    def bias_activation(self, activation: Activation, z: Array, bias: Array | None, a: Array, row: Array) -> None:
        """Add `bias` to z in place, then write a = f(z)."""
        ...

    def add_bias(self, z: Array, bias: Array | None) -> None:
        """Add `bias` to z in place: a last layer whose loss starts from z needs no a."""
        ...

    def activation_pullback(
        self, activation: Activation, a_bar: Array, z: Array, a: Array, z_bar: Array, row: Array
    ) -> None:
        """Write z̄, for an elementwise f as ā ∘ f'(z)."""
        ...

    def sum_samples(self, z_bar: Array, out: Array) -> None:
        """Write b̄ = Σ_samples z̄, shape `(…, 1, n)`."""
        ...

    def multiply(self, left: Array, right: Array, out: Array) -> None:
        """Write left ∘ right, where the smaller one is repeated along the axes in which it has one element."""
        ...

    def add(self, left: Array, right: Array, out: Array) -> None:
        """Write left + right, likewise."""
        ...

    def prelu(self, z: Array, slope: Array, a: Array, scratch: Array) -> None:
        """Write a = max(z, 0) + s ∘ min(z, 0), s being `slope`, `(…, 1, n)`; `scratch` is an array like z."""
        ...

    def prelu_pullback(self, a_bar: Array, z: Array, slope: Array, z_bar: Array | None, terms: Array) -> None:
        """Write z̄ = ā ∘ (1 where z > 0, else s), where that is given, and `terms` = ā ∘ min(z, 0).

        Their sum over the samples is s̄.
        """
        ...

    def maxout(self, x: Array, pieces: int, a: Array, mask: Array, scratch: Array) -> None:
        """Write a, the largest of each `pieces` adjacent features of x, and `mask`: 1 where x is it, else 0.

        Of equal ones the first counts. A NaN among them makes a NaN, and their mask. `scratch` is an array like a.
        """
        ...

    def moments(self, x: Array, axis: int, mean: Array, variance: Array, scratch: Array) -> None:
        """Write x's mean and variance (of the population) along `axis`, where it has at least one element.

        `scratch` is an array like x.
        """
        ...

    def standardize(self, x: Array, mean: Array, variance: Array, epsilon: float, inverse: Array, x_hat: Array) -> None:
        """Write inverse = 1/√(variance + ε) and x̂ = (x − mean) ∘ inverse."""
        ...

    def standardize_pullback(
        self, g: Array, x_hat: Array, inverse: Array, axis: int, x_bar: Array, mean: Array, paired: Array
    ) -> None:
        """Write x̄ for the adjoint g of x̂, whose moments were x's own: inverse ∘ (g − ⟨g⟩ − x̂ ∘ ⟨g ∘ x̂⟩).

        ⟨ ⟩ is the mean along `axis`; `mean` and `paired` are scratch, and g is used up.
        """
        ...

    def blend(self, running: Array, new: Array, share: float, factor: float) -> None:
        """Change `running` to (1 − share) · running + share · factor · new; `new` is used up."""
        ...

    def dropout_mask(
        self, seeds: Array, stream: int, keep: float, counter: Array, bits: Array, scratch: Array, mask: Array
    ) -> None:
        """Write 1/keep where an element is kept, else 0: the bits of its counter in the stream of (seed, stream)."""
        ...

    def loss(
        self, loss: Loss, u: Array, y: Array, j_bar: Array, values: Array, u_bar: Array, scratch: LossScratch
    ) -> None:
        """Write each sample's loss and, with J̄ of shape `(…, m, 1)`, the gradient at the top, ū."""
        ...

    def share(self, weights: Array, j_bar: Array) -> None:
        """Write J̄ = w/Σw, shape `(…, m, 1)`, for the samples' weights w, shape `(…, m)`."""
        ...

    def add_up(self, values: Array, weights: Array | None, total: Array) -> None:
        """Add Σ values over the last axis to `total`, shape `(…)`; with weights Σ w ∘ values, and `values` is spent."""
        ...

    def gather(self, table: Array, index: Array, out: Array) -> None:
        """Write the rows of `table`, shape `(M, …)`, that `index`, shape `(…, m)`, names.

        On the host the table may have another dtype than `out`, and any strides, and isn't copied as a whole.
        """
        ...

    def elementwise_step(self, rule: Rule, p: Array, g: Array, slots: Slots, numbers: Numbers) -> None:
        """Change p and the slots, each contiguous, by one step of `rule`; p may be g.

        The numbers are floats, or all of them arrays `(N, 1)` for p of shape `(N, P)`.
        """
        ...

    def bound_norm(self, rows: Array, largest: float, squares: Array) -> None:
        """Make each row, along the last axis, shorter where its L2 norm is above `largest`; its direction remains.

        `squares` is scratch: float64 in the shape of `rows`, so that no gradient's square overflows.
        """
        ...
