"""Threads that go through the same compiled code side by side, and wait for each other where it needs them all."""

from __future__ import annotations

from typing import Any, cast

from numba import njit, types
from numba.extending import intrinsic

SPINS = 2_000
"""Looks, of some nanoseconds each, before a thread that waits lets others have its core."""

_sched_yield: Any = types.ExternalFunction("sched_yield", types.intc())
compiled: Any = njit(error_model="numpy", nogil=True)  # what calls it is kept, with this in it


def _pointer(context, builder, signature, arguments):
    return context.make_array(signature.args[0])(context, builder, arguments[0]).data


@intrinsic
def _add_one(_context, counter):
    """Add 1 to the first element, such that whoever sees it sees all that this thread wrote before."""

    def generate(context, builder, signature, arguments):
        one = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("add", _pointer(context, builder, signature, arguments), one, "acq_rel")

    return types.int64(counter), generate


@intrinsic
def _read(_context, counter):
    """Return the first element, and see all that those had written who added to it."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_pointer(context, builder, signature, arguments), "acquire", 8)

    return types.int64(counter), generate


add_one, read = cast(Any, _add_one), cast(Any, _read)  # their first argument is Numba's own


@compiled
def meet(arrivals, goal):
    """Wait until all have arrived: until `arrivals`, of one element, 0 at first, has come to `goal`.

    That is the number of threads at the first meeting, twice as many at the second, and so on.
    """
    add_one(arrivals)
    spins = 0
    while read(arrivals) < goal:
        spins += 1
        if spins > SPINS:
            _sched_yield()


@compiled
def cut(m, n, part_rows, part_columns, part):
    """Return the rows and columns, from and to, of the part number `part` of a matrix `(m, n)`."""
    across = -(-n // part_columns)
    low, left = part // across * part_rows, part % across * part_columns
    return low, min(low + part_rows, m), left, min(left + part_columns, n)


@compiled
def count_parts(m, n, part_rows, part_columns):
    """Return how many parts it has."""
    return -(-m // part_rows) * -(-n // part_columns)
