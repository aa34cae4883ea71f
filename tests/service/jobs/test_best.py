from __future__ import annotations

import numpy as np
import pytest

from service.jobs.best import BETTER, Best

NAMES = ("epoch", "loss", "accuracy")


@pytest.mark.parametrize("names", [NAMES, NAMES[:2]])
def test_the_best_is_the_same_however_the_epochs_come(names: tuple[str, ...]):
    rng = np.random.default_rng(0)
    numbers = np.column_stack([np.arange(1, 101), *(rng.integers(0, 9, 100) for _ in names[1:])]).astype(float)
    numbers[rng.random(100) < 0.3, 1:] = np.nan
    measure = numbers[:, -1] * BETTER[names[-1]]
    first = int(np.flatnonzero(measure == np.nanmax(measure))[0])
    for size in (1, 7, 100):
        best = Best()
        for start in range(0, 100, size):
            best.see(names, numbers[start : start + size])
        assert best.told == {"name": names[-1], "value": numbers[first, -1], "epoch": first + 1}


def test_of_epochs_without_a_number_none_is_best():
    best = Best()
    best.see(NAMES, np.array([[1, 0.5, np.nan]]))
    assert best.told is None
