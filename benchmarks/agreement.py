"""Whether all contestants learnt the same: speeds of different trainings can't be compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.contestants import US
from benchmarks.session import Visit
from benchmarks.shapes import Shape

TOLERANCE = 1e-3
"""How far two losses may lie apart, measured by our first epoch's loss.

All have the same data, initial weights and order of the samples, so that rounding tells them apart, and where in its
formula Adam adds ε. A sum of K products rounds by about √K u, with u = 2⁻²⁴ and K the widest layer, and each of T
steps adds its share, in the worst case all in one direction: √K u T of the loss, which stays below this for every
shape (a test). What is really another training, a learning rate 2 % off or another order, lies above (a test too).
"""
DROPOUT_TOLERANCE = 0.05
"""With dropout each library draws masks of its own, and the losses are draws too: only gross differences are found."""


def disagreements(shape: Shape, visits: Mapping[str, Visit]) -> list[str]:
    """Return a sentence for each contestant of one round whose losses differ from ours by more than the tolerance.

    The loss at the end is computed by the harness, from the weights that a contestant hands over; so is anyone's. Loss
    curves are compared where the library tells one. That training has lowered our own loss is checked too.
    """
    ours, found = visits[US], []
    allowed = DROPOUT_TOLERANCE if shape.dropout else TOLERANCE
    scale = np.array(ours.losses[0])
    if not np.all(np.isfinite(ours.final)) or not np.all(np.array(ours.losses[-1]) < np.array(ours.losses[0])):
        found.append(f"{shape.name}: our own loss doesn't fall: {ours.losses}")
    for name, visit in visits.items():
        for what, theirs, own in (("final loss", visit.final, ours.final), ("loss curve", visit.losses, ours.losses)):
            if not theirs:
                continue
            apart = _apart(np.array(theirs), np.array(own), scale)
            if not apart <= allowed:  # NaN too
                found.append(
                    f"{shape.name}: the {what} of {name} differs from ours by {apart:.1e} of the first epoch's loss; "
                    f"allowed is {allowed:.1e}"
                )
    return found


def _apart(theirs: np.ndarray, own: np.ndarray, scale: np.ndarray) -> float:
    if theirs.shape != own.shape:
        return float("inf")
    return float(np.max(np.abs(theirs - own) / scale))
