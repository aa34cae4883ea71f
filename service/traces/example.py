"""The example of the design: 2-2-2, sigmoid, without biases, whose every activation is a fraction."""

from __future__ import annotations

import math

import numpy as np

import core


def example() -> tuple[core.Network, np.ndarray, np.ndarray]:
    """Return a network, three samples and their targets.

    The weights are multiples of ln 3, since σ(k ln 3) = 3ᵏ/(3ᵏ + 1).

    >>> network, x, y = example()
    >>> network.predict(x).round(6)
    array([[0.5     , 0.964286],
           [0.25    , 0.75    ],
           [0.5     , 0.75    ]])
    """
    layers = [core.Dense(2, "sigmoid", bias=False), core.Dense(2, "sigmoid", bias=False)]
    network = core.Network(2, layers, backend=core.get_backend("numpy", "float64"))
    network.weights[0][...] = math.log(3) * np.array([[1, -1], [1, 1]])
    network.weights[1][...] = math.log(3) * np.array([[2, -2], [4, 0]])
    x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    y = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    return network, x, y
