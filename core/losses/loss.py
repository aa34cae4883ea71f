"""What a loss is: a value for each sample, and the gradient at the top of the network, where 1/m enters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from core.arrays import Array, Namespace

PIECE = 16_384
"""Elements of a piece, in which a loss without a version of its own in place is computed."""


@dataclass(frozen=True)
class LossScratch:
    """Memory for `value_and_gradient_into`, made once for a batch size.

    Attributes:
        row: shape `(…, m, 1)`.
        wide: shape `(…, m, n)`, like the gradient.
        index: integers, shape `(…, m)`.
        first: for each sample the index of its first output in the flattened outputs; integers, shape `(…, m)`.
    """

    row: Array
    wide: Array
    index: Array
    first: Array


class Loss(ABC):
    """J = Σ_k J̄_k value_k over the samples k, with J̄_k = 1/m, or w_k/Σw for samples of the weights w.

    `u` is what the loss is computed from: the last layer's a, or its z where `output_activation` names an activation
    that the loss goes with, so that the two together are computed stably. `value` and `gradient` are the formulas, in
    calls that any array namespace has. J̄ has the shape `(…, m, 1)`; a number for all samples will do for `gradient`.
    """

    name: ClassVar[str]
    output_activation: ClassVar[str | None] = None
    """The activation that the last layer must have; None: any, and `u` is a."""
    takes_labels: ClassVar[bool] = False
    """Whether y may be integer labels of the shape `(…, m)`; otherwise y is numbers in the shape of the outputs."""
    tells_classes: ClassVar[bool] = False
    """Whether the targets are classes, which may have weights."""

    @abstractmethod
    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return each sample's loss, shape `(…, m)`, for u of shape `(…, m, n)`."""

    @abstractmethod
    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return ū = J̄ ∂(Σ_k value_k)/∂u, in the shape of u."""

    @abstractmethod
    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return ū˙ for the tangent u̇: the second derivative, which Hessian and Gauss–Newton products need."""

    def value_and_gradient_into(
        self, xp: Namespace, u: Array, y: Array, j_bar: Array, values: Array, u_bar: Array, scratch: LossScratch
    ) -> None:
        """Write each sample's loss to `values` and ū to `u_bar`, by the formulas, in pieces of at most `PIECE`."""
        n = u.shape[-1]
        rows = u.size // n
        targets = y.reshape(rows, *y.shape[u.ndim - 1 :])
        u, j_bar, values, u_bar = (
            u.reshape(rows, n),
            j_bar.reshape(rows, 1),
            values.reshape(rows),
            u_bar.reshape(rows, n),
        )
        for start in range(0, rows, max(1, PIECE // n)):
            piece = slice(start, min(start + max(1, PIECE // n), rows))
            values[piece] = self.value(xp, u[piece], targets[piece])
            u_bar[piece] = self.gradient(xp, u[piece], targets[piece], j_bar[piece])

    @abstractmethod
    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return `y` as a host array that this loss can use, the samples along its first axis.

        Raises:
            ValueError: where y doesn't fit, with the value at fault and what is allowed.
        """


def device_dtype(targets: np.ndarray) -> str | None:
    """Return the dtype that targets, as `Loss.targets` returns them, have on the device; None: the backend's own."""
    return None if targets.dtype.kind == "f" else "int64"


def numbers(
    loss: str, y: object, n_outputs: int, allowed: Callable[[np.ndarray], np.ndarray] | None = None, says: str = ""
) -> np.ndarray:
    """Return y as finite floats of shape `(m, n_outputs)`; `(m,)` will do for one output.

    Where `allowed` is given, it must hold for each number; `says` is what it asks for, in words.
    """
    array = np.asarray(y)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"y: {loss} takes numbers, but y has the dtype {array.dtype}")
    array = array.astype(np.float64, copy=False)
    if array.ndim == 1 and n_outputs == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != n_outputs:
        raise ValueError(f"y: {loss} takes the shape (n_samples, {n_outputs}), but y has the shape {array.shape}")
    right = np.isfinite(array)
    if allowed is not None:
        right &= allowed(array)
    if not right.all():
        row = int(np.argwhere(~right)[0][0])
        raise ValueError(f"y: {loss} takes finite numbers{says}, but row {row} is {array[row].tolist()}")
    return array


def labels(loss: str, y: object, n_outputs: int) -> np.ndarray:
    """Return y as integers of shape `(m,)`, each from 0 to n_outputs − 1."""
    array = np.asarray(y)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(
            f"y: {loss} takes integer labels of the shape (n_samples,), but y has the dtype {array.dtype} "
            f"and the shape {array.shape}"
        )
    wrong = (array < 0) | (array >= n_outputs)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"y: {loss} with {n_outputs} outputs takes labels from 0 to {n_outputs - 1}, but row {row} is {array[row]}"
        )
    return array.astype(np.int64, copy=False)
