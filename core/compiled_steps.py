"""Whole stretches of an epoch in compiled code, for networks of dense layers and dropout."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.activations import Elementwise
from core.arrays import Array
from core.backend import Backend
from core.kernels.counter import folded
from core.kernels.loops import can_be_translated
from core.kernels.parts import cuts, most_parts, packed_size
from core.losses import Loss, SoftmaxCrossEntropy
from core.many_steps import chain, rule_of
from core.network import Network
from core.optimizers import Optimizer, OptimizerState
from core.threads import allowed

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

COMPILED = "core.kernels.compiled"
"""Imported by name and when it is needed, as it imports Numba."""
SHARED = 2**13
"""Outputs that a thread judges by itself, at least: some microseconds."""
STRETCH, STRETCH_WORK = 256, 10**9
"""Most steps of a call, and most multiplications: some ten milliseconds, for which nobody can stop it."""


class CompiledSteps:
    """The steps of `core.steps.Steps`, many in one call, on all the cores that may be used.

    A fleet's networks go side by side, as many as there are cores; what cores are left over share the work of each
    step. Each network's steps are what they would be without the others, and with any number of threads, to the last
    bit.

    Args:
        network: on NumPy; one for which `suit` holds, as do all that follow.
        loss: J.
        optimizer: of training.
        x, y: samples and targets, on the host.
        batch_size: samples of a step.
        gradients: where they go.
        state: the optimizer's.
        seeds: of dropout, one for all networks or one for each.

    Attributes:
        most: steps that one call of `run` should take.
        threads: which share the work.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        x: Array,
        y: Array,
        batch_size: int,
        gradients: Array,
        state: OptimizerState,
        seeds: int | tuple[int, ...],
    ) -> None:
        links, rule = chain(network.layers_to(loss)), rule_of(optimizer)
        assert links is not None, "the layers suit"
        assert rule is not None, "the optimizer suits"
        self._network, self._loss, self._rule, self._chain = network, loss, rule, links
        self._data, self._batch_size = (x, y), batch_size  # which are only named where they lie
        self._tables = _table(x, x.itemsize), _table(y, 4)
        self._gradients, self._held = gradients, [state.slots[name] for name in rule.slots]
        self._widths = [network.n_inputs, *(link.dense.units for link in links)]
        self._at = [0, *accumulate(self._widths[1:-1])]
        self._seeds = np.array(seeds, np.uint64).reshape(-1)
        n_networks = math.prod(network.leading)
        # Where each network's slots begin: the code is told of no more, as their number is the optimizer's.
        starts = np.array([slot.ctypes.data for slot in self._held], np.intp)
        self._slots = list(starts + np.arange(n_networks)[:, None] * (gradients.nbytes // n_networks))
        self.most = max(1, min(STRETCH, STRETCH_WORK // (3 * batch_size * n_networks * max(1, network.n_parameters))))
        widths = self._widths
        self._groups = min(n_networks, allowed())
        threads = allowed() // self._groups
        self._cut = cuts(batch_size, widths, threads)
        parts = most_parts(self._cut, batch_size, widths)
        # Where products are shared, each thread judges the samples whose outputs it has computed.
        alone = 1 + SHARED // widths[-1]
        self._share = min(batch_size, alone, batch_size if parts == 1 else -(-batch_size // min(threads, parts)))
        parts = max(parts, -(-batch_size // self._share))
        self._team = min(threads, parts)
        self._memories = [self._memory() for _ in range(self._groups)]
        self.threads = self._groups * self._team
        self._own = [self._of_a_thread() for _ in range(self.threads)]
        self._seen: list[list[np.ndarray]] = []

    def _memory(self) -> tuple[Array, ...]:
        empty, m, columns = self._network.backend.empty, self._batch_size, sum(self._widths[1:])
        with_dropout = m * columns if any(link.keep < 1 for link in self._chain) else 0
        return (
            empty((m,)),
            *(empty((m * columns,)) for _ in range(3)),
            *(empty((with_dropout,)) for _ in range(2)),
        )

    def _of_a_thread(self) -> tuple[Array, ...]:
        empty, m, (*_, n) = self._network.backend.empty, self._batch_size, self._tables[1]
        batch = empty((m * self._widths[0],)), empty((m * n,), "int32"), empty((m,))
        return *batch, empty((packed_size(m, self._widths),))

    @cached_property
    def _code(self) -> _Code:
        """The compiled code, and what it is told of the network: made when it is needed, as it imports Numba."""
        from concurrent.futures import ThreadPoolExecutor  # which imports much else

        compiled = importlib.import_module(COMPILED)
        kinds = [type(link.dense.f) if link.is_active else None for link in self._chain]
        dtype, widths, (_, y) = self._network.backend.dtype, self._widths, self._data
        weight_at, bias_at, place = [], [], 0
        for link, n_in in zip(self._chain, widths, strict=False):
            weight_at.append(place)
            place += link.dense.units * n_in
            bias_at.append(place if link.dense.bias else -1)
            place += link.dense.units * link.dense.bias
        return _Code(
            steps=compiled.steps_of(type(self._rule), kinds, self._loss, str(dtype), str(y.dtype)),
            shape=(
                *(np.array(widths), np.array(weight_at), np.array(bias_at), np.array(self._at)),
                *(self._share, self._cut, np.array([link.keep for link in self._chain])),
            ),
            zeros=np.zeros(max(widths), dtype),
            pool=ThreadPoolExecutor(self.threads) if self.threads > 1 else None,
        )

    @classmethod
    def where_they_suit(
        cls, network: Network, loss: Loss, optimizer: Optimizer, x: Array, y: Array, *data: Any
    ) -> CompiledSteps | None:
        """Return the steps, where there is compiled code for them."""
        suits = cls.suit(network.backend.for_training(), network, loss, optimizer, y)
        return cls(network, loss, optimizer, x, y, *data) if suits else None

    @staticmethod
    def suit(backend: Backend, network: Network, loss: Loss, optimizer: Optimizer, y: Array) -> bool:
        """Return whether there is compiled code for such steps; it isn't made yet."""
        rule, links = rule_of(optimizer), chain(network.layers_to(loss))
        if not backend.compiles or rule is None or links is None:
            return False
        if (y.ndim == 1) != (type(loss) is SoftmaxCrossEntropy):
            return False
        activations = frozenset(type(link.dense.f) for link in links if isinstance(link.dense.f, Elementwise))
        return can_be_translated(activations, loss, type(rule), str(network.backend.dtype))

    def run(
        self, order: np.ndarray, first: int, step: int, numbers: np.ndarray, total: np.ndarray, *, watched: bool = False
    ) -> None:
        """Take a step with each of `numbers`, `(…, count, numbers of a step)`, from the epoch's step `first` on.

        Args:
            order: of the samples, `(…, n_samples)`.
            first: the epoch's step to begin with, from 0 on.
            step: which step of the training that is, from 1 on.
            numbers: as `Descent.numbers` returns them.
            total: `(…)`, to which the losses of the samples are added.
            watched: whether `trail` will be asked for.
        """
        network, n, code, count = self._network, math.prod(self._network.leading), self._code, numbers.shape[-2]
        rows = [array.reshape(n, -1) for array in (order, network.parameters, self._gradients)]
        each = numbers if numbers.ndim == 3 else [numbers] * n
        totals = total.reshape(n)
        streams = np.zeros((count, len(self._chain)), np.uint64)  # of those layers that have no dropout, unused
        for layer, link in enumerate(self._chain):
            if link.path is not None:
                streams[:, layer] = [folded([step + k, *link.path]) for k in range(count)]
        arrivals = np.zeros((n, 8), np.int64)  # of each network's threads; a line of the cache each
        self._seen = [[]] * n

        def take(worker: int) -> None:
            group, thread = divmod(worker, self._team)
            for k in range(group, n, self._groups):
                own_order, *own = (row[k] for row in rows)
                *batch, packed = self._own[worker]
                found = code.steps(
                    *(thread, self._team, arrivals[k]),
                    *(*self._tables, own_order, totals[k], self._batch_size, first, count),
                    *(*own, self._slots[k], each[k], *code.shape, self._seeds[k % self._seeds.size], streams),
                    *(*batch, *self._memories[group], code.zeros, packed),
                )
                if thread == 0:
                    totals[k] = found
                    # The memory is the next network's as soon as this thread has come to it.
                    self._seen[k] = [memory.copy() for memory in self._memories[group][:3]] if watched else []

        if code.pool is None:
            take(0)
        else:
            list(code.pool.map(take, range(self.threads)))

    def trail(self) -> Iterator[tuple[str | None, str, Array]]:
        """Yield what the last call, a watched one of one step, computed, as `ManySteps` has it: for each network."""
        m = self._batch_size
        values, z, a = (np.stack(arrays) for arrays in zip(*self._seen, strict=True))
        names = [name for name, t in self._network.theta.items() if t]
        for name, link, at in zip(names, self._chain, self._at, strict=True):
            part = slice(at * m, (at + link.dense.units) * m)
            yield name, "z", z[:, part]
            if link.is_active:
                yield name, "a", a[:, part]
        yield None, "the loss", values


def _table(array: np.ndarray, size: int) -> tuple[int, ...]:
    """Return what `core.kernels.numba_functions.take_batch` is told of a table, of elements of `size` bytes."""
    # `Backend.table` has copied it if its rows weren't in one piece.
    return array.ctypes.data, array.strides[0], math.prod(array.shape[1:]) * (array.itemsize // size)


class _Code(NamedTuple):
    """What `core.kernels.epochs` has made, what it is told of the network, and the threads that run it."""

    steps: Callable[..., float]
    shape: tuple[Any, ...]
    zeros: np.ndarray
    pool: ThreadPoolExecutor | None
