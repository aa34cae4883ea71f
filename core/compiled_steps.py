"""Whole stretches of an epoch in compiled code, for networks of dense layers whose steps are small."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from core.activations import Elementwise
from core.arrays import Array
from core.backend import Backend
from core.layers import Dense
from core.losses import Loss, SoftmaxCrossEntropy
from core.network import Network
from core.optimizers import ElementwiseOptimizer, Optimizer, OptimizerState, PerNetwork
from core.threads import allowed

ALONE = 2**18
"""Multiplications of a product up to which OpenBLAS stays on one core by itself (its SMP_THRESHOLD_MIN times 4)."""
COMPILED = "core.kernels.compiled"
"""Imported by name and when it is needed, as it imports Numba."""
MOST_WORK = 4e6
"""Multiplications of a step up to which one core without calls in between is faster than several with them."""


class CompiledSteps:
    """The steps of `core.steps.Steps`, many in one call, and a fleet's networks side by side on the processor's cores.

    Each network's steps are what they would be without the others, to the last bit.

    Args:
        network: on NumPy; one for which `suit` holds, as do all that follow.
        loss: J.
        optimizer: of training.
        x, y: samples and targets, on the host.
        batch_size: samples of a step.
        gradients: where they go.
        state: the optimizer's.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        x: np.ndarray,
        y: np.ndarray,
        batch_size: int,
        gradients: np.ndarray,
        state: OptimizerState,
    ) -> None:
        compiled = importlib.import_module(COMPILED)
        layers = [layer for layer in network.layers_to(loss) if isinstance(layer, Dense)]
        kinds = list(dict.fromkeys(type(layer.f) for layer in layers if layer.activation != "identity"))
        rule, dtype = _rule(optimizer), network.backend.dtype
        assert rule is not None, "the optimizer suits"
        self._network, self._data, self._batch_size = network, (x, y), batch_size
        self._on_one_core = compiled.products_on_one_core
        self._steps = compiled.steps_of(type(rule), tuple(kinds), loss, str(dtype))
        self._gradients, self._slots = gradients, [state.slots[name] for name in rule.slots]
        self._widths = np.array([network.n_inputs, *(layer.units for layer in layers)])
        self._codes = np.array(
            [0 if layer.activation == "identity" else 1 + kinds.index(type(layer.f)) for layer in layers]
        )
        theta = [t for t in network.theta.values() if t]
        self._at = np.concatenate([[0], np.cumsum(self._widths[1:-1])])
        self._shape = (
            *(self._widths, self._codes),
            np.array([_place(network, t["weight"]) for t in theta]),
            np.array([_place(network, t["bias"]) if "bias" in t else -1 for t in theta]),
            self._at,
        )
        self._largest = batch_size * int((self._widths[1:] * self._widths[:-1]).max())
        n_networks = math.prod(network.leading)
        self._threads = min(n_networks, allowed())
        self._memories = [self._memory(dtype, y) for _ in range(self._threads)]

    def _memory(self, dtype: np.dtype[Any], y: np.ndarray) -> tuple[np.ndarray, ...]:
        m, columns = self._batch_size, int(self._widths[1:].sum())
        return (
            np.empty(m * int(self._widths[0]), dtype),
            np.empty((m, *y.shape[1:]), y.dtype),
            *(np.empty(m, dtype) for _ in range(2)),
            *(np.empty(m * columns, dtype) for _ in range(3)),
            np.zeros(int(self._widths.max()), dtype),
        )

    @staticmethod
    def suit(
        backend: Backend, network: Network, loss: Loss, optimizer: Optimizer, y: np.ndarray, batch_size: int
    ) -> bool:
        """Return whether there is compiled code for such steps, and they are small enough."""
        rule = _rule(optimizer)
        if not backend.compiles or rule is None:
            return False
        if not all(isinstance(each, Dense) and isinstance(each.f, Elementwise) for each in network.layers_to(loss)):
            return False
        if (y.ndim == 1) != (type(loss) is SoftmaxCrossEntropy):
            return False
        work = 3 * batch_size * network.n_parameters
        if work > MOST_WORK:
            return False
        formulas = (network.layers_to(loss), loss, type(rule), str(network.backend.dtype))
        return importlib.import_module(COMPILED).can_be_compiled(*formulas)

    def run(self, order: np.ndarray, first: int, numbers: np.ndarray, total: np.ndarray) -> None:
        """Take a step with each of `numbers`, `(…, count, numbers of the rule)`, from the epoch's step `first` on.

        Args:
            order: of the samples, `(…, n_samples)`.
            first: the epoch's step to begin with, from 0 on.
            numbers: of the optimizer's rule, for each step.
            total: `(…)`, to which the losses of the samples are added.
        """
        network, n = self._network, math.prod(self._network.leading)
        rows = [array.reshape(n, -1) for array in (order, network.parameters, self._gradients, *self._slots)]
        each = numbers if numbers.ndim == 3 else [numbers] * n
        totals = total.reshape(n)

        def take(thread: int) -> None:
            for k in range(thread, n, self._threads):
                own_order, *own = (row[k] for row in rows)
                totals[k] = self._steps(
                    *(
                        *self._data,
                        own_order,
                        totals[k],
                        self._batch_size,
                        first,
                        len(each[k]),
                        *own,
                        each[k],
                        *self._shape,
                    ),
                    *self._memories[thread],
                )

        with self._on_one_core() if self._largest > ALONE else nullcontext():
            if self._threads == 1:
                take(0)
            else:
                from concurrent.futures import ThreadPoolExecutor  # which imports much else

                with ThreadPoolExecutor(self._threads) as pool:
                    list(pool.map(take, range(self._threads)))

    def trail(self) -> Iterator[tuple[str | None, str, Array]]:
        """Yield what the last step of one network computed, in the order in which it did: layer, what, its numbers."""
        m = self._batch_size
        _, _, _, values, z, a, _, _ = self._memories[0]
        for name, width, code, at in zip(self._network.theta, self._widths[1:], self._codes, self._at, strict=True):
            part = slice(at * m, (at + width) * m)
            yield name, "z", z[part]
            if code:
                yield name, "a", a[part]
        yield None, "the loss", values


def _rule(optimizer: Optimizer) -> ElementwiseOptimizer | None:
    """Return the optimizer whose formula the steps have; None where there is none."""
    each: Sequence[Optimizer] = optimizer.each if isinstance(optimizer, PerNetwork) else [optimizer]
    rules = [one for one in each if isinstance(one, ElementwiseOptimizer) and not one.weight_decay]
    return rules[0] if len(rules) == len(each) else None


def _place(network: Network, view: np.ndarray) -> int:
    """Return where a view into the parameters begins in its network's row of them."""
    return (view.ctypes.data - network.parameters.ctypes.data) // view.itemsize
