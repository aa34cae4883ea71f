"""Where training first met a number that isn't finite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from core.arrays import Array
from core.layout import Views
from core.network import Network


class NonFiniteError(ArithmeticError):
    """Training met a number that isn't finite and can't go on; the network holds the weights before that step.

    Attributes:
        epoch: in which, from 1 on.
        step: at which step of the whole training, from 1 on.
        layer: the place of the first layer at which there was one, as in `state_dict`; None where it was J itself.
        what: which of its numbers, such as "z" or "the gradient of weight".
    """

    def __init__(self, epoch: int, step: int, layer: str | None, what: str) -> None:
        self.epoch, self.step, self.layer, self.what = epoch, step, layer, what
        where = what if layer is None else f"{what} of layer {layer}"
        super().__init__(
            f"training met a number that isn't finite in epoch {epoch}, at step {step}, first in {where}; the network "
            "holds the weights before that step. Take a smaller learning_rate, bound the gradient with clip_norm, or "
            "look for features of extraordinary size"
        )


def first_of(network: Network, trail: Iterable[tuple[str | None, str, Array]]) -> tuple[str | None, str] | None:
    """Return the layer, and what of it, that is the first not to be finite in `trail`; None where all are.

    Of a fleet, a number counts only where no network's is finite.
    """
    for layer, what, array in trail:
        if _gone(network, array):
            return layer, what
    return None


def first_of_parameters(network: Network) -> tuple[str | None, str] | None:
    """Return the first layer whose parameters aren't finite, likewise."""
    return first_of(network, ((n, what, p) for n, views in network.theta.items() for what, p in flattened(views)))


def _gone(network: Network, array: Array) -> bool:
    finite = np.isfinite(network.backend.to_host(array))
    return not finite.reshape(*network.leading, -1).all(axis=-1).any()


def flattened(views: Views, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the name and the array of each variable, those of layers within layers too."""
    for name, inner in views.items():
        if isinstance(inner, dict):
            yield from flattened(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner
