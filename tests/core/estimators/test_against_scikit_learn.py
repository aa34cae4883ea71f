"""The same numbers as scikit-learn's perceptrons and linear models, which are written by others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import linear_model, neural_network

from core import Dense, Network, get_backend
from core.estimators import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
TARGETS = {
    "two classes": np.where(X[:, 0] > 0, "yes", "no"),
    "three classes": np.digitize(X[:, 0], [-0.5, 0.5]) * 10,
    "multilabel": (X[:, :2] > 0).astype(int),
    "one number": np.sin(X[:, 0]),
    "two numbers": np.sin(X[:, :2]),
}
SHARED: dict[str, Any] = {
    "hidden_layer_sizes": (5,), "activation": "tanh", "shuffle": False, "learning_rate_init": 0.01
}  # fmt: skip
ROUNDING = 1e-11
"""Relative: some 200 steps, each with sums of up to 40 terms, make 10⁴ roundings of 10⁻¹⁶ in one way at worst; ten more
for their way through the weights."""


def both(name: str, **parameters: Any) -> tuple[Any, Any, np.ndarray]:
    """Return scikit-learn's model with our initial weights, not trained yet; ours; and the targets."""
    y, classifies = TARGETS[name], "number" not in name
    theirs_class = neural_network.MLPClassifier if classifies else neural_network.MLPRegressor
    ours = (MLPClassifier if classifies else MLPRegressor)(random_state=7, **{**SHARED, **parameters})
    theirs = theirs_class(**{**SHARED, **parameters, "warm_start": True, "max_iter": 1})
    with pytest.warns(match="reached"):
        theirs.fit(X, y)  # makes its arrays
    outputs, double = theirs.n_outputs_, get_backend("numpy", "float64")
    start = Network(3, [Dense(5, "tanh"), Dense(outputs, initializer="glorot_uniform")], backend=double, seed=7)
    theirs.coefs_ = [weight.T.copy() for weight in start.weights]
    theirs.intercepts_ = [np.zeros(5), np.zeros(outputs)]
    theirs.loss_curve_, theirs.best_loss_, theirs._no_improvement_count = [], np.inf, 0
    theirs.set_params(max_iter=parameters["max_iter"])
    return theirs, ours, y


def assert_equal_weights(ours: Any, theirs: Any) -> None:
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=ROUNDING, atol=ROUNDING)


# Their ε is added before the correction for the start, ours after it, as in the paper's algorithm 1: here it is tiny.
SOLVERS = [
    {"solver": "adam", "epsilon": 1e-30},
    {"solver": "sgd"},
    {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False},
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_the_curve_and_the_weights_of_the_same_start(
    name: str, solver: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if (name, solver) != ("one number", SOLVERS[0]):  # one of them compiled is enough, as that takes seconds
        monkeypatch.setattr("core.backend.has_numba", lambda: False)
    theirs, ours, y = both(name, **solver, alpha=0.0, batch_size=16, max_iter=50)  # batches of 16, 16 and 8
    theirs.fit(X, y)
    ours.fit(X, y)
    outputs = y.shape[1] if name == "two numbers" else 1  # theirs is the mean over several numbers, ours the sum
    np.testing.assert_allclose(np.array(ours.loss_curve_) / outputs, theirs.loss_curve_, rtol=ROUNDING)
    assert_equal_weights(ours, theirs)
    assert (ours.n_iter_, ours.n_layers_, ours.n_outputs_, ours.out_activation_) == (
        *(theirs.n_iter_, theirs.n_layers_, theirs.n_outputs_, theirs.out_activation_),
    )
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X)) if "number" not in name else (
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=ROUNDING, atol=ROUNDING)
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", TARGETS)
def test_alpha_and_sample_weight_mean_the_same(name: str) -> None:
    # Their loss has the penalty in it, ours hasn't, so that they stop at different epochs; here none does.
    options: dict[str, Any] = {"alpha": 0.5, "max_iter": 60, "epsilon": 1e-30, "n_iter_no_change": np.inf}
    weight = RNG.uniform(0.1, 3, 40)
    theirs, ours, y = both(name, batch_size=40, **options)
    if "sample_weight" in neural_network.MLPClassifier.fit.__code__.co_varnames:  # since scikit-learn 1.7
        assert_equal_weights(ours.fit(X, y, weight), theirs.fit(X, y, weight))
    theirs, ours, y = both(name, batch_size=10, **options)
    assert_equal_weights(ours.fit(X, y), theirs.fit(X, y))


def test_it_stops_at_the_same_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.backend.has_numba", lambda: False)
    theirs, ours, y = both("two classes", alpha=0.0, batch_size=40, max_iter=2000, tol=1e-3, n_iter_no_change=5)
    assert ours.fit(X, y).n_iter_ == theirs.fit(X, y).n_iter_ < 2000
    assert (ours.t_, ours.best_loss_) == (40 * ours.n_iter_, min(ours.loss_curve_))


# Without a hidden layer the objective is convex, and J is flat to the second order at its minimum: where J is known to
# 10⁻¹⁵ or so, weights are known to √10⁻¹⁵ and predictions, whose own error is what remains of the gradient, to 10⁻⁵.
LINEAR: dict[str, Any] = {
    "hidden_layer_sizes": (), "solver": "lbfgs", "max_iter": 5000,
    "tol": 1e-12, "n_iter_no_change": 3, "random_state": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", ["two classes", "three classes"])
def test_without_hidden_layers_it_is_logistic_regression(name: str) -> None:
    y = TARGETS[name]
    ours = MLPClassifier(**LINEAR, alpha=1 / 0.3).fit(X, y)
    theirs = linear_model.LogisticRegression(C=0.3, tol=1e-10, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


def test_without_hidden_layers_it_is_ridge_and_poisson_regression() -> None:
    counts, weight = RNG.poisson(np.exp(X[:, 0])), RNG.uniform(0.5, 2, 40)
    ridge = linear_model.Ridge(alpha=3.0).fit(X, TARGETS["two numbers"], weight)
    ours = MLPRegressor(**LINEAR, alpha=3.0).fit(X, TARGETS["two numbers"], weight)
    np.testing.assert_allclose(ours.predict(X), ridge.predict(X), atol=1e-5)
    poisson = linear_model.PoissonRegressor(alpha=0.2, tol=1e-10).fit(X, counts, weight)
    ours = MLPRegressor(**LINEAR, alpha=0.2 * weight.sum(), loss="poisson").fit(X, counts, weight)
    np.testing.assert_allclose(ours.predict(X), poisson.predict(X), atol=1e-5)
