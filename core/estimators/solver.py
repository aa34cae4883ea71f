"""From scikit-learn's parameters to an optimizer and a schedule of ours."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from core.named import by_name
from core.optimizers import OPTIMIZERS, Adam, Optimizer, Sgd
from core.optimizers.optimizer import require
from core.schedules import SCHEDULES, Schedule

if TYPE_CHECKING:
    from core.estimators.perceptron import MultilayerPerceptron

NUMBERS = ("learning_rate_init", "momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon")
"""The parameters that describe a solver given by name."""

INSTEAD = {"invscaling": "'polynomial' or 'exponential'", "adaptive": "'reduce_on_plateau'"}
"""What comes closest to those of scikit-learn's schedules that are not here."""


def optimizer_of(estimator: MultilayerPerceptron) -> Optimizer:
    """Return the optimizer that `solver` is, or names; one by name has those of the estimator's numbers that it takes.

    Raises:
        ValueError: for an unknown name, a number that isn't allowed, or one that is given beside an `Optimizer`.
    """
    solver = estimator.solver
    if isinstance(solver, Optimizer):
        _refuse_numbers(estimator)
        return solver
    if not isinstance(solver, str) or solver not in OPTIMIZERS:
        raise ValueError(
            f"solver: there is no {solver!r}; allowed are {', '.join(OPTIMIZERS)}, or an object of the class Optimizer"
        )
    kind = OPTIMIZERS[solver]
    if kind is Sgd:
        rate, momentum = _rate(estimator), number("momentum", estimator.momentum, 0, 1, low_allowed=True)
        return Sgd(rate, momentum, nesterov=bool(estimator.nesterovs_momentum) and momentum > 0)
    if issubclass(kind, Adam):
        beta_1, beta_2 = (number(name, getattr(estimator, name), 0, 1, low_allowed=True) for name in NUMBERS[3:5])
        return kind(_rate(estimator), beta_1, beta_2, number("epsilon", estimator.epsilon, 0))
    return kind() if kind.full_batch else kind(_rate(estimator))


def schedule_of(estimator: MultilayerPerceptron) -> Schedule:
    """Return the schedule that `learning_rate` is, or names.

    Raises:
        ValueError: where there is no such schedule.
    """
    if estimator.learning_rate in INSTEAD:
        raise ValueError(
            f"learning_rate: {estimator.learning_rate!r} is not here; take {INSTEAD[str(estimator.learning_rate)]}"
        )
    known = {name: make() for name, make in SCHEDULES.items()}
    return by_name("learning_rate", estimator.learning_rate, known, Schedule)


def number(name: str, value: object, low: float, high: float = np.inf, *, low_allowed: bool = False) -> float:
    """Return `value`, also one of NumPy's, as a float between `low` and `high`.

    >>> number("alpha", np.float32(-0.5), 0, low_allowed=True)
    Traceback (most recent call last):
    ...
    ValueError: alpha: -0.5 is not allowed; it must be ≥ 0 and finite
    """
    plain = value.item() if isinstance(value, np.number) else value
    require(name, plain, low, high, low_allowed=low_allowed)  # type: ignore[arg-type] -- which refuses the rest
    return float(plain)  # type: ignore[arg-type]


def _rate(estimator: MultilayerPerceptron) -> float:
    return number("learning_rate_init", estimator.learning_rate_init, 0)


def _refuse_numbers(estimator: MultilayerPerceptron) -> None:
    for field in fields(estimator):
        value = getattr(estimator, field.name)
        if field.name in NUMBERS and value != field.default:
            raise ValueError(
                f"{field.name}: {value!r} is not allowed beside a solver that is an object, which has its own numbers; "
                "leave it out, or give the solver by name"
            )
