"""Random bits from a counter: the same for NumPy and a GPU, for one network and for a fleet, with nothing to save.

Element i of a stream with the key k is the i-th output of the generator splitmix64 seeded by k: mix(k + i·γ), modulo
2⁶⁴, with γ = 2⁶⁴/φ. (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, section 5, with
the constants of Stafford's variant 13 that Vigna's splitmix64 has)
"""

from __future__ import annotations

from collections.abc import Sequence

from core.arrays import Array, Namespace

GAMMA = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
WRAP = 2**64


def mixed(z: Array) -> Array:
    """Return the mix of each element of z, unsigned 64-bit integers."""
    z = (z ^ (z >> 30)) * FIRST
    z = (z ^ (z >> 27)) * SECOND
    return z ^ (z >> 31)


def mixed_into(xp: Namespace, z: Array, scratch: Array) -> None:
    """Replace z by its mix; `scratch` is an array like z."""
    for shift, factor in ((30, FIRST), (27, SECOND)):
        xp.right_shift(z, xp.uint64(shift), out=scratch)
        xp.bitwise_xor(z, scratch, out=z)
        xp.multiply(z, xp.uint64(factor), out=z)
    xp.right_shift(z, xp.uint64(31), out=scratch)
    xp.bitwise_xor(z, scratch, out=z)


def folded(numbers: Sequence[int]) -> int:
    """Return one 64-bit number for a sequence of them, by the same mix, on the host.

    >>> folded([1, 2]) != folded([2, 1])
    True
    """
    z = 0
    for number in numbers:
        z = (z + number + 1) * GAMMA % WRAP
        z = (z ^ (z >> 30)) * FIRST % WRAP
        z = (z ^ (z >> 27)) * SECOND % WRAP
        z ^= z >> 31
    return z
