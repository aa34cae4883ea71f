"""What keeps weights and gradients small: penalties, the norm of a unit's weights, clipping."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from core.arrays import Array, Namespace, Slots
from core.backend import Backend
from core.network import Network
from core.optimizers.optimizer import require
from core.rule import Rule


class Penalty(Rule):
    """ḡ ← ḡ + w (l₁ sign(θ) + l₂ θ), the gradient of l₁ Σ|θ| + l₂/2 Σθ², with w = 1 for weights and 0 for the rest.

    p is ḡ here, and g is θ; sign(0) = 0.
    """

    name = "penalty"
    slots = ("is_weight",)
    numbers = ("l1", "l2")
    cuda = "p += is_weight * (l1 * (g > T(0) ? T(1) : g < T(0) ? T(-1) : g) + l2 * g);"

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return ḡ after the step, and w."""
        (is_weight,), (l1, l2) = slots, numbers
        return p + is_weight * (l1 * xp.sign(g) + l2 * g), is_weight

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (is_weight,), (l1, l2), (way, other) = slots, numbers, scratch
        xp.sign(g, out=way)
        xp.multiply(way, l1, out=way)
        xp.multiply(g, l2, out=other)
        xp.add(way, other, out=way)
        xp.multiply(way, is_weight, out=way)
        xp.add(p, way, out=p)


class ClipValue(Rule):
    """p ← min(max(g, −c), c), for p = g the gradient itself."""

    name = "clip_value"
    numbers = ("largest",)
    cuda = "p = g > largest ? largest : g < -largest ? -largest : g;"

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return g within ±c."""
        (largest,) = numbers
        return (xp.minimum(xp.maximum(g, -largest), largest),)

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (largest,) = numbers
        xp.clip(g, -largest, largest, out=p)


@dataclass(frozen=True)
class Regularization:
    """What to do beside the optimizer's step; None leaves it out.

    Args:
        l1: l₁ > 0; adds l₁ Σ|θ| over all weights, not biases, to what is minimised.
        l2: l₂ > 0; adds l₂/2 Σθ² over all weights, likewise.
        clip_value: c > 0; each element of the gradient is brought to within ±c.
        clip_norm: c > 0; the whole gradient is made shorter where its L2 norm is above c (Pascanu, Mikolov and Bengio,
            "On the difficulty of training recurrent neural networks", ICML 2013, algorithm 1). Of a fleet, each
            network's own.
        max_norm: c > 0; after the step, each unit's row of Θ is made shorter where its L2 norm is above c (Srivastava
            et al., "Dropout", Journal of Machine Learning Research 15, 2014, section 5.1).

    Raises:
        ValueError: for a number that isn't above 0 and finite.

    >>> Regularization(l2=-1)
    Traceback (most recent call last):
    ...
    ValueError: l2: -1 is not allowed; it must be > 0 and finite
    """

    l1: float | None = None
    l2: float | None = None
    clip_value: float | None = None
    clip_norm: float | None = None
    max_norm: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if (value := getattr(self, field.name)) is not None:
                require(field.name, value, 0)


class Regularizer:
    """A `Regularization` at work on a network, with the memory that it needs; nothing is read from the device."""

    def __init__(self, network: Network, backend: Backend, choices: Regularization, gradients: Array) -> None:
        self._choices, self._gradients = choices, gradients
        self._network, self._kernels = network, backend.kernels
        self._weights = network.weight_views(network.parameters)
        if choices.l1 or choices.l2:
            self._is_weight = is_weight(network)
        if choices.clip_norm or choices.max_norm:
            self._squares = network.backend.empty(gradients.shape, "float64")
            self._squares_of_weights = network.weight_views(self._squares)

    def change_gradients(self) -> None:
        """Add the penalties, then clip, by value first, so that both bounds hold in the end."""
        k, choices, gradients = self._kernels, self._choices, self._gradients
        if choices.l1 or choices.l2:
            numbers = (choices.l1 or 0.0, choices.l2 or 0.0)
            k.elementwise_step(Penalty(), gradients, self._network.parameters, (self._is_weight,), numbers)
        if choices.clip_value:
            k.elementwise_step(ClipValue(), gradients, gradients, (), (choices.clip_value,))
        if choices.clip_norm:
            k.bound_norm(gradients, choices.clip_norm, self._squares)

    def change_parameters(self) -> None:
        """Bound the norm of each unit's weights."""
        if self._choices.max_norm:
            for weight, squares in zip(self._weights, self._squares_of_weights, strict=True):
                self._kernels.bound_norm(weight, self._choices.max_norm, squares)


def is_weight(network: Network) -> Array:
    """Return an array like `network.parameters`, 1 for each element of a weight matrix and 0 for the rest."""
    flat = network.backend.zeros(network.parameters.shape)
    for weight in network.weight_views(flat):
        weight[...] = 1
    return flat


def penalty(network: Network, l1: float = 0.0, l2: float = 0.0) -> np.ndarray:
    """Return l₁ Σ|θ| + l₂/2 Σθ² over all weights on the host, shape `(…)`: what `train`'s l1 and l2 add to J.

    >>> from core import Dense
    >>> net = Network(2, [Dense(1)])
    >>> net.weights[0][...] = [[3, -4]]
    >>> penalty(net, l1=1.0, l2=2.0).item()
    32.0
    """
    total = np.zeros(network.leading)
    for weight in network.weight_views(network.parameters):
        host = network.backend.to_host(weight).astype(np.float64)
        total += l1 * np.abs(host).sum(axis=(-2, -1)) + l2 / 2 * (host * host).sum(axis=(-2, -1))
    return total
