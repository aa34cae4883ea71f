"""exp(z) for losses that are computed from the z of an exp, as large as the dtype allows."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from core.arrays import Array, Namespace


def held_exp(xp: Namespace, z: Array) -> Array:
    """Return exp(z), with z held at ln(largest number) − 10, so that the sum of e¹⁰ = 22026 of them is still finite.

    >>> import numpy as np
    >>> held_exp(np, np.array([0.0, 1e4]))
    array([1.00000000e+000, 8.16...e+303])
    """
    limit = _largest(str(z.dtype))
    return xp.exp(xp.where(z > limit, limit, z))


@cache
def _largest(dtype: str) -> float:
    return math.log(np.finfo(dtype.rpartition(".")[2]).max) - 10
