"""The steps of an epoch: which samples, forward, backward, and the sum of their losses."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator

import numpy as np

from core.arguments import PIECE
from core.arrays import Array
from core.backpropagation import backward, forward_to_loss
from core.feed import Resident
from core.layers import Passing
from core.losses import Loss, device_dtype
from core.network import Network
from core.non_finite import flattened
from core.randomness import Purpose, generator
from core.workspace import Workspace


class Steps:
    """Where the batches come from, and the memory of a step; nothing is read back before it is asked for.

    Args:
        network: whose parameters and state the passes use.
        loss: J.
        x, y, weights: samples, targets as `loss` takes them, and the samples' weights or None; on the host. A sample of
            the weight 0 is left out; the mean of the others' weights is 1.
        batch_size: samples of a step.
        seeds: of the order and of dropout, one for all networks or one for each.
        shuffle: whether to draw a new order for each epoch.

    Attributes:
        count: steps of an epoch.
        feed: the samples, their targets, and their weights where they have any.
        gradients: J's, as the last `backpropagate` left it, laid out as the parameters are.
        backend: that steps are computed with.
        total: Σ of the losses of the epoch's samples so far, `(…)`, float64, on the device.
        w: the memory of the batch that was taken last.
        evaluations: how often `backpropagate` has been called for it.
        seeds: as given.
    """

    w: Workspace
    evaluations = 0

    def __init__(
        self,
        network: Network,
        loss: Loss,
        x: np.ndarray,
        y: np.ndarray,
        weights: np.ndarray | None,
        batch_size: int,
        seeds: int | tuple[int, ...],
        shuffle: bool,
    ) -> None:
        # The samples that count are named, not copied, as they may lie in a file.
        self._rows = None if weights is None or weights.all() else np.flatnonzero(weights)
        self.network, self.loss, self.batch_size = network, loss, batch_size
        self.n_samples = len(x) if self._rows is None else len(self._rows)
        self.count = -(-self.n_samples // batch_size)
        self.seeds, self._shuffle, self._epoch = seeds, shuffle, 0
        self.backend = backend = network.backend.for_training()
        self._host = tuple(a for a in (x, y, weights) if a is not None)
        self._dtypes = [None, device_dtype(y), None][: len(self._host)]
        self.feed = backend.feed(self._host, self._dtypes, batch_size * math.prod(network.leading))
        self.gradients = backend.zeros(network.parameters.shape)
        self._zero = backend.zeros((*network.leading, 1))
        self._gradient_views = network.views(self.gradients)
        self.total, self._again = (backend.zeros(network.leading, "float64") for _ in range(2))
        self._layers = network.layers_to(loss)
        self._workspaces: dict[int, Workspace] = {}

    @property
    def is_plain(self) -> bool:
        """Whether all samples weigh the same, lie where steps are computed, and none is converted on its way."""
        there = isinstance(self.feed, Resident) and not self._is_weighted
        wanted = [dtype or str(self.backend.dtype) for dtype in self._dtypes]
        return there and all(table.dtype == dtype for table, dtype in zip(self.feed.tables, wanted, strict=True))

    @property
    def _is_weighted(self) -> bool:
        return len(self._host) > 2

    def prepare(self) -> None:
        """Make the memory of a step: for `take`, which doesn't go without."""
        seeds = self.backend.asarray(np.array(self.seeds, dtype=np.uint64)[..., None, None], "uint64")
        for m in {self.batch_size, self.n_samples % self.batch_size} - {0}:
            self._workspaces[m] = self.network.workspace(m, self.loss, self._host[1])
            self._workspaces[m].passing = Passing(training=True, seeds=seeds)

    def draw(self, epoch: int) -> None:
        """Take the order of the samples in `epoch`, from 1 on, unless it is taken already."""
        if epoch != self._epoch:
            self.feed.begin(self._drawn(epoch))
            self._epoch = epoch

    def take(self, position: int, step: int) -> None:
        """Take the batch of the epoch's step `position`, from 0 on, which is training's step `step`, from 1 on."""
        # The array API standard has no slices beyond the end.
        start = position * self.batch_size
        stop = min(start + self.batch_size, self.n_samples)
        self.w, self.evaluations = self._workspaces[stop - start], 0
        self.feed.take(start, stop, (self.w.x, self.w.y, self.w.weights)[: len(self._host)])
        if self._is_weighted:
            self.backend.kernels.share(self.w.weights, self.w.j_bar)
        self.w.passing.step = step

    def backpropagate(self) -> None:
        """Write the gradient of the batch's J to `gradients`; the first time, add its losses to `total`."""
        network, w, k = self.network, self.w, self.backend.kernels
        forward_to_loss(k, self._layers, network.theta, network.state_views, w, self.loss)
        backward(k, self._layers, network.theta, w, self._gradient_views)
        if self.evaluations:
            self._again[...] = 0.0
        k.add_up(w.values, w.weights if self._is_weighted else None, self._again if self.evaluations else self.total)
        self.evaluations += 1

    def trail(self) -> Iterator[tuple[str | None, str, Array]]:
        """Yield what the last passes computed, in the order in which they did: layer, what of it, its numbers."""
        names = list(self.network.theta)
        for name, memory in zip(names, self.w.memories, strict=True):
            yield from ((name, what, getattr(memory, what)) for what in ("z", "a") if hasattr(memory, what))
        yield None, "the loss", self.w.values
        yield None, "the loss", self.total
        gradients = self.network.views(self.gradients)
        for name in reversed(names):
            yield from ((name, f"the gradient of {what}", part) for what, part in flattened(gradients[name]))

    def objective(self) -> float:
        """Return J where `backpropagate` was last called, for one network and a batch of all samples; waits for it."""
        total = self._again if self.evaluations > 1 else self.total
        return self.network.backend.to_host(total).item() / self.n_samples

    def mean_loss(self) -> np.ndarray:
        """Return the mean loss of the epoch's samples, `(…)`, once all have been taken; waits for it.

        It is NaN where a parameter isn't finite after the last step, so that this is read at once with the loss.
        """
        xp = self.network.backend.xp
        # 0 · ∞ is NaN; the gradients have had their use.
        self.backend.kernels.multiply(self.network.parameters, self._zero, out=self.gradients)
        return self.network.backend.to_host(self.total + xp.sum(self.gradients, axis=-1)) / self.n_samples

    def fingerprint(self) -> int:
        """Return a number that tells other samples, targets or weights from these, though not one made to deceive."""
        found = 0
        for array in self._host:
            rows = max(1, PIECE // max(1, array[:1].size))
            for start in range(0, len(array), rows):
                found = zlib.crc32(np.ascontiguousarray(array[start : start + rows]).data.cast("B"), found)
        return found

    def _drawn(self, epoch: int) -> np.ndarray:
        """Return the samples' order for each network, `(…, n_samples)`."""
        leading, rows, seeds = self.network.leading, self._rows, self.seeds

        def order(seed: int) -> np.ndarray:
            places = generator(seed, Purpose.ORDER_OF_SAMPLES, epoch).permutation(self.n_samples)
            return places if rows is None else rows[places]

        if self._shuffle and not isinstance(seeds, int):
            return np.stack([order(seed) for seed in seeds])
        if self._shuffle and isinstance(seeds, int):
            drawn = order(seeds)
        else:
            drawn = np.arange(self.n_samples) if rows is None else rows
        return np.broadcast_to(drawn, (*leading, self.n_samples)) if leading else drawn
