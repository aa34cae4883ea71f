"""Metrics with their textbook definitions, apart from losses: functions of targets y and outputs a, on the host.

Those for classification take y as labels `(m,)`, or as 0 and 1 of the shape `(m, 1)`, and a as `(m, n_classes)`, or as
`(m, 1)` for two classes: then a is the score of the label 1, which is predicted from 0.5 on.

balanced_accuracy, log_loss, top_k, f1 and roc_auc are scikit-learn's, which is imported when one of them is called:
`pip install 'deltabar[sklearn]'`. Where one isn't defined for the data, or the outputs aren't finite, it is NaN, with
neither a warning nor an error in the midst of training.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np


def accuracy(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return the share of samples whose label is predicted.

    Args:
        y: labels `(m,)`, or 0 and 1 as `(m, 1)`.
        outputs: `(m, n_classes)`, where the largest counts; or `(m, 1)`, where 1 is predicted from 0.5 on.

    >>> accuracy(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    0.5
    """
    return float(np.mean(_predicted(outputs) == np.asarray(y).reshape(-1)))


def balanced_accuracy(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return 1/|C| Σ_{c ∈ C} (share of the samples of class c that are predicted as c), C the classes that occur in y.

    (Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010)

    >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([[0.9], [0.1], [0.2], [0.7]]))
    0.8333333333333333
    """
    labels = np.asarray(y).reshape(-1)
    if not np.isfinite(outputs).all():
        return float("nan")
    # The mean of the recalls: scikit-learn's function of our name warns where a class is predicted that y hasn't.
    recall = _scikit_learn().recall_score
    return float(recall(labels, _predicted(outputs), labels=np.unique(labels), average="macro"))


def log_loss(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return −1/m Σ_k ln a_k,y(k), for outputs that are probabilities; they count as no less than their precision ε.

    >>> round(log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])), 6)
    1.039721
    """
    if not np.isfinite(outputs).all():
        return float("nan")
    scores = outputs[:, 0] if outputs.shape[1] == 1 else outputs
    return float(_scikit_learn().log_loss(np.asarray(y).reshape(-1), scores, labels=np.arange(_n_classes(outputs))))


def top_k(y: np.ndarray, outputs: np.ndarray, k: int = 2) -> float:
    """Return the share of samples whose label is among the k classes with the largest outputs; 1 for n_classes ≤ k.

    `functools.partial(top_k, k=5)` is the metric for another k.

    >>> top_k(np.array([0, 2]), np.array([[0.3, 0.4, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1]]))
    0.5
    """
    if not np.isfinite(outputs).all():
        return float("nan")
    if _n_classes(outputs) <= k:
        return 1.0
    scores = outputs[:, 0] if outputs.shape[1] == 1 else outputs
    labels = np.arange(_n_classes(outputs))
    return float(_scikit_learn().top_k_accuracy_score(np.asarray(y).reshape(-1), scores, k=k, labels=labels))


def f1(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return 2TP/(2TP + FP + FN): of the label 1 for one output; for several the mean over the classes ("macro").

    The classes are those that occur in y or are predicted. For one output, it is NaN where the label 1 neither occurs
    nor is predicted. (van Rijsbergen, "Information Retrieval", 1979, chapter 7, with β = 1)

    >>> f1(np.array([1, 1, 0]), np.array([[0.9], [0.2], [0.8]]))
    0.5
    """
    if not np.isfinite(outputs).all():
        return float("nan")
    average = "binary" if outputs.shape[1] == 1 else "macro"
    score = _scikit_learn().f1_score
    return float(score(np.asarray(y).reshape(-1), _predicted(outputs), average=average, zero_division=np.nan))


def roc_auc(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return the area under the ROC curve: the probability that a sample of the class has a larger output than another.

    Equal outputs count one half. For one output, the class is the label 1; for several, it is the mean over the classes
    of each against the rest ("one-vs-rest macro"). NaN where a class doesn't occur in y, or is the only one.
    (Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006)

    >>> roc_auc(np.array([0, 0, 1, 1]), np.array([[0.1], [0.4], [0.35], [0.8]]))
    0.75
    """
    labels, n = np.asarray(y).reshape(-1), _n_classes(outputs)
    if not np.isfinite(outputs).all() or len(np.intersect1d(labels, np.arange(n))) < n:
        return float("nan")
    score = _scikit_learn().roc_auc_score
    if outputs.shape[1] == 1:
        return float(score(labels, outputs[:, 0]))
    return float(np.mean([score(labels == each, outputs[:, each]) for each in range(n)]))


def mse(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return the mean of (a − y)² over samples and outputs, both `(m, n)`.

    >>> mse(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]))
    2.0
    """
    return float(np.mean((outputs.astype(np.float64) - y) ** 2))


def rmse(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return √mse, in the targets' units.

    >>> rmse(np.array([[1.0]]), np.array([[4.0]]))
    3.0
    """
    return float(np.sqrt(mse(y, outputs)))


def mae(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return the mean of |a − y| over samples and outputs, both `(m, n)`.

    >>> mae(np.array([[1.0], [2.0]]), np.array([[1.0], [4.0]]))
    1.0
    """
    return float(np.mean(np.abs(outputs.astype(np.float64) - y)))


def r2(y: np.ndarray, outputs: np.ndarray) -> float:
    """Return 1 − Σ(a − y)²/Σ(y − ȳ)²; NaN where all targets are equal.

    >>> r2(np.array([[1.0], [3.0]]), np.array([[1.0], [3.0]]))
    1.0
    """
    spread = float(np.sum((y - np.mean(y, axis=0)) ** 2))
    residual = float(np.sum((outputs.astype(np.float64) - y) ** 2))
    return 1 - residual / spread if spread else float("nan")


@dataclass(frozen=True)
class Metric:
    """A metric by its name: called with y and outputs, it returns what `function` does."""

    function: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    def __call__(self, y: np.ndarray, outputs: np.ndarray) -> float:
        """Return the metric's value."""
        return self.function(y, outputs)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(Metric(error, higher_is_better=False) for error in (mse, rmse, mae, log_loss)),
        *(Metric(score, higher_is_better=True) for score in (r2, accuracy, balanced_accuracy, top_k, f1, roc_auc)),
    )
}
"""Every metric by its name: `train(…, metrics={"f1": METRICS["f1"]})`."""


def _predicted(outputs: np.ndarray) -> np.ndarray:
    """Return the predicted label of each sample, `(m,)`."""
    return (outputs[:, 0] >= 0.5).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)


def _n_classes(outputs: np.ndarray) -> int:
    return max(2, outputs.shape[1])


def _scikit_learn() -> ModuleType:
    try:
        return importlib.import_module("sklearn.metrics")
    except ImportError as error:
        raise ImportError(
            "metrics: balanced_accuracy, log_loss, top_k, f1 and roc_auc need scikit-learn, which can't be imported "
            f"({error}); pip install 'deltabar[sklearn]' installs it"
        ) from error
