"""Parameters: which losses, solvers and schedules there are, and what is refused, by its name."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from core import LOSSES, OPTIMIZERS, SCHEDULES, Adam, BinaryFocal, Huber, Sgd, SoftmaxFocal
from core.estimators import MLPClassifier, MLPRegressor
from core.estimators.solver import optimizer_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(2)
X = RNG.standard_normal((30, 3))
TWO = (X[:, 0] > 0).astype(int)
THREE = np.digitize(X[:, 0], [-0.5, 0.5])
MANY = (X[:, :2] > 0).astype(int)
NUMBER = np.abs(X[:, 0]) + 0.1
QUICK: dict[str, Any] = {"hidden_layer_sizes": 6, "random_state": 0, "max_iter": 60}


@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if not loss.tells_classes])
def test_every_loss_for_numbers(loss: str) -> None:
    model = MLPRegressor(**QUICK, loss=loss).fit(X, NUMBER)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    expected = LOSSES[loss].output_activation or "identity"
    assert model.out_activation_ == expected
    assert (model.predict(X) > 0).all() or expected != "exp"


@pytest.mark.parametrize(
    ("loss", "y", "last"),
    [
        *(("log_loss", TWO, "logistic"), ("log_loss", THREE, "softmax"), ("log_loss", MANY, "logistic")),
        *((BinaryFocal(1.0), TWO, "logistic"), ("softmax_focal", THREE, "softmax"), ("binary_focal", MANY, "logistic")),
    ],
)
def test_every_loss_for_classes(loss: Any, y: np.ndarray, last: str) -> None:
    model = MLPClassifier(**QUICK, loss=loss).fit(X, y)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.out_activation_ == last
    other = MLPClassifier(**QUICK, loss="log_loss").fit(X, y)
    assert np.array_equal(model.coefs_[0], other.coefs_[0]) == (loss == "log_loss")


@pytest.mark.parametrize("solver", OPTIMIZERS)
def test_every_solver_by_name_takes_its_numbers(solver: str) -> None:
    model = MLPRegressor(**QUICK, solver=solver, learning_rate_init=0.02).fit(X, NUMBER)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    numbers = {"momentum": 0.25, "nesterovs_momentum": False, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.125}
    made = optimizer_of(model.set_params(**numbers))
    assert type(made) is OPTIMIZERS[solver]
    if solver == "sgd":
        assert made == Sgd(0.02, momentum=0.25)
    elif isinstance(made, Adam):
        assert (made.learning_rate, made.beta1, made.beta2, made.epsilon) == (0.02, 0.5, 0.75, 0.125)
    else:
        assert made == (OPTIMIZERS[solver]() if made.full_batch else OPTIMIZERS[solver](0.02))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_changes_what_is_learned(schedule: str) -> None:
    constant, other = (MLPRegressor(**QUICK, learning_rate=name).fit(X, NUMBER) for name in ("constant", schedule))
    same = np.array_equal(constant.coefs_[0], other.coefs_[0])
    assert same == (schedule in {"constant", "reduce_on_plateau"})  # the loss falls all the time


def test_a_solver_that_takes_all_samples_has_one_batch() -> None:
    model = MLPRegressor(**QUICK, solver="lbfgs", batch_size=5).fit(X, NUMBER)
    with pytest.raises(ValueError, match="solver: 'lbfgs' is not allowed in partial_fit"):
        model.partial_fit(X, NUMBER)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes: 0 is not allowed; it must be an integer ≥ 1"),
        ({"activation": "relux"}, "activation: there is no 'relux'"),
        ({"solver": "adamm"}, "solver: there is no 'adamm'; allowed are sgd"),
        ({"solver": Adam(), "beta_1": 0.5}, "beta_1: 0.5 is not allowed beside a solver that is an object"),
        ({"solver": Sgd(), "learning_rate_init": 0.1}, "learning_rate_init: 0.1 is not allowed beside a solver"),
        ({"alpha": -1.0}, "alpha: -1.0 is not allowed; it must be ≥ 0 and finite"),
        ({"batch_size": 0}, "batch_size: 0 is not allowed"),
        ({"batch_size": "all"}, "batch_size: 'all' is not allowed"),
        ({"learning_rate": "adaptive"}, "learning_rate: 'adaptive' is not here; take 'reduce_on_plateau'"),
        ({"learning_rate": "slow"}, "learning_rate: there is no 'slow'; allowed are constant"),
        ({"learning_rate_init": 0.0}, "learning_rate_init: 0.0 is not allowed; it must be > 0"),
        ({"max_iter": 0}, "max_iter: 0 is not allowed"),
        ({"random_state": -1}, "random_state: -1 is not allowed"),
        ({"tol": -1e-3}, "tol: -0.001 is not allowed"),
        ({"solver": "sgd", "momentum": 1.0}, "momentum: 1.0 is not allowed"),
        ({"beta_2": 1.0}, "beta_2: 1.0 is not allowed"),
        ({"epsilon": 0.0}, "epsilon: 0.0 is not allowed"),
        ({"n_iter_no_change": 0}, "n_iter_no_change: 0 is not allowed"),
        ({"early_stopping": True, "validation_fraction": 0.03}, "validation_fraction: 0.03 of 30 samples"),
        ({"early_stopping": True, "validation_fraction": 1.0}, "validation_fraction: 1.0 of 30 samples"),
        ({"dropout": 1.0}, "dropout: 1.0 is not allowed"),
        ({"backend": "torch"}, "backend: there is no 'torch'"),
        ({"dtype": "float16"}, "dtype: 'float16' is not allowed"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_by_name(parameters: dict[str, Any], says: str) -> None:
    for kind, y in ((MLPClassifier, TWO), (MLPRegressor, NUMBER)):
        with pytest.raises(ValueError, match=says):
            kind(**{**QUICK, **parameters}).fit(X, y)


@pytest.mark.parametrize(
    ("model", "y", "says"),
    [
        (MLPRegressor(loss="hinge"), NUMBER, "loss: there is no 'hinge'; allowed are squared_error"),
        (MLPRegressor(loss=BinaryFocal()), NUMBER, "loss: binary_focal is not allowed, as it tells classes"),
        (MLPRegressor(loss="poisson"), -NUMBER, "y: poisson takes"),
        (MLPClassifier(loss="squared_error"), TWO, "loss: there is no 'squared_error'; allowed are"),
        (MLPClassifier(loss=Huber()), TWO, "loss: huber is not allowed for these targets, for which the last layer"),
        (MLPClassifier(loss=SoftmaxFocal()), TWO, "loss: softmax_focal is not allowed for these targets"),
        (MLPClassifier(), np.zeros(30, int), r"y: \[0\] is one class only; a classifier needs two classes"),
        (MLPClassifier(), np.hstack([MANY, MANY + 1]), "y: several columns of classes are not allowed"),
        (MLPClassifier(), 2 * MANY, "y: binary_cross_entropy takes finite numbers from 0 to 1"),
        (MLPClassifier(class_weight={5: 1.0}), TWO, r"class_weight: 5 is not a class; the classes are \[0, 1\]"),
        (MLPClassifier(class_weight={1: -1.0}), TWO, "class_weight of 1: -1.0 is not allowed"),
        (MLPClassifier(class_weight={0: 0, 1: 0}), TWO, "class_weight: every sample's weight is zero"),
        (MLPClassifier(class_weight=cast(Any, "equal")), TWO, "class_weight: 'equal' is not allowed"),
        (MLPClassifier(class_weight="balanced"), MANY, "class_weight: it is not allowed for multilabel"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_targets_that_do_not_fit_are_refused(model: MLPClassifier | MLPRegressor, y: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        model.fit(X, y)


def test_a_fit_that_fails_leaves_nothing_that_seems_fitted() -> None:
    model = MLPRegressor(**QUICK).fit(X, NUMBER)
    with pytest.raises(ValueError, match="alpha"):
        model.set_params(alpha=-1.0).fit(X, NUMBER)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_partial_fit_refuses_what_it_cannot_do() -> None:
    model = MLPClassifier(**QUICK)
    with pytest.raises(ValueError, match="classes: they are needed at the first call"):
        model.partial_fit(X, TWO)
    model.partial_fit(X, TWO, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y: the class 2 is not allowed; classes_ is \[0, 1\]"):
        model.partial_fit(X, THREE)
    with pytest.raises(ValueError, match=r"classes: \[0, 1, 2\] are not those of the first call"):
        model.partial_fit(X, TWO, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="y: multilabel-indicator targets"):
        model.partial_fit(X, MANY)
    with pytest.raises(ValueError, match="y: 2 outputs are not allowed, as there were 1 in the first call"):
        MLPRegressor(**QUICK).partial_fit(X, NUMBER).partial_fit(X, X[:, :2])
    with pytest.raises(ValueError, match="early_stopping: True is not allowed in partial_fit"):
        MLPRegressor(**QUICK, early_stopping=True).partial_fit(X, NUMBER)
    with pytest.raises(ValueError, match="class_weight: 'balanced' is not allowed in partial_fit"):
        MLPClassifier(**QUICK, class_weight="balanced").partial_fit(X, TWO, classes=[0, 1])


def test_a_class_may_come_later() -> None:
    model = MLPClassifier(**QUICK).partial_fit(X[THREE < 2], THREE[THREE < 2], classes=[0, 1, 2])
    assert model.partial_fit(X, THREE).predict_proba(X).shape == (30, 3)


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_scikit_learn_is_imported_by_the_estimators_alone() -> None:
    assert python("import sys, core; print([name for name in sys.modules if name.startswith('sklearn')])") == "[]\n"
    without = (
        "import sys; sys.modules['sklearn'] = None\ntry: import core.estimators\nexcept ImportError as e: print(e)"
    )
    assert "pip install 'deltabar[sklearn]'" in python(without)
