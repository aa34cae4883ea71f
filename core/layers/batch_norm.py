"""Batch normalisation: each feature is standardised over the samples of the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Array
from core.kernels import Kernels
from core.layers.layer import Passing
from core.layers.normalization import Normalization, NormalizationMemory
from core.layout import Variable, Variables, Views


@dataclass(frozen=True)
class BatchNorm(Normalization):
    """a = γ ∘ (x − mean)/√(variance + ε) + β; in training, mean and variance are those of the batch.

    In predictions, and for a batch without samples, they are running means: after each step, running ←
    (1 − momentum) · running + momentum · batch, the batch's variance with m − 1 below the line, as in PyTorch. (Ioffe
    and Szegedy, "Batch normalization", ICML 2015, algorithms 1 and 2)

    Args:
        epsilon: ε > 0.
        momentum: the share of the latest batch in the running means, from 0 to 1.

    >>> from core import Network
    >>> list(Network(3, [BatchNorm()]).state_dict())
    ['0.weight', '0.bias', '0.running_mean', '0.running_var']
    """

    momentum: float = 0.1

    kind = "batch_norm"
    axis = -2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"momentum: {self.momentum!r} is not allowed; it must be ≥ 0 and ≤ 1")

    def state(self, n_inputs: int) -> Variables:
        """Return the running mean, from 0 on, and the running variance, from 1 on."""
        zeros, ones = (lambda _: np.zeros(n_inputs)), (lambda _: np.ones(n_inputs))
        return {"running_mean": Variable((n_inputs,), zeros), "running_var": Variable((n_inputs,), ones)}

    def forward(
        self, k: Kernels, theta: Views, state: Views, x: Array, memory: NormalizationMemory, passing: Passing
    ) -> None:
        """Write x̂ and a; in training, the running means too."""
        m = x.shape[-2]
        memory.own_moments = passing.training and m > 0
        mean, variance = state["running_mean"], state["running_var"]
        if memory.own_moments:
            k.moments(x, self.axis, memory.mean, memory.variance, memory.scratch)
            mean, variance = memory.mean, memory.variance
        k.standardize(x, mean, variance, self.epsilon, memory.inverse, memory.x_hat)
        self.scale_and_shift(k, theta, memory)
        if memory.own_moments:
            k.blend(state["running_mean"], memory.mean, self.momentum, 1.0)
            k.blend(state["running_var"], memory.variance, self.momentum, m / max(m - 1, 1))
