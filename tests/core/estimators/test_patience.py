"""When training stops: by scikit-learn's rule, but NaN is never better."""

from __future__ import annotations

import pytest

from core.estimators.patience import Patience

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "options", "stops", "best"),
    [
        ([5, 4, 6, 6, 6, 1], {}, 5, 2),
        ([5, 4, 6, 6, 4, 6, 6, 6], {}, 8, 2),  # as good as the best by tol=0, so it counts
        ([5, 4.75, 4.5, 4.25, 4], {"tol": 0.5}, 4, 4),  # gains below tol don't count, but the best follows them
        ([5, 4.5, 4.25, 3.75, 3.5], {"tol": 0.5}, None, 5),
        ([5, NAN, NAN, NAN, 1], {}, 4, 1),
        ([NAN, NAN, NAN], {}, 3, None),
        ([0.5, 0.7, 0.6, 0.65, 0.5], {"higher_is_better": True}, 5, 2),
        ([5, 6, 6, 6, 6, 6], {"epochs": float("inf")}, None, 1),
    ],
)
def test_it_stops_after_more_than_its_epochs_without_a_better_value(
    values: list[float], options: dict[str, float], stops: int | None, best: int | None
) -> None:
    rule = {"epochs": 2, "tol": 0.0, "higher_is_better": False} | options
    patience, found = Patience(rule["epochs"], rule["tol"], higher_is_better=bool(rule["higher_is_better"])), None
    for epoch, value in enumerate(values, start=1):
        found = epoch if patience.is_best(value) else found
        assert patience.is_over == (epoch == stops)
        if patience.is_over:
            break
    assert found == best
