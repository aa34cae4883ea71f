"""Layer normalisation: each sample is standardised over its features."""

from __future__ import annotations

from dataclasses import dataclass

from core.arrays import Array
from core.kernels import Kernels
from core.layers.layer import Passing
from core.layers.normalization import Normalization, NormalizationMemory
from core.layout import Views


@dataclass(frozen=True)
class LayerNorm(Normalization):
    """a = γ ∘ (x − mean)/√(variance + ε) + β, mean and variance over each sample's features; the same in training.

    (Ba, Kiros, Hinton, "Layer normalization", 2016, (4))

    Args:
        epsilon: ε > 0.

    >>> import numpy as np
    >>> from core import Network
    >>> Network(2, [LayerNorm()]).predict([[1.0, 3.0]]).round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    kind = "layer_norm"
    axis = -1

    def forward(
        self, k: Kernels, theta: Views, state: Views, x: Array, memory: NormalizationMemory, passing: Passing
    ) -> None:
        """Write x̂ and a."""
        k.moments(x, self.axis, memory.mean, memory.variance, memory.scratch)
        k.standardize(x, memory.mean, memory.variance, self.epsilon, memory.inverse, memory.x_hat)
        self.scale_and_shift(k, theta, memory)
