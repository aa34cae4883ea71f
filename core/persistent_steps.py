"""Whole stretches of an epoch in one launch, for networks that fit into what a GPU's block of threads shares."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from itertools import accumulate

import numpy as np

from core.activations import ACTIVATIONS, Elementwise
from core.arrays import Array
from core.cupy_backend import CupyBackend
from core.kernels.counter import WRAP, folded
from core.kernels.cuda_steps import LAYER, MOST_THREADS, Formulas, steps_source
from core.kernels.fused import FusedKernels
from core.kernels.translation import UntranslatableError
from core.losses import Loss, SoftmaxCrossEntropy
from core.many_steps import Link, chain, rule_of
from core.network import Network
from core.optimizers import ELEMENTWISE, ElementwiseOptimizer, Optimizer, OptimizerState

STRETCH, STRETCH_WORK = 256, 10**9
"""Most steps of a launch, and most multiplications of the blocks that a multiprocessor computes one after the other."""


class PersistentSteps:
    """`core.many_steps.ManySteps` on a GPU: one block for each network, from the first step of a launch to its last.

    Weights, the optimizer's slots and a batch's activations stay in shared memory; a gradient is used where it is made.
    For a network that doesn't fit there, several launches a step use more of the GPU, and there are no such steps.

    Args:
        links: the network's layers, up to the loss.
        formulas: what the kernel is made for.
        shared: elements of a block's memory, as `elements` counts them.
        network, loss, x, y, batch_size, gradients, state, seeds: as `ManySteps.where_they_suit` has them.

    Attributes:
        most: steps that one call of `run` should take.
        threads: 1, which launches.
    """

    def __init__(
        self,
        links: list[Link],
        formulas: Formulas,
        shared: int,
        network: Network,
        x: Array,
        y: Array,
        batch_size: int,
        gradients: Array,
        state: OptimizerState,
        seeds: int | tuple[int, ...],
    ) -> None:
        self._network, self._formulas, self._links = network, formulas, links
        self._batch_size, self._shared = batch_size, shared
        backend, kernels = network.backend, network.backend.kernels
        assert isinstance(backend, CupyBackend), "it is this backend's"
        assert isinstance(kernels, FusedKernels), "and so are these"
        self._backend, self._kernels = backend, kernels
        self._n = math.prod(network.leading)
        waves = -(-self._n // backend.multiprocessors)
        self.threads = 1
        self.most = max(1, min(STRETCH, STRETCH_WORK // (3 * batch_size * network.n_parameters * waves)))
        slots = [state.slots[name] for name in formulas.rule.slots]
        self._tables, self._flat = (x, y), (network.parameters, gradients, *slots)
        layers, self._trail_at = self._described()
        keeps = [link.keep for link in links]
        each = np.broadcast_to(np.array(seeds, np.uint64), self._n)
        self._of_layers = (
            backend.asarray(layers, "int32"),
            backend.asarray(np.array([int(keep * WRAP) if keep < 1 else 0 for keep in keeps], np.uint64), "uint64"),
            backend.asarray(1 / np.array(keeps)),
            backend.asarray(each, "uint64"),
        )
        self._trail = backend.zeros((self._n, batch_size * (self._trail_at[-1] + 1)))
        widest = max(batch_size * max(link.dense.units for link in links), network.n_parameters)
        self._threads = min(MOST_THREADS, -(-widest // 32) * 32)

    @classmethod
    def where_they_suit(
        cls,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        x: Array,
        y: Array,
        batch_size: int,
        gradients: Array,
        state: OptimizerState,
        seeds: int | tuple[int, ...],
    ) -> PersistentSteps | None:
        """Return the steps, where all formulas have a CUDA text and a network fits into a block's shared memory."""
        links, rule, backend = chain(network.layers_to(loss)), rule_of(optimizer), network.backend
        if links is None or rule is None or not isinstance(backend, CupyBackend):
            return None
        formulas = _formulas(links, rule, loss, str(backend.dtype))
        if formulas is None or (y.ndim == 1) != (type(loss) is SoftmaxCrossEntropy):
            return None
        shared = elements(links, network.n_inputs, network.n_parameters, len(rule.slots), batch_size)
        if shared * backend.dtype.itemsize > backend.shared_memory:
            return None
        return cls(links, formulas, shared, network, x, y, batch_size, gradients, state, seeds)

    def run(
        self, order: Array, first: int, step: int, numbers: np.ndarray, total: Array, *, watched: bool = False
    ) -> None:
        """Take a step with each of `numbers`, as `ManySteps` has it; this waits for nothing."""
        backend, count = self._backend, numbers.shape[-2]
        streams = np.zeros((count, len(self._links)), np.uint64)  # of those layers that have no dropout, unused
        for layer, link in enumerate(self._links):
            if link.path is not None:
                streams[:, layer] = [folded([step + k, *link.path]) for k in range(count)]
        xp = backend.xp
        apart = xp.int64(numbers[0].size if numbers.ndim == 3 else 0)
        sizes = (len(self._links), self._network.n_parameters, self._batch_size)
        self._kernels.steps(
            (self._formulas, str(backend.dtype)),
            (self._n, self._threads, self._shared * backend.dtype.itemsize),
            *(*self._tables, order, total, *self._flat, backend.asarray(numbers), apart),
            *(*self._of_layers, backend.asarray(streams, "uint64")),
            *(self._trail if watched else xp.intp(0), *map(xp.int32, sizes)),
            *map(xp.int64, (order.shape[-1], first, count)),
        )

    def trail(self) -> Iterator[tuple[str | None, str, Array]]:
        """Yield what the last call, a watched one of one step, computed: for each network `(N, …)`."""
        names = [name for name, t in self._network.theta.items() if t]
        for name, link, at in zip(names, self._links, self._trail_at[:-1], strict=True):
            units = link.dense.units
            yield name, "z", self._part(at, units)
            if link.is_active:
                yield name, "a", self._part(at + units, units)
        yield None, "the loss", self._part(self._trail_at[-1], 1)

    def _part(self, at: int, units: int) -> Array:
        return self._trail[:, at * self._batch_size : (at + units) * self._batch_size]

    def _described(self) -> tuple[np.ndarray, list[int]]:
        """Return `LAYER` of each layer, and where each one's numbers begin in the trail, and the losses."""
        activations, apart, n_in = self._formulas.activations, self._batch_size | 1, self._network.n_inputs
        trail_at = [0, *accumulate(link.dense.units * (1 + link.is_active) for link in self._links)]
        n_kept = 1 + len(self._formulas.rule.slots)
        at, weight_at, rows = n_kept * self._network.n_parameters + n_in * apart, 0, []
        for link, in_trail in zip(self._links, trail_at[:-1], strict=True):
            n_out, has_bias = link.dense.units, int(link.dense.bias)
            f = 1 + activations.index(_elementwise(link)) if link.is_active else 0
            rows.append((n_in, n_out, weight_at, has_bias, f, at, at + n_out * apart, in_trail))
            at, weight_at, n_in = at + 2 * n_out * apart, weight_at + n_out * (n_in + has_bias), n_out
        assert len(rows[0]) == len(LAYER)
        return np.array(rows), trail_at


