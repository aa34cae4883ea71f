"""Which samples are trained on and which are held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.randomness import Purpose, generator


def split(
    n_samples: int, fraction: float, seed: int = 0, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and the rows held out, each in ascending order.

    Held out are round(fraction · n_samples) rows drawn at random. With `labels`, `(n_samples,)`, each label has its
    share among them, by largest remainders, and every label stands on both sides: one row at least in either.

    Raises:
        ValueError: where `fraction` isn't between 0 and 1, where one side would be empty, or a label stands only once.

    >>> train_rows, held_out = split(10, 0.2, seed=1)
    >>> len(train_rows), len(held_out), sorted({*train_rows, *held_out}) == list(range(10))
    (8, 2, True)
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: {fraction!r} is not allowed; it must lie between 0 and 1")
    wanted = round(fraction * n_samples)
    if not 0 < wanted < n_samples:
        raise ValueError(
            f"fraction: {fraction!r} of {n_samples} samples is {wanted} to hold out; at least one sample must be held "
            "out and one be left to train on"
        )
    rng = generator(seed, Purpose.SPLIT)
    groups = [np.arange(n_samples)] if labels is None else _groups(np.asarray(labels))
    sizes = shares([len(group) for group in groups], fraction, wanted)
    held_out = np.sort(np.concatenate([rng.permutation(g)[:size] for g, size in zip(groups, sizes, strict=True)]))
    return np.setdiff1d(np.arange(n_samples), held_out, assume_unique=True), held_out


def _groups(labels: np.ndarray) -> list[np.ndarray]:
    values, group = np.unique(labels, return_inverse=True)
    groups = [np.flatnonzero(group == index) for index in range(len(values))]
    for value, rows in zip(values, groups, strict=True):
        if len(rows) < 2:
            raise ValueError(
                f"labels: {value} stands only once, in row {rows[0]}; a stratified split needs every label twice"
            )
    return groups


def shares(sizes: Sequence[int], fraction: float, wanted: int) -> list[int]:
    """Return how many of each group to hold out: `fraction` rounded such that they add up to `wanted`, if they can.

    >>> shares([10, 6, 2], 0.2, 4)
    [2, 1, 1]
    """
    exact = np.array(sizes) * fraction
    held_out = np.floor(exact).astype(int)
    by_remainder = np.argsort(held_out - exact, kind="stable")
    held_out[by_remainder[: max(wanted - held_out.sum(), 0)]] += 1
    if len(sizes) == 1:
        return held_out.tolist()
    return np.clip(held_out, 1, np.array(sizes) - 1).tolist()
