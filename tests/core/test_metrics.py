"""Metrics against their definitions, written out."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

from core import Dense, Network, fit, metrics

Y = np.array([[1.0], [2.0], [6.0]])
A = np.array([[1.5], [2.0], [4.0]], np.float32)


def test_regression_metrics() -> None:
    assert metrics.mse(Y, A) == pytest.approx((0.25 + 4) / 3)
    assert metrics.rmse(Y, A) == pytest.approx(np.sqrt(4.25 / 3))
    assert metrics.mae(Y, A) == pytest.approx(2.5 / 3)
    assert metrics.r2(Y, A) == pytest.approx(1 - 4.25 / 14)
    assert np.isnan(metrics.r2(np.ones((3, 1)), A))


def test_accuracy_of_labels_and_of_a_single_output() -> None:
    assert metrics.accuracy(np.array([2, 0, 1]), np.eye(3)[[2, 1, 1]]) == pytest.approx(2 / 3)
    assert metrics.accuracy(np.array([[1.0], [0.0], [1.0]]), np.array([[0.5], [0.4], [0.1]])) == pytest.approx(2 / 3)


# Three classes, six samples; argmax predicts 0, 1, 1, 2, 0, 0 for 0, 0, 1, 1, 2, 0.
LABELS = np.array([0, 0, 1, 1, 2, 0])
SHARES = np.array(
    [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.2, 0.3, 0.5], [0.5, 0.1, 0.4], [0.4, 0.35, 0.25]]
)
# Two classes, one output; 0.5 on predicts 1, 0, 1, 0 for 1, 1, 0, 0.
CLASSES = np.array([[1.0], [1.0], [0.0], [0.0]])
OUTPUT = np.array([[0.9], [0.4], [0.6], [0.4]])


@pytest.mark.parametrize(
    ("metric", "several", "one"),
    [
        # Recalls: of 0 2/3, of 1 1/2, of 2 0; with one output 1/2 and 1/2.
        (metrics.balanced_accuracy, (2 / 3 + 1 / 2 + 0) / 3, 1 / 2),
        (metrics.log_loss, -np.log(0.6 * 0.2 * 0.8 * 0.3 * 0.4 * 0.4) / 6, -np.log(0.9 * 0.4 * 0.4 * 0.6) / 4),
        # Among the two largest: every label, in row 1 the second; with one output, two of two classes.
        (metrics.top_k, 1.0, 1.0),
        # 2TP/(2TP + FP + FN): of 0 4/(4 + 1 + 1), of 1 2/(2 + 1 + 1), of 2 0; with one output 2/(2 + 1 + 1).
        (metrics.f1, (4 / 6 + 2 / 4 + 0) / 3, 2 / 4),
        # Pairs won: 0 has 0.6, 0.2, 0.4 against 0.1, 0.2, 0.5: 3 + 1½ + 2 of 9; 1 has 0.8, 0.3 against
        # 0.3, 0.7, 0.1, 0.35: 4 + 1½ of 8; 2 has 0.4 against 0.1, 0.1, 0.1, 0.5, 0.25: 4 of 5. One output: 0.9 wins
        # twice, 0.4 ties once.
        (metrics.roc_auc, (6.5 / 9 + 5.5 / 8 + 4 / 5) / 3, 2.5 / 4),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_classification_metrics_by_hand(
    metric: Callable[[np.ndarray, np.ndarray], float], several: float, one: float
) -> None:
    for dtype, precision in (("float64", 1e-14), ("float32", 1e-6)):  # a few roundings of the outputs and logarithms
        assert metric(LABELS, SHARES.astype(dtype)) == pytest.approx(several, rel=precision)
        assert metric(CLASSES, OUTPUT.astype(dtype)) == pytest.approx(one, rel=precision)
        assert metric(CLASSES.astype(int).ravel(), OUTPUT.astype(dtype)) == pytest.approx(one, rel=precision)


def test_top_k_for_another_k() -> None:
    assert metrics.top_k(LABELS, SHARES, k=1) == metrics.accuracy(LABELS, SHARES)
    assert metrics.top_k(CLASSES, np.array([[0.9], [0.4], [0.6], [0.1]]), k=1) == 1 / 2
    four = np.array([[0.4, 0.3, 0.2, 0.1]] * 4)
    assert [metrics.top_k(np.arange(4), four, k=k) for k in (1, 2, 3, 4, 5)] == [0.25, 0.5, 0.75, 1, 1]


def test_two_outputs_say_of_the_roc_curve_what_one_says() -> None:
    both = np.hstack([1 - OUTPUT, OUTPUT])
    assert metrics.roc_auc(CLASSES, both) == pytest.approx(metrics.roc_auc(CLASSES, OUTPUT), rel=1e-15)


def test_what_is_not_defined_is_nan_without_a_warning() -> None:
    """Warnings are errors in these tests."""
    zeros, no = np.zeros(3, int), np.array([[0.1], [0.2], [0.3]])
    assert np.isnan(metrics.roc_auc(zeros, no))
    assert np.isnan(metrics.roc_auc(np.array([0, 1, 0]), SHARES[:3]))  # 2 doesn't occur
    assert np.isnan(metrics.f1(zeros, no))
    # What is defined for a single class has its value, also where another class is predicted.
    assert metrics.f1(zeros, SHARES[[0, 0, 5]]) == 1
    assert metrics.balanced_accuracy(zeros, SHARES[[0, 1, 5]]) == pytest.approx(2 / 3)
    assert metrics.log_loss(zeros, 1 - no) == pytest.approx(-np.log(0.1 * 0.2 * 0.3) / 3)
    assert metrics.log_loss(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]])) < np.inf


@pytest.mark.parametrize("name", ["balanced_accuracy", "log_loss", "top_k", "f1", "roc_auc"])
def test_outputs_that_are_not_finite_give_nan(name: str) -> None:
    broken = SHARES.copy()
    broken[0, 0] = np.nan
    assert np.isnan(metrics.METRICS[name](LABELS, broken))


def test_every_metric_is_computed_at_the_end_of_an_epoch() -> None:
    x, y = np.linspace(-1, 1, 40)[:, None], np.arange(40) // 20
    names = ["accuracy", "balanced_accuracy", "log_loss", "top_k", "f1", "roc_auc"]
    net = Network(1, [Dense(2, "softmax")])
    known = {name: metrics.METRICS[name] for name in names}
    *_, last = fit(net, x, y, loss="softmax_cross_entropy", epochs=2, validation=(x, y), metrics=known)
    assert last.metrics == {name: known[name](y, net.predict(x)) for name in names}
    assert last.metrics["log_loss"] == pytest.approx(last.validation_loss, rel=1e-5)


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(ImportError, match=r"need scikit-learn.*pip install 'deltabar\[sklearn\]'"):
        metrics.f1(LABELS, SHARES)
    assert metrics.accuracy(LABELS, SHARES) == 1 / 2
