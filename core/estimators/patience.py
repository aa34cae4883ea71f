"""When scikit-learn's perceptrons stop: a number that hasn't become better by `tol` for a while."""

from __future__ import annotations


class Patience:
    """Counts the epochs in a row whose value isn't better than the best before it by at least `tol`.

    The best is the best of all values, so that gains below `tol`, be they many, don't count. That is scikit-learn's
    rule; `core.EarlyStopping` adds such gains up. NaN is never better.

    Args:
        epochs: how many such epochs are borne; one more is the end.
        tol: at least 0.
        higher_is_better: for a score, not for a loss.

    Attributes:
        waited: such epochs so far.

    >>> patience = Patience(1, 0.5, higher_is_better=False)
    >>> [(patience.is_best(value), patience.is_over) for value in (3.0, 2.75, 2.25, 2.0)]
    [(True, False), (True, False), (True, False), (True, False)]
    >>> patience.is_best(2.0), patience.is_over
    (False, True)
    """

    def __init__(self, epochs: float, tol: float, *, higher_is_better: bool) -> None:
        self._epochs, self._tol, self._sign = epochs, tol, 1.0 if higher_is_better else -1.0
        self._best, self.waited = -float("inf"), 0

    def is_best(self, value: float) -> bool:
        """Take note of an epoch's value; return whether it is better than all before it."""
        value *= self._sign
        self.waited = 0 if value >= self._best + self._tol else self.waited + 1
        best = value > self._best
        if best:
            self._best = value
        return best

    @property
    def is_over(self) -> bool:
        """Whether it's time to stop."""
        return self.waited > self._epochs