def elements(links: list[Link], n_inputs: int, n_parameters: int, n_slots: int, batch_size: int) -> int:
    """Return what of a block's memory a network takes: parameters and slots, the batch, z and a, and the losses.

    The last layer has no a there.

    >>> from core.layers import Dense
    >>> elements([Link(Dense(16, "tanh")), Link(Dense(3))], 4, 131, 2, batch_size=32)
    1712
    """
    units = [link.dense.units for link in links]
    columns = n_inputs + 2 * sum(units[:-1]) + units[-1]
    return n_parameters * (1 + n_slots) + columns * (batch_size | 1) + batch_size


def _elementwise(link: Link) -> Elementwise:
    f = link.dense.f
    assert isinstance(f, Elementwise), "others aren't in a chain"
    return f


def _formulas(links: list[Link], rule: ElementwiseOptimizer, loss: Loss, dtype: str) -> Formulas | None:
    """Return what the kernel is made for; None where a formula is a user's own, or the loss can't be translated."""
    activations = tuple(dict.fromkeys(_elementwise(link) for link in links if link.is_active))
    known = all(f in ACTIVATIONS.values() for f in activations) and type(rule) in ELEMENTWISE.values()
    if not (known and isinstance(loss, Hashable)):
        return None
    formulas = Formulas(type(rule), activations, loss)
    try:
        steps_source(formulas, dtype)
    except UntranslatableError:
        return None
    return formulas
