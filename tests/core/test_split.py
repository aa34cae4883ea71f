"""The split: every row on one side, the right share, every label on both sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core import split


@given(st.integers(2, 500), st.floats(0.01, 0.99), st.integers(0, 2**63 - 1))
def test_every_row_is_on_one_side(n_samples: int, fraction: float, seed: int) -> None:
    if not 0 < round(fraction * n_samples) < n_samples:
        with pytest.raises(ValueError, match="fraction: "):
            split(n_samples, fraction, seed)
        return
    train_rows, held_out = split(n_samples, fraction, seed)
    assert sorted([*train_rows, *held_out]) == list(range(n_samples))
    assert len(held_out) == round(fraction * n_samples)
    np.testing.assert_array_equal(split(n_samples, fraction, seed)[1], held_out)


@given(st.lists(st.integers(2, 60), min_size=2, max_size=6), st.floats(0.1, 0.9), st.integers(0, 100))
def test_every_label_has_its_share(sizes: list[int], fraction: float, seed: int) -> None:
    assume(0 < round(fraction * sum(sizes)) < sum(sizes))
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    train_rows, held_out = split(len(labels), fraction, seed, labels)
    assert sorted([*train_rows, *held_out]) == list(range(len(labels)))
    for label, size in enumerate(sizes):
        share = int((labels[held_out] == label).sum())
        assert 1 <= share <= size - 1
        assert abs(share - fraction * size) <= 1


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, float("nan"), 0.01])
def test_a_fraction_that_leaves_a_side_empty_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction: "):
        split(10, fraction)


def test_a_label_that_stands_once_is_refused() -> None:
    with pytest.raises(ValueError, match="labels: 7 stands only once, in row 2; a stratified split needs every label"):
        split(5, 0.4, labels=np.array([1, 1, 7, 1, 1]))


def test_seeds_differ() -> None:
    assert not np.array_equal(split(1000, 0.2, seed=0)[1], split(1000, 0.2, seed=1)[1])


@given(st.lists(st.integers(3, 60), min_size=1, max_size=6), st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.booleans())
def test_several_parts_are_drawn_at_once(sizes: list[int], first: float, second: float, stratified: bool) -> None:
    n_samples = sum(sizes)
    assume(min(round(first * n_samples), round(second * n_samples)) > 0)
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    parts = split(n_samples, (first, second), 1, labels if stratified else None)
    assert sorted(np.concatenate(parts)) == list(range(n_samples))
    if stratified:
        for label, size in enumerate(sizes):
            shares = [int((labels[part] == label).sum()) for part in parts]
            assert min(shares) >= 1
            assert abs(shares[1] - first * size) <= 1
            assert abs(shares[2] - second * size) <= 2
    else:
        assert [len(part) for part in parts[1:]] == [round(first * n_samples), round(second * n_samples)]


@given(st.lists(st.integers(1, 30), min_size=3, max_size=20), st.floats(0.1, 0.4), st.integers(0, 100))
def test_no_group_is_in_two_parts(sizes: list[int], fraction: float, seed: int) -> None:
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    assume(round(fraction * len(groups)) > 0)
    parts = split(len(groups), (fraction, fraction), seed, groups=groups)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert all(len(part) for part in parts)
    found = [set(groups[part]) for part in parts]
    assert sum(map(len, found)) == len(sizes)
    for part in parts[1:]:  # as close as whole groups allow
        assert abs(len(part) - fraction * len(groups)) <= max(sizes)


def test_groups_of_one_row_are_drawn_like_rows() -> None:
    assert [len(part) for part in split(100, (0.2, 0.1), groups=np.arange(100))] == [70, 20, 10]


def test_too_few_groups_and_groups_with_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="groups: there are 2; at least 3 are needed"):
        split(10, (0.2, 0.2), groups=np.arange(10) % 2)
    with pytest.raises(ValueError, match="groups: they are not allowed with labels"):
        split(10, 0.2, groups=np.arange(10) % 2, labels=np.arange(10) % 2)
    with pytest.raises(ValueError, match="labels: 7 stands 2 times, in row 0; a stratified split needs every label 3"):
        split(6, (0.3, 0.3), labels=np.array([7, 7, 8, 8, 8, 8]))
