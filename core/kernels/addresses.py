"""Calls of functions by their address, from code that is compiled without knowing them.

What a network needs of formulas is compiled for each by itself (`core.kernels.called`); the steps that call it are
compiled once. Arrays are given by where their data begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_ADDRESS = ir.IntType(64)


def _call(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
    """Write the call of the function whose address is the first argument."""
    values = []
    for kind, value in zip(signature.args[1:], arguments[1:], strict=True):
        is_array = isinstance(kind, types.Array)
        values.append(context.make_array(kind)(context, builder, value).data if is_array else value)
    function = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    builder.call(builder.inttoptr(arguments[0], function.as_pointer()), values)
    return context.get_dummy_value()


def _signature(*kinds: Any) -> Any:
    return types.void(*(types.intp if isinstance(kind, types.Integer) else kind for kind in kinds))


@intrinsic
def _activate(_context, address, z, a, corner, row, m, n, bias):
    """Call `activate` of `core.kernels.called`."""
    return _signature(address, z, a, corner, row, m, n, bias), _call


@intrinsic
def _pull_back(_context, address, bar, z, a, corner, row, m, n):
    """Call `pull_back`."""
    return _signature(address, bar, z, a, corner, row, m, n), _call


@intrinsic
def _judge(_context, address, u, y, j_bar, values, bar, corner, low, high, n):
    """Call `judge`."""
    return _signature(address, u, y, j_bar, values, bar, corner, low, high, n), _call


@intrinsic
def _update(_context, address, p, g, slots, start, stop, numbers):
    """Call `update`."""
    return _signature(address, p, g, slots, start, stop, numbers), _call


@intrinsic
def _pointer(_context, address, array):
    """Return the address as a pointer to elements such as those of the array."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(array.dtype)(types.intp, array), generate


# Their first argument is Numba's own.
activate, pull_back, judge = cast(Any, _activate), cast(Any, _pull_back), cast(Any, _judge)
update, pointer = cast(Any, _update), cast(Any, _pointer)
