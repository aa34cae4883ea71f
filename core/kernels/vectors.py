"""The innermost loops of a matrix product, written for LLVM by hand: Numba's own keep no sums in registers.

A vector is as wide as the processor has them, and so many sums are kept at once as it has registers for. All memory is
flat arrays with a place to begin at, in elements.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any, cast

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic


def _features() -> Mapping[str, bool]:
    """Return what the processor has, by LLVM's names; nothing where LLVM can't tell."""
    try:
        return binding.get_host_cpu_features()
    except RuntimeError:
        return {}


_FEATURES = _features()
WIDTH = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx") else 16
"""Bytes of a vector."""
ROWS = 8 if WIDTH == 64 or platform.machine() in {"arm64", "aarch64"} else 4
"""Rows of c in a tile, of up to 3 vectors each: with one of a and 3 of b they fit into 32 registers, or into 16."""
VECTORS = 3

_BIT, _INDEX, _INT = ir.IntType(1), ir.IntType(64), ir.IntType(32)


class _Writer:
    """Writes instructions on vectors of as many elements as there are in one.

    Args:
        context, builder, signature, arguments: as Numba hands them over; the first argument is an array of the
            elements' type.
    """

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> None:
        self.builder, self._given = builder, list(zip(signature.args, arguments, strict=True))
        self._context, element = context, signature.args[0].dtype
        self.lanes, self._align = WIDTH * 8 // element.bitwidth, element.bitwidth // 8
        self.element = context.get_value_type(element)
        self.vector = ir.VectorType(self.element, self.lanes)
        self.zeros = ir.Constant(self.vector, [0.0] * self.lanes)

    def pointer(self, array: int) -> Any:
        """Return where the array, the argument of this number, begins, at the place that is the argument after it."""
        kind, value = self._given[array]
        data = self._context.make_array(kind)(self._context, self.builder, value).data
        return self.builder.gep(data, [self.number(array + 1)])

    def number(self, argument: int) -> Any:
        """Return an argument as an integer."""
        kind, value = self._given[argument]
        return self._context.cast(self.builder, value, kind, types.int64)

    def flag(self, argument: int) -> Any:
        """Return an argument that is true or false."""
        return self._given[argument][1]

    def all_of(self, value: Any, kind: Any) -> Any:
        """Return a vector with `value` in each lane."""
        nothing = ir.Constant(ir.VectorType(kind, self.lanes), ir.Undefined)
        first = self.builder.insert_element(nothing, value, _INT(0))
        return self.builder.shuffle_vector(
            first, nothing, ir.Constant(ir.VectorType(_INT, self.lanes), [0] * self.lanes)
        )

    def first(self, count: Any) -> Any:
        """Return a mask of the first `count` lanes: none, where that is negative, or all."""
        lanes = ir.Constant(ir.VectorType(_INDEX, self.lanes), list(range(self.lanes)))
        return self.builder.icmp_signed("<", lanes, self.all_of(count, _INDEX))

    def load(self, pointer: Any, mask: Any = None) -> Any:
        """Return the vector there; where there is a mask, the others are 0, and their memory isn't touched."""
        where = self.builder.bitcast(pointer, ir.PointerType(self.vector))
        if mask is not None:
            return self._call("masked.load", where, _INT(self._align), mask, self.zeros, returns=self.vector)
        vector = self.builder.load(where)
        vector.align = self._align
        return vector

    def store(self, vector: Any, pointer: Any, mask: Any = None) -> None:
        """Write the vector there, or of it what the mask names."""
        where = self.builder.bitcast(pointer, ir.PointerType(self.vector))
        if mask is not None:
            self._call("masked.store", vector, where, _INT(self._align), mask, returns=ir.VoidType())
        else:
            self.builder.store(vector, where).align = self._align

    def add_product(self, one: Any, other: Any, total: Any) -> Any:
        """Return total + one · other, rounded once where the processor does so in one instruction."""
        return self._call("fmuladd", one, other, total, returns=self.vector)

    def _call(self, name: str, *arguments: Any, returns: Any) -> Any:
        name = f"llvm.{name}.v{self.lanes}f{8 * self._align}" + (".p0" if name.startswith("masked") else "")
        kind = ir.FunctionType(returns, [argument.type for argument in arguments])
        function = self.builder.module.globals.get(name) or ir.Function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def times(self, count: Any, carried: Sequence[Any], body: Any) -> list[Any]:
        """Write a loop of `count` turns, one at least: `body` takes what is carried along, and returns it anew."""
        builder, before = self.builder, self.builder.block
        turn, after = builder.append_basic_block("turn"), builder.append_basic_block("after")
        builder.branch(turn)
        builder.position_at_end(turn)
        now = []
        for value in (_INDEX(0), *carried):
            now.append(builder.phi(value.type))
            now[-1].add_incoming(value, before)
        done, *anew = [builder.add(now[0], _INDEX(1)), *body(now[1:])]
        for place, value in zip(now, (done, *anew), strict=True):
            place.add_incoming(value, turn)
        builder.cbranch(builder.icmp_signed("<", done, count), turn, after)
        builder.position_at_end(after)
        return anew


