"""Which samples are trained on and which are held out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from core.randomness import Purpose, generator


def split(
    n_samples: int,
    fraction: float | Sequence[float],
    seed: int = 0,
    labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, ...]:
    """Return the rows to train on and the rows held out, each in ascending order.

    Held out are round(fraction · n_samples) rows drawn at random; several fractions hold out as many parts, all drawn
    at once. With `labels`, `(n_samples,)`, each label has its share of every part, by largest remainders, and stands in
    each: one row at least. With `groups`, `(n_samples,)`, no group is in two parts: groups come in random order, and
    each goes to the first part that it brings closer to its size, or stays with the rows to train on.

    Raises:
        ValueError: where `fraction` isn't between 0 and 1, where a part would be empty, or has too few rows of a label.

    >>> train_rows, held_out = split(10, 0.2, seed=1)
    >>> len(train_rows), len(held_out), sorted({*train_rows, *held_out}) == list(range(10))
    (8, 2, True)
    >>> [len(part) for part in split(10, (0.2, 0.1))]
    [7, 2, 1]
    """
    fractions = list(fraction) if isinstance(fraction, Sequence) else [fraction]
    if not (all(0 < each < 1 for each in fractions) and sum(fractions) < 1):
        raise ValueError(f"fraction: {fraction!r} is not allowed; it must lie between 0 and 1")
    if labels is not None and groups is not None:
        raise ValueError("groups: they are not allowed with labels; give one of the two")
    wanted = [round(each * n_samples) for each in fractions]
    if 0 in wanted or sum(wanted) >= n_samples:
        raise ValueError(
            f"fraction: {fraction!r} of {n_samples} samples is {', '.join(map(str, wanted))} to hold out; at least one "
            "sample must be held out and one be left to train on"
        )
    rng = generator(seed, Purpose.SPLIT)
    if groups is not None:
        parts = _whole(_members(groups), wanted, rng)
    else:
        members = [np.arange(n_samples)] if labels is None else _members(labels)
        if labels is not None:
            _check(labels, members, len(fractions))
        parts = _drawn(members, shares([len(rows) for rows in members], fractions), rng)
    held_out = [np.sort(part) for part in parts]
    return np.setdiff1d(np.arange(n_samples), np.concatenate(held_out), assume_unique=True), *held_out


def shares(sizes: Sequence[int], fractions: Sequence[float]) -> list[list[int]]:
    """Return for each fraction how many of each group to hold out: together its share of all, if groups have as many.

    >>> shares([10, 6, 2], [0.2])
    [[2, 1, 1]]
    """
    left, base, held_out = np.array(sizes), 1.0, []
    for number, fraction in enumerate(fractions):
        wanted, exact = round(fraction * sum(sizes)), left * (fraction / base)
        part = np.floor(exact).astype(int)
        by_remainder = np.argsort(part - exact, kind="stable")
        part[by_remainder[: max(wanted - part.sum(), 0)]] += 1
        if len(sizes) > 1:
            part = np.clip(part, 1, left - (len(fractions) - number))  # one is left for each part to come
        held_out.append(part.tolist())
        left, base = left - part, base - fraction
    return held_out


def _members(values: np.ndarray) -> list[np.ndarray]:
    distinct, index = np.unique(values, return_inverse=True)
    return [np.flatnonzero(index == each) for each in range(len(distinct))]


def _check(labels: np.ndarray, members: list[np.ndarray], n_held_out: int) -> None:
    for rows in members:
        if len(rows) <= n_held_out:
            often, needed = (
                ("only once", "twice") if n_held_out == 1 else (f"{len(rows)} times", f"{n_held_out + 1} times")
            )
            raise ValueError(
                f"labels: {np.asarray(labels)[rows[0]]} stands {often}, in row {rows[0]}; a stratified split needs "
                f"every label {needed}"
            )


def _drawn(members: list[np.ndarray], sizes: list[list[int]], rng: np.random.Generator) -> list[np.ndarray]:
    """Return the parts, of which the k-th has `sizes[k][g]` rows of the members of g."""
    orders = [rng.permutation(rows) for rows in members]
    ends = np.cumsum([[0] * len(members), *sizes], axis=0)
    return [
        np.concatenate([order[start:end] for order, start, end in zip(orders, starts, stops, strict=True)])
        for starts, stops in pairwise(ends)
    ]


def _whole(members: list[np.ndarray], wanted: list[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Return parts of whole groups, each about as large as wanted; one group at least is left to train on."""
    if len(members) <= len(wanted):
        raise ValueError(f"groups: there are {len(members)}; at least {len(wanted) + 1} are needed, one for each part")
    waiting = [members[index] for index in rng.permutation(len(members))]
    parts: list[np.ndarray] = []
    for number, size in enumerate(wanted):
        taken: list[np.ndarray] = []
        spare = len(wanted) - number  # groups that others need
        for group in list(waiting):
            short = size - sum(map(len, taken))
            if len(waiting) > spare and abs(short - len(group)) < short:
                taken.append(group)
                waiting = [each for each in waiting if each is not group]
        if not taken:  # every group is more than twice what is wanted
            taken.append(min(waiting, key=len))
            waiting = [each for each in waiting if each is not taken[0]]
        parts.append(np.concatenate(taken))
    return parts
