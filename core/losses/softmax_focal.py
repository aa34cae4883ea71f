"""J = −1/m Σ_k (1 − p_k)^γ ln p_k, where p_k is the probability that a softmax gives to the label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.activations import Softmax
from core.arrays import Array, Namespace
from core.losses.loss import Loss, labels
from core.losses.one_hot import one_hot
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class SoftmaxFocal(Loss):
    """J = 1/m Σ_k r^γ L for labels y from 0 to n − 1, with p = softmax(z)_y, L = −ln p and r = 1 − p.

    z̄_j = r^γ (γ p L/r + 1)(softmax(z)_j − [j = y])/m. Samples that are already told apart well, r near 0, count little;
    γ = 0 gives softmax cross-entropy. Goes with a last layer whose activation is softmax and is computed from its z:
    with the maximum taken off and R = Σ_{j≠y} exp(z_j), r = R/(R + exp(z_y)) and L = ln(R + exp(z_y)) − z_y, where
    R + exp(z_y) = 1 + (R + expm1(z_y)) keeps the digits of a small R. (Lin et al., "Focal loss for dense object
    detection", ICCV 2017, equation 4)

    Args:
        gamma: γ ≥ 0.

    >>> import numpy as np
    >>> SoftmaxFocal(gamma=2.0).value(np, np.array([[0.0, 0.0], [1e4, 0.0]]), np.array([1, 1]))
    array([1.73286795e-01, 1.00000000e+04])
    """

    gamma: float = 2.0

    name = "softmax_focal"
    output_activation = Softmax.name
    takes_labels = True
    tells_classes = True

    def __post_init__(self) -> None:
        require("gamma", self.gamma, 0, low_allowed=True)

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return r^γ L for each sample."""
        _, _, r, nats = self._parts(xp, u, y)
        return (r**self.gamma * nats)[..., 0]

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return z̄ = J̄ r^γ (γ p L/r + 1)(softmax(z)_j − [j = y])."""
        is_label, p_others, r, nats = self._parts(xp, u, y)
        factor = r**self.gamma * (self.gamma * xp.exp(-nats) * nats / _divisor(xp, r) + 1)
        return j_bar * factor * xp.where(is_label, -r, p_others)

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return z̄˙ = J̄ (F ḣ + Ḟ h), where h = softmax(z) − onehot(y), F = r^γ (γ p L/r + 1), L̇ = ⟨h, ż⟩.

        Ḟ = γ p r^(γ−1) (2 − L + (γ − 1) p L/r) L̇.
        """
        is_label, p_others, r, nats = self._parts(xp, u, y)
        p, divisor, softmax = xp.exp(-nats), _divisor(xp, r), Softmax()
        h = xp.where(is_label, -r, p_others)
        h_dot = softmax.pushforward(xp, u_dot, u, softmax.value(xp, u))
        factor = r**self.gamma * (self.gamma * p * nats / divisor + 1)
        bend = self.gamma * p * r**self.gamma * (2 - nats + (self.gamma - 1) * p * nats / divisor)
        return j_bar * (factor * h_dot + bend * (h / divisor) * xp.sum(h * u_dot, axis=-1, keepdims=True))

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as integers of shape `(m,)`, each from 0 to n_outputs − 1."""
        return labels(self.name, y, n_outputs)

    @staticmethod
    def _parts(xp: Namespace, u: Array, y: Array) -> tuple[Array, Array, Array, Array]:
        """Return [j = y], softmax(z)_j for j ≠ y, r and L; the last two of shape `(…, m, 1)`."""
        is_label = one_hot(xp, u, y)
        shifted = u - xp.max(u, axis=-1, keepdims=True)
        nothing = xp.zeros_like(shifted)
        at_label = xp.sum(xp.where(is_label, shifted, nothing), axis=-1, keepdims=True)
        e = xp.where(is_label, nothing, xp.exp(shifted))
        others = xp.sum(e, axis=-1, keepdims=True)
        beyond_1 = others + xp.expm1(at_label)
        return is_label, e / (1 + beyond_1), others / (1 + beyond_1), xp.log1p(beyond_1) - at_label


def _divisor(xp: Namespace, r: Array) -> Array:
    """Return r, and 1 where r is 0: there softmax(z) − onehot(y) is 0 too, and any number will do for L/r."""
    return xp.where(r == 0, xp.ones_like(r), r)