def _tile(vectors: int) -> Any:
    """Return a function that writes, or adds to, `rows` rows of c, of up to so many vectors.

    Each number is the sum of its products one after the other, from the one that c has: whoever computes it, and
    beside which others, it is the same to the last bit.
    """

    @intrinsic
    def tile(_context, a, a_at, a_row, a_k, b, b_at, b_row, c, c_at, c_row, k, rows, columns, goes_on):
        """Write c = a b for `k` terms; c has been begun where it `goes_on`.

        a is there at `i * a_row + j * a_k`; b has whole vectors, whatever columns c has. Where there are fewer rows
        than a tile has, the last takes the places of those that are missing.
        """

        def generate(context, builder, signature, arguments):
            w = _Writer(context, builder, signature, arguments)
            a, b, c = (w.pointer(array) for array in (0, 4, 7))
            a_row, a_k, b_row, c_row, k, rows, columns = (w.number(index) for index in (2, 3, 6, 9, 10, 11, 12))
            rest = w.first(builder.sub(columns, _INDEX((vectors - 1) * w.lanes)))
            last, of_a, of_c = builder.sub(rows, _INDEX(1)), [], []
            for i in map(_INDEX, range(ROWS)):
                row = builder.select(builder.icmp_signed("<", i, last), i, last)
                of_a.append(builder.gep(a, [builder.mul(row, a_row)]))
                start = builder.gep(c, [builder.mul(row, c_row)])
                for v in range(vectors):
                    place = builder.gep(start, [_INDEX(v * w.lanes)])
                    of_c.append((place, rest if v == vectors - 1 else None))
            begun, fresh = [], builder.block
            with builder.if_then(w.flag(13)):
                begun = [w.load(place, mask) for place, mask in of_c]
                going_on = builder.block
            sums = []
            for vector in begun:
                sums.append(builder.phi(w.vector))
                sums[-1].add_incoming(w.zeros, fresh)
                sums[-1].add_incoming(vector, going_on)

            def add_products(carried):
                in_a, in_b, *sums = carried
                of_b = [w.load(builder.gep(b, [builder.add(in_b, _INDEX(v * w.lanes))])) for v in range(vectors)]
                each = [w.all_of(builder.load(builder.gep(row, [in_a])), w.element) for row in of_a]
                pairs = [(one, other) for one in each for other in of_b]
                totals = [w.add_product(*pair, total) for pair, total in zip(pairs, sums, strict=True)]
                return [builder.add(in_a, a_k), builder.add(in_b, b_row), *totals]

            _, _, *sums = w.times(k, [_INDEX(0), _INDEX(0), *sums], add_products)
            for (place, mask), total in zip(of_c, sums, strict=True):
                w.store(total, place, mask)
            return context.get_dummy_value()

        return types.void(a, a_at, a_row, a_k, b, b_at, b_row, c, c_at, c_row, k, rows, columns, goes_on), generate

    return tile


def _copy(vectors: int) -> Any:
    """Return a function that packs rows of so many vectors."""

    @intrinsic
    def copy(_context, source, at, row, to, place, k, columns):
        """Write `k` rows of `columns` numbers each one behind the other, with zeros up to whole vectors."""

        def generate(context, builder, signature, arguments):
            w = _Writer(context, builder, signature, arguments)
            source, to = w.pointer(0), w.pointer(3)
            row, k, columns = (w.number(index) for index in (2, 5, 6))
            rest = w.first(builder.sub(columns, _INDEX((vectors - 1) * w.lanes)))

            def copy_row(carried):
                at, place = carried
                for v in range(vectors):
                    from_there = builder.gep(source, [builder.add(at, _INDEX(v * w.lanes))])
                    vector = w.load(from_there, rest if v == vectors - 1 else None)
                    w.store(vector, builder.gep(to, [builder.add(place, _INDEX(v * w.lanes))]))
                return [builder.add(at, row), builder.add(place, _INDEX(vectors * w.lanes))]

            w.times(k, [_INDEX(0), _INDEX(0)], copy_row)
            return context.get_dummy_value()

        return types.void(source, at, row, to, place, k, columns), generate

    return copy


@intrinsic
def _turn(_context, source, at, row, to, place, width, k, columns):
    """Write up to a vector's number of columns, which lie there as rows of `k` numbers, as `k` rows, every `width`.

    At most a vector's number of rows are written; where there are fewer columns, zeros are in their places.
    """

    def generate(context, builder, signature, arguments):
        w = _Writer(context, builder, signature, arguments)
        source, to = w.pointer(0), w.pointer(3)
        row, width, k, columns = (w.number(index) for index in (2, 5, 6, 7))
        inside, outside = w.first(k), w.first(_INDEX(0))
        lines = []
        for i in map(_INDEX, range(w.lanes)):
            mask = builder.select(builder.icmp_signed("<", i, columns), inside, outside)
            lines.append(w.load(builder.gep(source, [builder.mul(i, row)]), mask))
        # Dealt out like cards, log₂(lanes) times, of the first half and of the second in turn.
        half = w.lanes // 2
        halves = [
            ir.Constant(ir.VectorType(_INT, w.lanes), [x for i in side for x in (i, w.lanes + i)])
            for side in (range(half), range(half, w.lanes))
        ]
        for _ in range(w.lanes.bit_length() - 1):
            pairs = zip(lines[:half], lines[half:], strict=True)
            lines = [builder.shuffle_vector(*pair, side) for pair in pairs for side in halves]
        done = builder.append_basic_block("done")
        for i, line in enumerate(lines):
            w.store(line, builder.gep(to, [builder.mul(_INDEX(i), width)]))
            more = builder.append_basic_block("more")
            builder.cbranch(builder.icmp_signed("<", _INDEX(i + 1), k), more, done)
            builder.position_at_end(more)
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(source, at, row, to, place, width, k, columns), generate


tile_1, tile_2, tile_3 = (_tile(vectors) for vectors in (1, 2, 3))
copy_1, copy_2, copy_3 = (_copy(vectors) for vectors in (1, 2, 3))
turn = cast(Any, _turn)  # its first argument is Numba's own
