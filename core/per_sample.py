"""The gradient of each sample's own loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.arrays import Array
from core.backpropagation import backward
from core.batch import forward_on
from core.losses import Loss

if TYPE_CHECKING:
    from core.network import Network


def per_sample_gradients(network: Network, x: object, y: object, loss: str | Loss) -> Array:
    """Return the gradient of each sample's own loss by all parameters, `(…, m, P)`; their mean is the batch's.

    Every formula holds for a fleet, so each sample is a batch of one for a copy of the network of its own, with J̄ = 1.
    Then Θ̄ = z̄ᵀ a_prev is one outer product a sample, all of them in one product a layer. (Goodfellow, "Efficient
    per-example gradient computations", 2015, section 4)

    Raises:
        ValueError: where x or y doesn't fit the network or the loss.

    >>> from core import Dense, Network
    >>> net = Network(1, [Dense(1, bias=False)])
    >>> net.weights[0][...] = 1
    >>> per_sample_gradients(net, [[1.0], [2.0]], [[0.0], [0.0]], "squared_error")
    array([[1.],
           [4.]], dtype=float32)
    """
    batch, backend = forward_on(network, x, y, loss, alone=True), network.backend
    flat = backend.empty((batch.w.x.shape[0], network.n_parameters))
    backward(backend.kernels, batch.layers, batch.theta, batch.w, network.views(flat))
    return backend.xp.reshape(flat, (*network.leading, -1, network.n_parameters))
