"""The logistic function at z and at −z, both exact to the last digits, for the activations that are made of it."""

from __future__ import annotations

from core.arrays import Array, Namespace


def logistic(xp: Namespace, z: Array) -> tuple[Array, Array]:
    """Return s = 1 / (1 + exp(−z)) and k = 1 / (1 + exp(z)).

    With p = exp(min(z, 0)) and q = exp(min(−z, 0)) these are p/(p + q) and q/(p + q): nothing overflows, and k isn't
    1 − s, which would have lost its digits far to the right.

    >>> import numpy as np
    >>> s, k = logistic(np, np.array([0.0, 300.0, 1e4]))
    >>> s, k
    (array([0.5, 1. , 1. ]), array([5.00000000e-001, 5.14820022e-131, 0.00000000e+000]))
    """
    p, q = xp.exp(xp.minimum(z, 0.0)), xp.exp(xp.minimum(-z, 0.0))
    return p / (p + q), q / (p + q)


def logistic_into(xp: Namespace, z: Array, s: Array, k: Array, total: Array) -> None:
    """Write the same to `s` and `k`; `total` is scratch, and none of them is `z`."""
    xp.minimum(z, 0, out=s)
    xp.exp(s, out=s)
    xp.negative(z, out=k)
    xp.minimum(k, 0, out=k)
    xp.exp(k, out=k)
    xp.add(s, k, out=total)
    xp.divide(s, total, out=s)
    xp.divide(k, total, out=k)
