"""A namespace of functions of one number, for formulas within Numba's loops, such that LLVM makes vectors of them.

The library's own exp and tanh are calls that stop this. Here they are arithmetic: with n = round(x / ln 2) and
r = x − n ln 2, exp(x) = 2ⁿ exp(r), where |r| ≤ ½ ln 2, so that a few terms of the series are enough, and 2ⁿ is put
together from its bits. (Muller, "Elementary Functions", 3rd edition, 2016, sections 11.2 and 11.4)

They are within 2 units of the last place, for every x that the dtype holds; NaN stays NaN.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

compiled: Any = njit(error_model="numpy", forceinline=True)  # a call would end the vectors

INTEGERS = {types.float32: types.int32, types.float64: types.int64}


@intrinsic
def _bits(_context, x):
    """Return the bits of a floating-point number as an integer."""
    integer = INTEGERS[x]

    def generate(context, builder, _signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(integer))

    return integer(x), generate


@intrinsic
def _of_bits(_context, bits):
    """Return the floating-point number with these bits."""
    real = {integer: real for real, integer in INTEGERS.items()}[bits]

    def generate(context, builder, _signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(real))

    return real(bits), generate


@compiled
def where(condition, one, other):
    """Return `one` where the condition holds, else `other`."""
    return one if condition else other


@compiled
def maximum(one, other):
    """Return the larger; NaN where one is."""
    return one if (one > other) | (one != one) else other  # noqa: PLR0124 -- NaN isn't equal to itself


@compiled
def minimum(one, other):
    """Return the smaller; NaN where one is."""
    return one if (one < other) | (one != one) else other  # noqa: PLR0124


@compiled
def clip(x, low, high):
    """Return x within `low` and `high`."""
    return minimum(maximum(x, low), high)


def _transcendental(real: type[np.floating[Any]]) -> dict[str, Any]:
    """Return exp, expm1, tanh and sign for numbers of the type `real`."""
    info = np.finfo(real)
    log2e, zero, half, one, two = real(1 / math.log(2)), real(0), real(0.5), real(1), real(2)
    # The upper part of ln 2 has so few digits that its product with n is exact.
    digits = info.nmant // 2
    upper = real(math.floor(math.ldexp(math.log(2), digits)) / 2**digits)
    lower = real(Decimal(2).ln() - Decimal(float(upper)))
    # Adding it leaves no digits behind the point, and n in the lowest bits.
    rounder, mantissa, bias = real(1.5 * 2**info.nmant), info.nmant, info.maxexp - 1
    least, most = real(math.log(float(info.smallest_subnormal)) - 1), real(math.log(float(info.max)) + 1)
    # ½ ln 2 to the power of the number of terms, divided by its factorial, no longer shows beside 1.
    series = tuple(real(1 / math.factorial(k)) for k in range(2, 9 if real is np.float32 else 15))
    integer = np.int32 if real is np.float32 else np.int64
    reversed_series = series[::-1]
    widest = real(25)

    bits, of_bits = cast(Any, _bits), cast(Any, _of_bits)  # their first argument is Numba's own

    @compiled
    def power_of_two(n):
        return of_bits(integer((n + integer(bias)) << integer(mantissa)))

    @compiled
    def whole(x):
        """Return x, rounded, in the lowest bits of a sum: an integer after `integer_of`."""
        return x + rounder

    @compiled
    def integer_of(shifted):
        return bits(shifted) - bits(rounder)

    @compiled
    def reduced(x):
        """Return exp(r) − 1 and n, as a number that isn't an integer for the processor."""
        n = whole(x * log2e) - rounder
        r = (x - n * upper) - n * lower
        value = reversed_series[0]
        for term in reversed_series[1:]:
            value = value * r + term
        return r + r * r * value, n

    @compiled
    def powers(n):
        """Return two powers of 2 whose product is 2ⁿ, which alone may be too large or too small, and 1/second."""
        first = integer_of(whole(half * n))
        rest = integer_of(whole(n)) - first
        return power_of_two(first), power_of_two(rest), power_of_two(-rest)

    @compiled
    def exp(x):
        x = least if x < least else x
        x = most if x > most else x
        beyond_1, n = reduced(x)
        first, second, _ = powers(n)
        return (one + beyond_1) * first * second

    @compiled
    def expm1(x):
        x = least if x < least else x
        x = most if x > most else x
        beyond_1, n = reduced(x)
        first, second, inverse = powers(n)
        return second * (first * beyond_1 + (first - inverse))

    @compiled
    def tanh(x):
        size = -x if x < 0 else x
        size = widest if size > widest else size
        beyond_1, n = reduced(two * size)
        power = power_of_two(integer_of(whole(n)))
        e = power * beyond_1 + (power - one)
        value = e / (e + two)
        return -value if x < 0 else value

    @compiled
    def sign(x):
        # x itself is 0 or NaN where it is neither above 0 nor below.
        return one if x > 0 else (-one if x < 0 else x)

    @compiled
    def ones_like(x):
        return one

    @compiled
    def zeros_like(x):
        return zero

    functions = {"exp": exp, "expm1": expm1, "tanh": tanh, "sign": sign}
    return functions | {"ones_like": ones_like, "zeros_like": zeros_like}


FUNCTIONS: dict[str, dict[str, Any]] = {
    dtype: {
        **_transcendental(real),
        "where": where,
        "maximum": maximum,
        "minimum": minimum,
        "clip": clip,
        "abs": np.abs,
        "sqrt": np.sqrt,
        "log1p": np.log1p,
    }
    for dtype, real in (("float32", np.float32), ("float64", np.float64))
}
"""For each dtype the functions that formulas use, by name."""
