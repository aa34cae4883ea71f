"""The memory of a pass through the layers, made once for a batch size: no step allocates in proportion to the data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from core.arrays import Array
from core.backend import Backend
from core.layers import Layer, Memory, Passing
from core.layers.sequence import widths
from core.losses import LossScratch, device_dtype

CHUNK = 4096
"""Samples that predictions and validation take at a time, which bounds their memory."""


class Workspace:
    """Arrays for `m` samples of `layers`, with leading axes `leading`: () for one network, (N,) for a fleet.

    Attributes:
        x: the batch, `(…, m, n_inputs)`.
        memories: what each layer keeps; among it its output a.
        a_bar: the adjoint of each layer's output, `(…, m, n_out)`; two buffers take turns, as two at a time are alive.
        passing: how the samples pass, by default as in predictions.
        y: the batch's targets, in the shape and dtype of the given ones; only with targets, as what follows.
        weights: the samples' weights, `(…, m)`, where they have any.
        j_bar: J̄ `(…, m, 1)`, which is w_k/Σw, and 1/m as long as nothing else is written to it.
        values: each sample's loss, `(…, m)`.
        scratch: what the loss writes to.
    """

    y: Array
    weights: Array
    j_bar: Array
    values: Array
    scratch: LossScratch

    def __init__(
        self,
        backend: Backend,
        n_inputs: int,
        layers: Sequence[Layer[Any]],
        leading: tuple[int, ...],
        m: int,
        targets: np.ndarray | None = None,
    ) -> None:
        self.m = m
        batch = (*leading, m)
        samples, sizes = math.prod(batch), widths(layers, n_inputs)
        self.passing = Passing()
        self.x = backend.empty((*batch, n_inputs))
        self.memories: list[Memory] = [
            layer.memory(backend, batch, n_in, (index,))
            for index, (layer, n_in) in enumerate(zip(layers, sizes, strict=False))
        ]
        buffers = [backend.empty((samples * max(sizes[1:]),)) for _ in range(2)]

        def part_of_buffer(turn: int, n: int) -> Array:
            return backend.xp.reshape(buffers[turn % 2][: samples * n], (*batch, n), copy=False)

        self.a_bar = [part_of_buffer(turn, n) for turn, n in enumerate(sizes[1:])]
        if targets is not None:
            self.y = backend.empty((*batch, *targets.shape[1:]), device_dtype(targets))
            self.weights = backend.empty(batch)
            self.j_bar = backend.empty((*batch, 1))
            self.j_bar[...] = 1 / m if m else 0.0
            self.values = backend.empty(batch)
            self.scratch = LossScratch(
                row=backend.empty((*batch, 1)),
                wide=part_of_buffer(len(layers), sizes[-1]),
                index=backend.empty(batch, "int64"),
                first=backend.asarray(np.arange(samples).reshape(batch) * sizes[-1], "int64"),
            )

    @property
    def outputs(self) -> Array:
        """a of the last layer, `(…, m, n_outputs)`."""
        return self.memories[-1].a


def chunks(n_samples: int) -> Iterator[slice]:
    """Yield slices of at most `CHUNK` that cover `n_samples`."""
    for start in range(0, n_samples, CHUNK):
        yield slice(start, min(start + CHUNK, n_samples))
