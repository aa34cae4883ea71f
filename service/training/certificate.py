"""The gradient certificate: that the gradients of a training are right, checked on its own network and rows.

Two checks of core, on a copy of the network in float64 and a few training rows: the dot test, ⟨ā, ȧ⟩ = ⟨x̄, ẋ⟩ + ⟨θ̄, θ̇⟩,
which holds to the last digits; and the loss along a random direction, by a central difference and by the way back. The
training's own network and random numbers aren't touched.
"""

from __future__ import annotations

from typing import Any

import core
from core.gradient_check import GradientReport
from core.threads import one_of_blas
from service.jobs.choices import LOSS
from service.jobs.layers import layers_of
from service.jobs.schemas import Spec
from service.training.samples import Part

MOST_PARAMETERS = 2**20
"""Of a larger network the copy would take more memory than its training."""
ROWS = 8
DIRECTIONS = 4
"""How many are tried until none has a kink of the loss, such as that of relu, within its step."""


def certify(spec: Spec, network: core.Network, train: Part, epoch: int) -> dict[str, Any] | None:
    """Return what the checks come to with the weights after `epoch`; None for more than 2²⁰ parameters."""
    if network.n_parameters > MOST_PARAMETERS:
        return None
    backend = core.get_backend("numpy", dtype="float64", compiled=False)
    copy = core.Network(network.n_inputs, layers_of(spec), backend=backend)
    copy.load_state_dict(network.state_dict())
    x, y, loss = train.x[:ROWS], train.y[:ROWS], LOSS.make(spec.loss)
    with one_of_blas():  # of so few rows that others would only be in the way of the steps that follow
        directional = core.check_gradients(copy, x, y, loss)
        for seed in range(1, DIRECTIONS):
            if directional.kink:
                directional = core.check_gradients(copy, x, y, loss, seed=seed)
        adjoint = core.check_adjoint(copy, x)
    return {"epoch": epoch, "rows": len(x), "dot_test": _told(adjoint), "directional": _told(directional)}


def _told(report: GradientReport) -> dict[str, Any]:
    names = ("expected", "got", "error", "tolerance", "passed", "kink")
    return {name: getattr(report, name) for name in names}
