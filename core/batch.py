"""A batch that has gone forward through a network, with the gradient at the top: where closer looks start from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core import arguments
from core.arrays import Array
from core.backend import Backend
from core.backpropagation import forward_to_loss
from core.layers import Layer
from core.layout import Views
from core.losses import Loss, device_dtype
from core.workspace import Workspace

if TYPE_CHECKING:
    from core.network import Network


@dataclass(frozen=True)
class Batch:
    """m samples after the way forward.

    Attributes:
        rule: the loss itself.
        layers: up to where the loss starts; their last a is u.
        theta: each layer's views.
        w: the memory of the pass; its last ā is ū, and each layer's ā has an array of its own.
    """

    rule: Loss
    layers: tuple[Layer[Any], ...]
    theta: Views
    w: Workspace


def forward_on(network: Network, x: object, y: object, loss: str | Loss, *, alone: bool = False) -> Batch:
    """Return the batch after the way forward, samples passing as in predictions.

    Args:
        network: one network or a fleet.
        x: `(m, n_inputs)`, of at least one sample.
        y: its targets, as the loss takes them.
        loss: name of a loss, or a `Loss`.
        alone: whether each sample is a batch of its own, with J̄ = 1, for a copy of the network of its own: a fleet of
            m, and for a fleet of N one of N·m, the first network's copies first.

    Raises:
        ValueError: where x or y doesn't fit the network or the loss.
    """
    rule = arguments.fitting_loss(loss, network.output_activation)
    samples = arguments.samples("x", x, network.n_inputs)
    m = arguments.integer("the number of samples in x", len(samples), 1)
    targets = arguments.targets(rule, y, network.n_outputs, m)
    backend, layers = network.backend, network.layers_to(rule)
    leading, parameters, state = network.leading, network.parameters, network.state
    if alone:
        leading = (m * math.prod(leading),)
        parameters, state = (_copies(backend, flat, m) for flat in (parameters, state))
        samples, targets = (np.tile(a[:, None], (leading[0] // m, *[1] * a.ndim)) for a in (samples, targets))
    w = Workspace(backend, network.n_inputs, layers, leading, 1 if alone else m, targets[0] if alone else targets)
    w.a_bar = [backend.empty(memory.a.shape) for memory in w.memories]
    w.x[...] = backend.asarray(samples)
    w.y[...] = backend.asarray(targets, device_dtype(targets))
    theta = network.views(parameters)
    forward_to_loss(backend.kernels, layers, theta, network.views_of_state(state), w, rule)
    return Batch(rule, layers, theta, w)


def _copies(backend: Backend, flat: Array, m: int) -> Array:
    """Return m copies of each row of `flat`, `(…, size)`, in one leading axis, the one that kernels take."""
    copies = backend.empty((*flat.shape[:-1], m, flat.shape[-1]))
    copies[...] = flat[..., None, :]
    return backend.xp.reshape(copies, (m * math.prod(flat.shape[:-1]), flat.shape[-1]))
