"""J = −1/m Σ_k Σ_j t_kj ln softmax(z_k)_j, for labels or probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.activations import Softmax
from core.arrays import Array, Namespace
from core.losses.loss import Loss, LossScratch, labels, numbers
from core.losses.one_hot import one_hot
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """J = 1/m Σ_k (ln Σ_j exp(z_kj) − Σ_j t_kj z_kj), t = (1 − s)·onehot(y) + s/n; z̄ = (softmax(z) − t)/m.

    y is labels from 0 to n − 1, which never become one-hot in memory, or, as floats of the shape of the outputs, the
    classes' probabilities, which then stand in the place of onehot(y). Goes with a last layer whose activation is
    softmax, and is computed from its z, with the row's maximum taken off first, so that logits of any size are exact.
    (Bishop, "Pattern Recognition and Machine Learning", 2006, equation 4.108; smoothing: Szegedy et al., "Rethinking
    the Inception architecture", CVPR 2016, section 7)

    Args:
        smoothing: s, from 0 up to but not 1.

    >>> import numpy as np
    >>> SoftmaxCrossEntropy().value(np, np.array([[0.0, 0.0], [1e4, 0.0]]), np.array([1, 1]))
    array([6.93147181e-01, 1.00000000e+04])
    >>> SoftmaxCrossEntropy().value(np, np.array([[0.0, 0.0], [1e4, 0.0]]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    array([6.93147181e-01, 5.00000000e+03])
    """

    smoothing: float = 0.0

    name = "softmax_cross_entropy"
    output_activation = Softmax.name
    takes_labels = True
    tells_classes = True

    def __post_init__(self) -> None:
        require("smoothing", self.smoothing, 0, 1, low_allowed=True)

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return ln Σ_j exp(z_j) − Σ_j t_j z_j for each sample."""
        shifted = u - xp.max(u, axis=-1, keepdims=True)
        return xp.log(xp.sum(xp.exp(shifted), axis=-1)) - xp.sum(self._smooth(xp, u, y) * shifted, axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return z̄ = J̄ (softmax(z) − t)."""
        return j_bar * (Softmax().value(xp, u) - self._smooth(xp, u, y))

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return z̄˙ = J̄ a ∘ (ż − ⟨a, ż⟩), with a = softmax(z)."""
        return j_bar * Softmax().pushforward(xp, u_dot, u, Softmax().value(xp, u))

    def value_and_gradient_into(
        self, xp: Namespace, u: Array, y: Array, j_bar: Array, values: Array, u_bar: Array, scratch: LossScratch
    ) -> None:
        """Write ln Σ_j exp(z_j) − Σ_j t_j z_j and J̄ (softmax(z) − t)."""
        row, flat, keep, rest = scratch.row, u_bar.reshape(-1), 1 - self.smoothing, self.smoothing / u.shape[-1]
        are_labels = y.ndim < u.ndim
        xp.max(u, axis=-1, keepdims=True, out=row)
        xp.subtract(u, row, out=u_bar)
        if are_labels:
            xp.add(scratch.first, y, out=scratch.index)
            xp.take(flat, scratch.index, out=values)
        else:
            xp.multiply(u_bar, y, out=scratch.wide)
            xp.sum(scratch.wide, axis=-1, out=values)
        if self.smoothing:
            xp.sum(u_bar, axis=-1, keepdims=True, out=row)
            xp.multiply(row, rest, out=row)
            xp.multiply(values, keep, out=values)
            xp.add(values, row[..., 0], out=values)
        xp.exp(u_bar, out=u_bar)
        xp.sum(u_bar, axis=-1, keepdims=True, out=row)
        xp.divide(u_bar, row, out=u_bar)
        xp.log(row, out=row)
        xp.subtract(row[..., 0], values, out=values)
        if are_labels:
            flat[scratch.index] -= keep  # one entry a sample, so no index stands twice
        else:
            xp.multiply(y, keep, out=scratch.wide)
            xp.subtract(u_bar, scratch.wide, out=u_bar)
        if self.smoothing:
            xp.subtract(u_bar, rest, out=u_bar)
        xp.multiply(u_bar, j_bar, out=u_bar)

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as labels of shape `(m,)`, or as probabilities of shape `(m, n_outputs)`, each row's sum 1.

        Rows of floats may miss the sum 1 by 10⁻⁶ n_outputs, as single precision does; they are divided by it.
        """
        array = np.asarray(y)
        if array.ndim != 2 or array.dtype.kind != "f":
            return labels(self.name, array, n_outputs)
        array = numbers(self.name, array, n_outputs, lambda each: each >= 0, " ≥ 0")
        total = array.sum(axis=1, keepdims=True)
        wrong = np.abs(total - 1) > 1e-6 * n_outputs
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"y: {self.name} takes probabilities whose sum is 1 in each row, but row {row} is {array[row].tolist()}"
            )
        return array / total

    def _smooth(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return t, in the shape of u."""
        known = xp.astype(one_hot(xp, u, y), u.dtype) if y.ndim < u.ndim else y
        return (1 - self.smoothing) * known + self.smoothing / u.shape[-1]
