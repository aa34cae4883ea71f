"""Layers one after the other: their widths, their places, their variables, their tangents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.arrays import Array, Namespace
from core.layers.layer import Layer, Memory
from core.layout import Variables, Views


def widths(layers: Sequence[Layer[Any]], n_inputs: int) -> list[int]:
    """Return the number of inputs of each layer, and of outputs of the last."""
    found = [n_inputs]
    for layer in layers:
        found.append(layer.n_outputs(found[-1]))
    return found


def variables(
    layers: Sequence[Layer[Any]], n_inputs: int, of: Callable[[Layer[Any], int], Variables]
) -> dict[str, Variables]:
    """Return `of(layer, its inputs)` for each layer, under its place in PyTorch's `nn.Sequential`: "0", "2", …"""
    found, place = {}, 0
    for layer, n_in in zip(layers, widths(layers, n_inputs), strict=False):
        found[str(place)] = of(layer, n_in)
        place += layer.places
    return found


def tangents(
    xp: Namespace,
    layers: Sequence[Layer[Any]],
    theta: Views,
    theta_dot: Views,
    memories: Sequence[Memory],
    x: Array,
    x_dot: Array,
) -> list[Array]:
    """Return ẋ, then ȧ of each layer, for the tangents of x and of all parameters, after a `forward`."""
    found = [x_dot]
    for layer, t, t_dot, memory in zip(layers, theta.values(), theta_dot.values(), memories, strict=True):
        found.append(layer.tangent(xp, t, t_dot, x, found[-1], memory))
        x = memory.a
    return found


def backward_tangent(
    xp: Namespace,
    layers: Sequence[Layer[Any]],
    theta: Views,
    theta_dot: Views,
    memories: Sequence[Memory],
    x: Array,
    dots: Sequence[Array],
    a_bar: Array,
    a_bar_dot: Array,
) -> tuple[dict[str, Any], Array, Array]:
    """Return the tangents of all parameters' adjoints, x̄ and x̄˙, from ā and ā˙ of the last layer.

    `dots` is what `tangents` gives; the results are nested and named as `theta` is.
    """
    found, inputs = {}, [x, *(memory.a for memory in memories)]
    for i, name in reversed(list(enumerate(theta))):
        found[name], a_bar, a_bar_dot = layers[i].backward_tangent(
            xp, theta[name], theta_dot[name], inputs[i], dots[i], memories[i], a_bar, a_bar_dot
        )
    return found, a_bar, a_bar_dot
