"""What is measured on samples that are not trained on: in memory that is made once, in one pass forward."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np

from core.arrays import Array
from core.backpropagation import forward_to_loss
from core.layers import Dense
from core.losses import Loss, device_dtype
from core.record import Metric
from core.threads import one_of_blas
from core.weights import weighted
from core.workspace import CHUNK, Workspace, chunks

if TYPE_CHECKING:
    from core.network import Network

LITTLE = 10**9
"""Multiplications of a forward pass that one core makes in some 20 milliseconds."""


class Validation:
    """Samples on the host, and their targets, for a network whose weights may change.

    Where all of them go through at once, they and the memory stay there.

    Args:
        network: one network or a fleet.
        loss: J.
        x, y: samples and targets, as `core.arguments` has checked them.
        weights: w `(m,)` ≥ 0, or None.
    """

    def __init__(self, network: Network, loss: Loss, x: np.ndarray, y: np.ndarray, weights: object = None) -> None:
        self._network, self._loss, self._layers = network, loss, network.layers_to(loss)
        self.x, self.y, self._all = x, y, weights is None
        self._samples, self._targets, self._weights = weighted(loss, x, y, weights)
        self._w: Workspace | None = None

    def measured(self, metrics: Mapping[str, Metric], threads: int = 1) -> tuple[np.ndarray, dict[str, float]]:
        """Return J, and the metrics by name.

        Args:
            metrics: of the targets and the outputs; for one network alone.
            threads: which take the steps that follow. Several would be disturbed by products of several, by more than
                one thread takes longer for a little.
        """
        little = len(self.x) * self._network.parameters.size < LITTLE
        with one_of_blas() if threads > 1 and little else nullcontext():
            if not metrics:
                return self.loss(), {}
            loss, outputs = self.loss_and_outputs()
            return loss, {name: float(metric(self.y, outputs)) for name, metric in metrics.items()}

    def loss(self) -> np.ndarray:
        """Return J over all samples on the host, `(…)`, float64; NaN where there are none."""
        return self._measured(None)

    def loss_and_outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return J, and what `Network.predict` returns for x."""
        if not self._all:  # those of the weight 0 have outputs, too
            return self.loss(), self._network.predict(self.x)
        network = self._network
        outputs = np.empty((*network.leading, len(self.x), network.n_outputs), network.backend.dtype)
        return self._measured(outputs), outputs

    def _measured(self, outputs: np.ndarray | None) -> np.ndarray:
        network, backend = self._network, self._network.backend
        total = backend.zeros(network.leading, "float64")
        for part in chunks(len(self._samples)):
            w = self._filled(part)
            forward_to_loss(backend.kernels, self._layers, network.theta, network.state_views, w, self._loss)
            weights = None if self._weights is None else backend.asarray(self._weights[part])
            backend.kernels.add_up(w.values, weights, total)
            if outputs is not None:
                outputs[..., part, :] = backend.to_host(self._outputs(w))
        if len(self._samples) > CHUNK:
            self._w = None
        return backend.to_host(total) / (len(self._samples) or np.nan)

    def _filled(self, part: slice) -> Workspace:
        """Return the memory with these samples in it."""
        backend, m = self._network.backend, part.stop - part.start
        if self._w is not None and m == len(self._samples):
            return self._w
        if self._w is None or self._w.m != m:
            self._w = None  # so that there are never two
            self._w = self._network.workspace(m, self._loss, self._targets)
        self._w.x[...] = backend.asarray(self._samples[part])
        self._w.y[...] = backend.asarray(self._targets[part], device_dtype(self._targets))
        return self._w

    def _outputs(self, w: Workspace) -> Array:
        """Return a of the network's last layer, where the loss starts from z."""
        if self._loss.output_activation is None:
            return w.outputs
        last, backend = self._network.layers[-1], self._network.backend
        assert isinstance(last, Dense), "a loss goes with the activation of a dense layer"
        a = backend.empty(w.outputs.shape)
        backend.kernels.bias_activation(last.f, w.outputs, None, a, w.scratch.row)
        return a
