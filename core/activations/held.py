"""z held between two bounds beyond which f no longer changes, so that nothing overflows and 0 · ∞ doesn't come up."""

from __future__ import annotations

from core.arrays import Array, Namespace


def held(xp: Namespace, z: Array, most: float) -> Array:
    """Return z where |z| ≤ `most`, else ±`most`; NaN stays NaN.

    >>> import numpy as np
    >>> held(np, np.array([-np.inf, 3.0]), 50.0)
    array([-50.,   3.])
    """
    return xp.minimum(xp.maximum(z, -most), most)


def held_into(xp: Namespace, z: Array, most: float, out: Array) -> None:
    """Write the same to `out`."""
    xp.maximum(z, -most, out=out)
    xp.minimum(out, most, out=out)
