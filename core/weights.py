"""Weights of samples: J = Σ_k w_k value_k / Σ_k w_k, so that a weight of 2 is the row twice, and 0 its absence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from core.losses import Loss

ClassWeight: TypeAlias = Mapping[int, float] | Literal["balanced"]
"""From labels to weights, where a label that isn't named has 1; or "balanced", so that all classes weigh the same."""


def weighted(
    loss: Loss,
    samples: np.ndarray,
    targets: np.ndarray,
    sample_weight: object = None,
    class_weight: ClassWeight | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the samples and targets whose weight isn't 0, and their weights `(m,)` of mean 1; None if all are equal.

    The weights are those of `weights_of`, which raises ValueError where one isn't allowed.
    """
    weights = weights_of(loss, targets, sample_weight, class_weight)
    if weights is None or weights.all():
        return samples, targets, weights
    keep = weights > 0
    return samples[keep], targets[keep], weights[keep]


def weights_of(
    loss: Loss, targets: np.ndarray, sample_weight: object = None, class_weight: ClassWeight | None = None
) -> np.ndarray | None:
    """Return the samples' weights `(m,)`, of which those that aren't 0 have the mean 1; None where all are equal.

    The weight of a sample is the product of its own and its class's. "balanced" gives the class c the weight
    Σw / (n_classes Σ_{y=c} w), over the classes that occur and the samples' own weights w: with equal ones that is
    n_samples / (n_classes · count), as in scikit-learn. (King and Zeng, "Logistic regression in rare events data",
    Political Analysis 9, 2001)

    Raises:
        ValueError: where a weight isn't allowed; the message names it.

    >>> from core.losses import SoftmaxCrossEntropy
    >>> weights_of(SoftmaxCrossEntropy(), np.array([0, 0, 0, 1]), class_weight="balanced").round(3)
    array([0.667, 0.667, 0.667, 2.   ])
    """
    if sample_weight is None and class_weight is None:
        return None
    weights = own_weights(sample_weight, len(targets))
    if class_weight is not None:
        weights = weights * weights_of_classes(class_weight, _labels(loss, targets), weights)
    if not weights.any():
        raise ValueError("class_weight: every sample's weight is zero; at least one must be > 0")
    return weights / weights[weights > 0].mean()


def own_weights(sample_weight: object, m: int) -> np.ndarray:
    """Return `sample_weight` as floats `(m,)`; ones where it is None.

    Raises:
        ValueError: where a weight isn't allowed, or none is > 0.
    """
    if sample_weight is None:
        return np.ones(m)
    weights = np.asarray(sample_weight)
    if weights.dtype.kind not in "fiub" or weights.shape != (m,):
        raise ValueError(
            f"sample_weight: the dtype {weights.dtype} and the shape {weights.shape} are not allowed; it must be "
            f"numbers, one for each of {m} samples"
        )
    weights = weights.astype(np.float64)
    wrong = ~((weights >= 0) & np.isfinite(weights))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"sample_weight: {weights[row]} in row {row} is not allowed; it must be ≥ 0 and finite")
    if not weights.any():
        raise ValueError("sample_weight: every weight is zero; at least one must be > 0")
    return weights


def _labels(loss: Loss, targets: np.ndarray) -> np.ndarray:
    """Return the class of each sample, `(m,)`."""
    if loss.tells_classes and targets.ndim == 1:
        return targets
    if loss.tells_classes and targets.shape[1] == 1 and np.isin(targets, (0, 1)).all():
        return targets[:, 0].astype(np.int64)
    raise ValueError(
        f"class_weight: {loss.name} has no classes to weigh here; it takes a loss for classes, whose targets are "
        "labels or, for one output, 0 and 1"
    )


def weights_of_classes(class_weight: ClassWeight, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weight of each sample's class, `(m,)`, for the samples' own weights; see `weighted`.

    Raises:
        ValueError: where a weight isn't allowed; the message names it.
    """
    totals = np.bincount(labels, weights)
    if isinstance(class_weight, str) and class_weight == "balanced":
        n_classes = np.count_nonzero(totals)
        return (weights.sum() / (n_classes * np.where(totals > 0, totals, np.inf)))[labels]
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight: {class_weight!r} is not allowed; it must be 'balanced' or a mapping")
    of_class = np.ones(len(totals))
    for label, weight in class_weight.items():
        if isinstance(label, bool) or not isinstance(label, int | np.integer) or not 0 <= label < len(totals):
            raise ValueError(
                f"class_weight: there is no label {label!r} in y; its labels are integers from 0 to {len(totals) - 1}"
            )
        if not (weight >= 0 and np.isfinite(weight)):
            raise ValueError(f"class_weight: {weight!r} for {label} is not allowed; it must be ≥ 0 and finite")
        of_class[label] = weight
    return of_class[labels]
