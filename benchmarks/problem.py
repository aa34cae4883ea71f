"""What every contestant gets: the same data, initial weights and order of the samples; and how its result is judged."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from benchmarks.shapes import LEARNING_RATE, Shape
from core.randomness import Purpose, generator

Layers: TypeAlias = list[tuple[np.ndarray, np.ndarray]]
"""Θ `(n_out, n_in)` and b `(n_out,)` of each layer; for several networks with a leading axis."""

_ERF = np.vectorize(math.erf, otypes=[float])

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "gelu": lambda z: z * (1 + _ERF(z / math.sqrt(2))) / 2,
}


class Problem:
    """Data and initial weights of `shape`, equal in every process; and the device, "cpu" or "cuda", to train on.

    A random network of one hidden layer, the teacher, makes the targets, with noise, so that there is something to
    learn that can't be learnt perfectly.

    Attributes:
        x: samples `(n_samples, n_inputs)`, float32.
        y: labels `(n_samples,)`, int64, or numbers `(n_samples, n_outputs)`, float32.
        initial: the layers at the start.
        learning_rates: of Adam, one for each network `(N,)`: those of a fleet go from half the usual to its double.

    >>> problem = Problem(Shape("tiny", (4, 16, 3), 32, 2))
    >>> problem.x.shape, problem.y.shape, [theta.shape for theta, _ in problem.initial]
    ((64, 4), (64,), [(16, 4), (3, 16)])
    """

    def __init__(self, shape: Shape, device: str = "cpu") -> None:
        self.shape, self.device = shape, device
        rng = np.random.default_rng(0)
        n_inputs, n_outputs = shape.widths[0], shape.widths[-1]
        self.y: np.ndarray
        self.x = rng.standard_normal((shape.samples, n_inputs), dtype=np.float32)
        hidden = np.tanh(self.x @ rng.standard_normal((n_inputs, 32)) / math.sqrt(n_inputs))
        clean = hidden @ rng.standard_normal((32, n_outputs)) / math.sqrt(32)
        noisy = clean + 0.2 * rng.standard_normal(clean.shape)
        self.is_regression = shape.loss == "squared_error"
        self.y = noisy.astype(np.float32) if self.is_regression else noisy.argmax(axis=1)
        self.learning_rates = LEARNING_RATE * (
            np.geomspace(0.5, 2, shape.networks) if shape.networks > 1 else np.ones(1)
        )
        self.initial: Layers = []
        leading = (shape.networks,) if shape.networks > 1 else ()
        for n_in, n_out in pairwise(shape.widths):
            limit = math.sqrt(6 / (n_in + n_out))
            theta = rng.uniform(-limit, limit, (*leading, n_out, n_in)).astype(np.float32)
            self.initial.append((theta, np.zeros((*leading, n_out), np.float32)))

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of the samples in `epoch`, from 1 on: `(n_samples,)`, for a fleet `(N, n_samples)`.

        It is drawn as `core.train` draws it. Contestants draw it within the measured time, as we do.
        """
        orders = [
            generator(seed, Purpose.ORDER_OF_SAMPLES, epoch).permutation(self.shape.samples)
            for seed in range(self.shape.networks)
        ]
        return np.stack(orders) if self.shape.networks > 1 else orders[0]

    def loss(self, layers: Layers) -> np.ndarray:
        """Return J of each network over all samples, `(N,)`, in float64 and without dropout, by the textbook."""
        stacked = [(theta.reshape(-1, *theta.shape[-2:]), b.reshape(-1, b.shape[-1])) for theta, b in layers]
        return np.array([self._loss([(theta[k], b[k]) for theta, b in stacked]) for k in range(self.shape.networks)])

    def _loss(self, layers: Layers) -> float:
        a = self.x.astype(np.float64)
        for theta, b in layers[:-1]:
            a = ACTIVATIONS[self.shape.activation](a @ theta.T.astype(np.float64) + b)
        z = a @ layers[-1][0].T.astype(np.float64) + layers[-1][1]
        if self.is_regression:
            return float(((z - self.y) ** 2).sum() / (2 * len(z)))
        largest = z.max(axis=1)
        logarithms = np.log(np.exp(z - largest[:, None]).sum(axis=1)) + largest
        return float((logarithms - z[np.arange(len(z)), self.y]).mean())
