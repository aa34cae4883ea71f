"""Initial weights, drawn on the host in float64 so that CPU and GPU start equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

# As text: NumPy imports `numpy.random` when it is first asked for, which takes a tenth of core's own start-up.
Initializer: TypeAlias = "Callable[[np.random.Generator, int, int], np.ndarray]"
"""From a generator, n_out and n_in to weights of shape `(n_out, n_in)`."""


def glorot_uniform(rng: np.random.Generator, n_out: int, n_in: int) -> np.ndarray:
    """Return weights uniform in ±√(6/(n_in + n_out)), which suits tanh and sigmoid.

    (Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010, (16))

    >>> glorot_uniform(np.random.default_rng(0), 3, 3).shape
    (3, 3)
    """
    limit = np.sqrt(6 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_out, n_in))


def glorot_normal(rng: np.random.Generator, n_out: int, n_in: int) -> np.ndarray:
    """Return normal weights of the variance 2/(n_in + n_out). (Glorot and Bengio 2010, (12))

    >>> glorot_normal(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """
    return rng.normal(0, np.sqrt(2 / (n_in + n_out)), (n_out, n_in))


def he_uniform(rng: np.random.Generator, n_out: int, n_in: int) -> np.ndarray:
    """Return weights uniform in ±√(6/n_in), which suits relu.

    (He et al., "Delving deep into rectifiers", ICCV 2015, (10), as a uniform distribution of the same variance)

    >>> he_uniform(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """
    limit = np.sqrt(6 / n_in)
    return rng.uniform(-limit, limit, (n_out, n_in))


def he_normal(rng: np.random.Generator, n_out: int, n_in: int) -> np.ndarray:
    """Return normal weights of the variance 2/n_in. (He et al. 2015, (10))

    >>> he_normal(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """
    return rng.normal(0, np.sqrt(2 / n_in), (n_out, n_in))


def lecun_uniform(rng: np.random.Generator, n_out: int, n_in: int) -> np.ndarray:
    """Return weights uniform in ±√(3/n_in), of the variance 1/n_in.

    (LeCun, Bottou, Orr, Müller, "Efficient BackProp", 1998, (16))

    >>> lecun_uniform(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """
    limit = np.sqrt(3 / n_in)
    return rng.uniform(-limit, limit, (n_out, n_in))


def lecun_normal(rng: np.random.Generator, n_out: int, n_in: int) -> np.ndarray:
    """Return normal weights of the variance 1/n_in, which suits selu. (LeCun et al. 1998, (16))

    >>> lecun_normal(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """
    return rng.normal(0, np.sqrt(1 / n_in), (n_out, n_in))


def orthogonal(rng: np.random.Generator, n_out: int, n_in: int) -> np.ndarray:
    """Return weights whose rows or columns, whichever are fewer, are orthonormal; any such matrix is as likely.

    It is Q of the QR decomposition of normal numbers, with the signs that make the diagonal of R positive, without
    which Q would depend on how the decomposition is computed.
    (Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
    ICLR 2014, section 4; Mezzadri, "How to generate random matrices from the classical compact groups", Notices of the
    AMS 54, 2007)

    >>> weights = orthogonal(np.random.default_rng(0), 2, 3)
    >>> (weights @ weights.T).round(12) + 0
    array([[1., 0.],
           [0., 1.]])
    """
    q, r = np.linalg.qr(rng.standard_normal((max(n_out, n_in), min(n_out, n_in))))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return q if n_out >= n_in else q.T


def zeros(rng: np.random.Generator, n_out: int, n_in: int) -> np.ndarray:
    """Return zeros: for a last layer that shall begin without a preference. Hidden units would all stay equal.

    >>> zeros(np.random.default_rng(0), 1, 2)
    array([[0., 0.]])
    """
    return np.zeros((n_out, n_in))


@dataclass(frozen=True)
class Constant:
    """The same number for every weight: Dense(1, initializer=Constant(0.1)). Hidden units would all stay equal.

    >>> Constant(0.1)(np.random.default_rng(0), 1, 2)
    array([[0.1, 0.1]])

    Raises:
        ValueError: where the number isn't finite.
    """

    value: float

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not np.isfinite(self.value):
            raise ValueError(f"value: {self.value!r} is not allowed; it must be a finite number")

    def __call__(self, rng: np.random.Generator, n_out: int, n_in: int) -> np.ndarray:
        """Return weights that are all `value`."""
        return np.full((n_out, n_in), float(self.value))


INITIALIZERS: dict[str, Initializer] = {
    function.__name__: function
    for function in (
        *(glorot_uniform, glorot_normal, he_uniform, he_normal),
        *(lecun_uniform, lecun_normal, orthogonal, zeros),
    )
}
"""Every initializer by its name."""
