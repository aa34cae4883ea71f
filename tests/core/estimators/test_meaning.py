"""What the estimators' words mean: weights are repetition, partial_fit is an epoch, the best weights are the best."""

from __future__ import annotations

import pickle
from typing import Any, TypeVar, cast

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.class_weight import compute_sample_weight

from core import Adam, Network, Sgd, fit, split
from core.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(1)
X = RNG.standard_normal((60, 4))
TWO = (X[:, 0] > 0.5).astype(int)
THREE = np.array(["low", "mid", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
MANY = (X[:, :3] > 0).astype(int)
NUMBER = np.sin(X[:, 0])
NUMBERS = np.sin(X[:, :2])
SMALL: dict[str, Any] = {"hidden_layer_sizes": (8,), "random_state": 3, "max_iter": 12, "batch_size": 16}
CASES = [
    *((MLPClassifier, y) for y in (TWO, THREE, MANY)),
    *((MLPRegressor, y) for y in (NUMBER, NUMBERS)),
]
IDS = ["two classes", "three classes", "multilabel", "one number", "two numbers"]
Model = MLPClassifier | MLPRegressor
M = TypeVar("M", bound=Model)


def small(**parameters: Any) -> dict[str, Any]:
    return SMALL | parameters


def again(model: M, **parameters: Any) -> M:
    """Return an untrained model with the parameters of `model`, and others."""
    return cast(M, clone(model)).set_params(**parameters)


def proba(model: Model, x: np.ndarray = X) -> np.ndarray:
    return model.predict_proba(x) if isinstance(model, MLPClassifier) else model.predict(x)


def assert_same(one: Model, other: Model) -> None:
    """To the last bit."""
    for mine, others in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_array_equal(mine, others)


@pytest.mark.parametrize(("kind", "y"), CASES, ids=IDS)
@pytest.mark.parametrize("solver", ["adam", "sgd", Adam(0.01, weight_decay=0.1)], ids=str)
def test_partial_fit_k_times_is_a_fit_of_k_epochs(kind: type[Model], y: np.ndarray, solver: Any) -> None:
    model = kind(**SMALL, solver=solver, dropout=0.2, n_iter_no_change=np.inf)
    whole, bit_by_bit = again(model).fit(X, y), again(model)
    for epoch in range(12):
        classes = {"classes": np.unique(y)} if kind is MLPClassifier and epoch == 0 else {}
        bit_by_bit.partial_fit(X, y, **classes)
        if epoch == 5:
            bit_by_bit = pickle.loads(pickle.dumps(bit_by_bit))
    assert_same(whole, bit_by_bit)
    assert whole.loss_curve_ == bit_by_bit.loss_curve_
    assert (whole.n_iter_, whole.t_, whole.loss_) == (bit_by_bit.n_iter_, bit_by_bit.t_, bit_by_bit.loss_)
    bit_by_bit.partial_fit(X[:7], y[:7])  # other samples, as many as there are
    assert (bit_by_bit.n_iter_, bit_by_bit.t_) == (13, 12 * 60 + 7)
    assert not np.array_equal(proba(whole), proba(bit_by_bit))


def test_a_warm_start_goes_on_from_where_it_ended_and_a_cold_one_does_not() -> None:
    model = MLPRegressor(**SMALL, n_iter_no_change=np.inf)
    warm = again(model, warm_start=True, max_iter=5).fit(X, NUMBER)
    warm.set_params(max_iter=7).fit(X, NUMBER)
    assert_same(warm, again(model).fit(X, NUMBER))
    assert (warm.n_iter_, len(warm.loss_curve_)) == (7, 12)
    cold = again(model, max_iter=12)
    assert_same(cold.fit(X, NUMBER), again(cold).fit(X, NUMBER).fit(X, NUMBER))
    for name, other, says in (
        (
            "hidden_layer_sizes",
            (9,),
            "hidden_layer_sizes, activation, dropout, loss: the network that is trained further",
        ),
        ("solver", "sgd", "solver: 'sgd' is not allowed to go on from a training with Adam"),
        (
            "learning_rate",
            "cosine",
            "learning_rate: 'cosine' is not allowed to go on from a training with ConstantRate",
        ),
        ("loss", "huber", "loss: 'huber' is not allowed to go on from a training with SquaredError"),
    ):
        with pytest.raises(ValueError, match=says):
            again(model).set_params(warm_start=True).fit(X, NUMBER).set_params(**{name: other}).fit(X, NUMBER)


def test_the_seed_is_that_of_core() -> None:
    model = MLPRegressor(**SMALL, alpha=0.0, dtype="float32").fit(X, NUMBER)
    net = Network(4, model.network_.layers, seed=3)
    fit(net, X, NUMBER, loss="squared_error", epochs=12, batch_size=16)
    np.testing.assert_array_equal(net.parameters, model.network_.parameters)
    drawn = [MLPRegressor(max_iter=1).fit(X, NUMBER) for _ in range(2)]
    assert not np.array_equal(drawn[0].coefs_[0], drawn[1].coefs_[0])


@pytest.mark.parametrize(("kind", "y"), CASES, ids=IDS)
def test_a_weight_of_2_is_the_row_twice_and_of_0_its_absence(kind: type[Model], y: np.ndarray) -> None:
    times = RNG.integers(0, 3, len(X))
    model = kind(**small(batch_size=1000, max_iter=30), alpha=0.3)  # all samples in a step, in any order
    weighted = again(model).fit(X, y, times)
    repeated = again(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times, axis=0))
    # 30 steps with sums of 60 terms make 2000 roundings of 10⁻¹⁶; a hundred more for Adam, which divides by small √v.
    np.testing.assert_allclose(proba(weighted), proba(repeated), rtol=2e-11, atol=2e-11)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=2e-11)


