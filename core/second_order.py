"""Products of a vector with the Hessian of J, and with its Gauss–Newton part: no matrix is ever formed.

With u the loss's input and U its Jacobian by the parameters θ, the Hessian is

    H = Uᵀ H_L U + Σ_i ū_i ∂²u_i/∂θ²

where H_L is the loss's own Hessian, by u. The first term is the Gauss–Newton matrix. Both products go forward once with
the tangents that v gives, `U v`, and back once:

    top         ū˙ = H_L u̇
    Gauss–Newton  the way back, Uᵀ, from ū˙
    Hessian       every line of the way back differentiated by the product rule, from ū and ū˙:
                  z̄˙ = ā˙ ∘ f'(z) + ā ∘ f''(z) ∘ ż        Θ̄˙ = z̄˙ᵀ a_prev + z̄ᵀ ȧ_prev
                  b̄˙ = Σ_samples z̄˙                       ā˙_prev = z̄˙ Θ + z̄ Θ̇
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from core.arrays import Array
from core.backpropagation import backward
from core.batch import Batch, forward_on
from core.layers.sequence import backward_tangent, tangents
from core.layout import Views
from core.losses import Loss

if TYPE_CHECKING:
    from core.network import Network


def hessian_vector_product(network: Network, x: object, y: object, loss: str | Loss, v: object) -> Array:
    """Return H v, laid out as `parameters` is: how the gradient of J changes as the parameters move along v.

    Where an activation or a loss has a kink, the second derivative there counts as 0. (Pearlmutter, "Fast exact
    multiplication by the Hessian", Neural Computation 6, 1994, section 3)

    Raises:
        ValueError: where x, y or v doesn't fit the network or the loss.

    >>> from core import Dense, Network
    >>> net = Network(1, [Dense(1, bias=False)])  # J = Σ (θx − y)²/2m, so H = Σ x²/m
    >>> hessian_vector_product(net, [[1.0], [2.0]], [[0.0], [0.0]], "squared_error", [1.0])
    array([2.5], dtype=float32)
    """
    batch, theta_dot, dots, u_bar_dot = _forward(network, x, y, loss, v)
    w = batch.w
    found, _, _ = backward_tangent(
        network.backend.xp, batch.layers, batch.theta, theta_dot, w.memories, w.x, dots, w.a_bar[-1], u_bar_dot
    )
    flat = network.backend.empty(network.parameters.shape)
    _write(network.views(flat), found)
    return flat


def gauss_newton_vector_product(network: Network, x: object, y: object, loss: str | Loss, v: object) -> Array:
    """Return Uᵀ H_L U v, laid out as `parameters` is.

    For a loss that is convex in u the matrix is positive semidefinite, and it is the Hessian where u is linear in the
    parameters. (Schraudolph, "Fast curvature matrix-vector products", Neural Computation 14, 2002, section 3)

    Raises:
        ValueError: where x, y or v doesn't fit the network or the loss.

    >>> from core import Dense, Network
    >>> net = Network(1, [Dense(1, bias=False)])
    >>> gauss_newton_vector_product(net, [[1.0], [2.0]], [[0.0], [0.0]], "squared_error", [1.0])
    array([2.5], dtype=float32)
    """
    batch, _, _, u_bar_dot = _forward(network, x, y, loss, v)
    batch.w.a_bar[-1][...] = u_bar_dot
    flat = network.backend.empty(network.parameters.shape)
    backward(network.backend.kernels, batch.layers, batch.theta, batch.w, network.views(flat))
    return flat


def _forward(
    network: Network, x: object, y: object, loss: str | Loss, v: object
) -> tuple[Batch, Views, list[Array], Array]:
    """Return the batch, v's views, the tangents of x and of each layer's output, and ū˙."""
    xp, own = network.backend.xp, network.parameters
    shape = tuple(getattr(v, "shape", np.shape(v)))  # type: ignore[arg-type]
    if shape != tuple(own.shape):
        raise ValueError(f"v: the shape {shape} is not allowed; it must be that of the parameters, {tuple(own.shape)}")
    # What an earlier product returned is on the device already, where NumPy can't read it.
    there = v if isinstance(v, type(own)) and not isinstance(v, np.ndarray) else network.backend.asarray(np.asarray(v))
    batch, theta_dot = forward_on(network, x, y, loss), network.views(there)
    w = batch.w
    dots = tangents(xp, batch.layers, batch.theta, theta_dot, w.memories, w.x, xp.zeros_like(w.x))
    return batch, theta_dot, dots, batch.rule.gradient_tangent(xp, w.outputs, w.y, dots[-1], w.j_bar)


def _write(views: Views, found: dict[str, Any]) -> None:
    for name, view in views.items():
        if isinstance(view, dict):
            _write(view, found[name])
        else:
            view[...] = found[name]
