"""J = −1/m Σ_k Σ_j (1 − p_kj)^γ ln p_kj, where p is the probability that a sigmoid gives to the target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.activations import Sigmoid
from core.arrays import Array, Namespace
from core.losses.loss import Loss, numbers
from core.optimizers.optimizer import require


@dataclass(frozen=True)
class BinaryFocal(Loss):
    """J = 1/m Σ_k Σ_j q^γ L for targets 0 and 1, with s = 2y − 1, L = −ln σ(sz) and q = 1 − σ(sz) = σ(−sz).

    z̄ = −s q^γ (γ(1 − q)L + q)/m. Targets that are already told apart well, q near 0, count little; γ = 0 gives binary
    cross-entropy. Goes with a last layer whose activation is sigmoid and is computed from its z, with
    L = max(−sz, 0) + ln(1 + exp(−|z|)). The paper's α is a class weight. (Lin et al., "Focal loss for dense object
    detection", ICCV 2017, equation 4)

    Args:
        gamma: γ ≥ 0.

    >>> import numpy as np
    >>> BinaryFocal(gamma=2.0).value(np, np.array([[0.0], [-1e4]]), np.array([[1.0], [1.0]]))
    array([1.73286795e-01, 1.00000000e+04])
    """

    gamma: float = 2.0

    name = "binary_focal"
    output_activation = Sigmoid.name
    tells_classes = True

    def __post_init__(self) -> None:
        require("gamma", self.gamma, 0, low_allowed=True)

    def value(self, xp: Namespace, u: Array, y: Array) -> Array:
        """Return Σ_j q^γ L for each sample."""
        q, nats = _surprise(xp, u, y)
        return xp.sum(q**self.gamma * nats, axis=-1)

    def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: Array) -> Array:
        """Return z̄ = −J̄ s q^γ (γ(1 − q)L + q)."""
        q, nats = _surprise(xp, u, y)
        return j_bar * (1 - 2 * y) * q**self.gamma * (self.gamma * (1 - q) * nats + q)

    def gradient_tangent(self, xp: Namespace, u: Array, y: Array, u_dot: Array, j_bar: Array) -> Array:
        """Return z̄˙ = J̄ q^γ p (γ² p L + q(2γ + 1 − γL)) ∘ ż, with p = 1 − q."""
        q, nats = _surprise(xp, u, y)
        p, gamma = 1 - q, self.gamma
        return j_bar * q**gamma * p * (gamma**2 * p * nats + q * (2 * gamma + 1 - gamma * nats)) * u_dot

    def targets(self, y: object, n_outputs: int) -> np.ndarray:
        """Return y as floats 0 and 1, of shape `(m, n_outputs)`."""
        return numbers(self.name, y, n_outputs, lambda each: (each == 0) | (each == 1), ", each of them 0 or 1")


def _surprise(xp: Namespace, u: Array, y: Array) -> tuple[Array, Array]:
    """Return q = σ(−sz) and L = ln(1 + exp(−sz))."""
    against = (1 - 2 * y) * u
    positive = xp.where(against <= 0, xp.zeros_like(against), against)
    return Sigmoid().value(xp, against), positive + xp.log1p(xp.exp(-xp.abs(u)))
