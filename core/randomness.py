"""Random numbers: drawn on the host from (seed, purpose, counters), so that there is no state to save."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What numbers are drawn for; each purpose has a stream of its own. The values are part of reproducibility."""

    INITIAL_WEIGHTS = 0
    ORDER_OF_SAMPLES = 1
    SPLIT = 2
    GRADIENT_CHECK = 3


def generator(seed: int, purpose: Purpose, *counters: int) -> np.random.Generator:
    """Return NumPy's PCG64 seeded by `seed`, `purpose` and `counters` through NumPy's SeedSequence.

    >>> generator(0, Purpose.SPLIT).integers(10) == generator(0, Purpose.SPLIT).integers(10)
    np.True_
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, purpose, *counters])))
