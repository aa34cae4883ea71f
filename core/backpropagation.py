"""The passes through the layers, in DESIGN's letters: a bar is the adjoint (gradient) of J, a dot is a tangent.

    forward    z = a_prev Θᵀ + b        a = f(z)
    top        ā = ∂J/∂a, with J̄ = 1/m: the one place where m enters
    backward   z̄ = ā ∘ f'(z)            f' at z; elementwise, which is ā · diag(f'(z)) for each sample
               Θ̄ = z̄ᵀ a_prev           summed over the samples by the product, never averaged again
               b̄ = Σ_samples z̄
               ā_prev = z̄ Θ
    tangent    ż = ȧ_prev Θᵀ + a_prev Θ̇ᵀ + ḃ     ȧ = f'(z) ∘ ż

The lines for one layer stand in `core/layers/dense.py`, and those of each other layer in its own file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.arrays import Array, Namespace
from core.kernels import Kernels
from core.layers import Layer
from core.layers.sequence import tangents
from core.layout import Views
from core.losses import Loss
from core.workspace import Workspace

Layers = Sequence[Layer[Any]]


def forward(k: Kernels, layers: Layers, theta: Views, state: Views, w: Workspace) -> None:
    """Fill the memories of `w` from its x."""
    x = w.x
    for layer, t, s, memory in zip(layers, theta.values(), state.values(), w.memories, strict=True):
        layer.forward(k, t, s, x, memory, w.passing)
        x = memory.a


def forward_to_loss(k: Kernels, layers: Layers, theta: Views, state: Views, w: Workspace, loss: Loss) -> None:
    """Fill `w` from its x, y and J̄: the memories, each sample's loss, and the gradient at the top, the last ā.

    For a loss that goes with the last activation, `layers` end without it, so that their a is the network's z.
    """
    forward(k, layers, theta, state, w)
    k.loss(loss, w.outputs, w.y, w.j_bar, w.values, w.a_bar[-1], w.scratch)


def backward(
    k: Kernels, layers: Layers, theta: Views, w: Workspace, gradients: Views, x_bar: Array | None = None
) -> None:
    """Write all adjoints of parameters to `gradients`, from the last ā of `w`; and x̄ of the input to `x_bar`."""
    thetas, bars = tuple(theta.values()), tuple(gradients.values())
    for index in reversed(range(len(layers))):
        x = w.memories[index - 1].a if index else w.x
        below = w.a_bar[index - 1] if index else x_bar
        layers[index].backward(k, thetas[index], x, w.memories[index], w.a_bar[index], bars[index], below)


def tangent(xp: Namespace, layers: Layers, theta: Views, theta_dot: Views, w: Workspace, x_dot: Array) -> Array:
    """Return ȧ of the last layer for the tangents of x and of all parameters, after a `forward` on `w`."""
    return tangents(xp, layers, theta, theta_dot, w.memories, w.x, x_dot)[-1]