@pytest.mark.parametrize("y", [TWO, THREE], ids=IDS[:2])
def test_class_weights_are_sample_weights(y: np.ndarray) -> None:
    model = MLPClassifier(**SMALL)
    of_class = dict(zip(np.unique(y).tolist(), [0.5, 3.0, 1.0], strict=False))
    own = RNG.uniform(0.5, 2, len(y))
    by_class = again(model, class_weight=of_class).fit(X, y, own)
    assert_same(by_class, again(model).fit(X, y, own * [of_class[label] for label in y.tolist()]))
    balanced = again(model, class_weight="balanced").fit(X, y)
    by_sample = again(model).fit(X, y, compute_sample_weight("balanced", y))
    # 48 steps with sums of 16 terms, as above.
    np.testing.assert_allclose(balanced.predict_proba(X), by_sample.predict_proba(X), rtol=1e-11, atol=1e-11)
    without = again(model, class_weight={y[0]: 0.0}).fit(X, y)
    assert_same(without, again(model).fit(X, y, (y != y[0]).astype(float)))


@pytest.mark.parametrize(("kind", "y"), CASES, ids=IDS)
def test_early_stopping_keeps_the_best_weights(kind: type[Model], y: np.ndarray) -> None:
    noise = RNG.permutation(y)  # it is learned by heart, and the samples held out are soon predicted worse
    weights = RNG.uniform(0.5, 2, len(X))
    options: dict[str, Any] = {"learning_rate_init": 0.02, "early_stopping": True, "validation_fraction": 0.3}
    model = kind(**small(**options, max_iter=500, n_iter_no_change=6)).fit(X, noise, weights)
    scores = model.validation_scores_
    assert scores is not None
    assert model.validation_loss_curve_ is not None
    best = int(np.argmax(scores))
    assert best + 7 <= model.n_iter_ == len(scores) == len(model.validation_loss_curve_) < 500
    assert (model.best_validation_score_, model.best_loss_) == (scores[best], None)
    until_then = kind(**small(**options, max_iter=best + 1, n_iter_no_change=np.inf)).fit(X, noise, weights)
    assert_same(model, until_then)
    stratify = noise if kind is MLPClassifier and noise.ndim == 1 else None
    held_out = split(len(X), 0.3, 3, stratify)[1]
    # Once through the estimator's own score, once through its network, on the rows that core.split holds out.
    assert model.score(X[held_out], noise[held_out], weights[held_out]) == pytest.approx(scores[best], rel=1e-12)


