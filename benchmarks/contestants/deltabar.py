"""Ourselves, through the public `core.fit`."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np

import core
from benchmarks.problem import Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import Shape

LIBRARIES = ("deltabar", "numpy")
BACKENDS = {"cpu": "numpy", "cuda": "cupy"}


def why_not(shape: Shape) -> None:
    """Return None: we take part in everything."""


def prepare(problem: Problem) -> Training:
    """Return a training of a new `Network` each time."""
    shape = problem.shape
    layers: list[core.Layer] = []
    for units in shape.widths[1:-1]:
        layers.append(core.Dense(units, shape.activation))
        layers += [core.Dropout(shape.dropout)] if shape.dropout else []
    layers.append(core.Dense(shape.widths[-1], "identity" if problem.is_regression else "softmax"))
    seed = 0 if shape.networks == 1 else range(shape.networks)
    backend = core.get_backend(BACKENDS[problem.device])
    adams = [core.Adam(float(rate)) for rate in problem.learning_rates]

    def train(epochs: int) -> Run:
        net = core.Network(shape.widths[0], layers, backend=backend, seed=seed)
        biases = [b for b in net.biases if b is not None]  # each layer has one
        for theta, b, (initial, zeros) in zip(net.weights, biases, problem.initial, strict=True):
            theta[...], b[...] = backend.asarray(initial), backend.asarray(zeros.reshape(b.shape))
        began = time.perf_counter()
        records = core.fit(
            net,
            problem.x,
            problem.y,
            loss=shape.loss,
            optimizer=adams[0] if shape.networks == 1 else adams,
            epochs=epochs,
            batch_size=shape.batch,
        )
        whole = time.perf_counter() - began
        # A record's clock starts after the arguments are checked; that and all else outside counts for the first epoch.
        later = [after.seconds - before.seconds for before, after in pairwise(records)]
        host = [(backend.to_host(theta), backend.to_host(b)) for theta, b in zip(net.weights, biases, strict=True)]
        final = [(theta, b[..., 0, :]) for theta, b in host]
        return Run([whole - sum(later), *later], [np.asarray(record.loss) for record in records], final)

    return train