def test_an_early_stop_and_a_later_warm_start_go_on_from_the_best() -> None:
    model = MLPRegressor(**small(max_iter=3), early_stopping=True, validation_fraction=0.3, warm_start=True)
    model.fit(X, NUMBER)
    before = [coef.copy() for coef in model.coefs_]
    model.set_params(early_stopping=False, max_iter=1, learning_rate_init=1e-12).fit(X, NUMBER)
    for now, then in zip(model.coefs_, before, strict=True):
        np.testing.assert_allclose(now, then, atol=1e-10)


def test_probabilities_have_the_order_of_the_classes() -> None:
    two, three, many = (
        MLPClassifier(**small(max_iter=150, learning_rate_init=0.01)).fit(X, y) for y in (TWO, THREE, MANY)
    )
    assert two.predict_proba(X).shape == (60, 2)
    np.testing.assert_array_equal(two.classes_[two.predict_proba(X).argmax(axis=1)], two.predict(X))
    assert three.classes_.tolist() == ["high", "low", "mid"]
    np.testing.assert_allclose(three.predict_proba(X).sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_array_equal(three.classes_[three.predict_proba(X).argmax(axis=1)], three.predict(X))
    assert many.predict_proba(X).shape == many.predict(X).shape == (60, 3)
    np.testing.assert_array_equal(many.predict_proba(X) > 0.5, many.predict(X))
    assert many.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(np.exp(two.predict_log_proba(X)), np.exp(np.log(two.predict_proba(X))))
    two.coefs_[0][...], two.coefs_[1][...] = 1e6, 1  # views: the network is far too sure of itself now
    assert two.predict_log_proba(X)[:, 0].min() == -np.inf
    for model, y in ((two, TWO), (three, THREE), (many, MANY)):
        assert again(model).fit(X, y).score(X, y) > 0.9


def test_a_sparse_multilabel_matrix_is_the_same_as_a_dense_one() -> None:
    assert_same(MLPClassifier(**SMALL).fit(X, csr_array(MANY)), MLPClassifier(**SMALL).fit(X, MANY))


def test_x_says_the_dtype_and_the_names_of_the_features() -> None:
    single = MLPRegressor(**SMALL).fit(X.astype(np.float32), NUMBER)
    assert single.coefs_[0].dtype == single.predict(X).dtype == np.float32
    assert MLPRegressor(**SMALL, dtype="float64").fit(X.astype(np.float32), NUMBER).coefs_[0].dtype == np.float64
    frame = pl.DataFrame(X, schema=["a", "b", "c", "d"])
    named = MLPRegressor(**SMALL).fit(frame, NUMBER)
    assert named.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert named.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(frame.rename({"a": "z"}))


def test_grid_search_clone_and_pickle() -> None:
    model = MLPClassifier(**SMALL, solver=Sgd(0.1, momentum=0.9))
    grid = {"alpha": [1e-4, 1.0], "solver": [Sgd(0.1), "adam"]}
    search = GridSearchCV(model, grid, cv=2).fit(X, THREE)
    assert set(search.best_params_) == {"alpha", "solver"}
    fitted = search.best_estimator_
    pickled = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(pickled.predict_proba(X), fitted.predict_proba(X))
    assert pickled.get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "network_")


def test_it_warns_where_it_has_not_converged_and_says_so_where_it_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter: 2 epochs are over"):
        MLPRegressor(**small(max_iter=2), verbose=True).fit(X, NUMBER)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 1", "epoch 2"]


def test_the_best_loss_is_the_least_number_but_never_nan() -> None:
    model = MLPRegressor(**SMALL).fit(X, NUMBER)
    assert (model.best_loss_, model.best_validation_score_) == (min(model.loss_curve_), None)
    model.loss_curve_ = [3.0, np.nan, 1.0, 2.0]
    assert model.best_loss_ == 1.0
