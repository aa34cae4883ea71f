"""The regressor: one number for each sample, or several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags, column_or_1d

from core.estimators.perceptron import MultilayerPerceptron
from core.losses import LOSSES, Loss
from core.named import by_name


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """A fully connected network for numbers, with scikit-learn's interface.

    What `MLPClassifier` says of parameters and attributes holds here too. For several outputs the loss is the sum over
    them, as the gradient is in scikit-learn, whose `loss_` is the mean.

    Args:
        loss: "squared_error", ½(a − y)², or another of `core.LOSSES` that isn't for classes, by name or as an object.
            poisson, gamma and tweedie have exp at the last layer, the others have none.
        hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, max_iter, shuffle,
            random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction,
            beta_1, beta_2, epsilon, n_iter_no_change, dropout, backend, dtype: as in `MLPClassifier`. Early stopping
            goes by R² on the samples held out.

    >>> x = np.linspace(-1, 1, 200)[:, None]
    >>> y = np.sin(3 * x[:, 0])
    >>> model = MLPRegressor((32,), activation="tanh", solver="lbfgs", max_iter=500, random_state=0)
    >>> model.fit(x, y).score(x, y) > 0.99, model.predict(x[:2]).shape
    (True, (2,))
    """

    loss: str | Loss = "squared_error"

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch more, with the weights, the solver's memory and the random stream of where it ended.

        The arguments are those of `fit`; other samples may come at each call.

        Raises:
            ValueError: as `fit` does.
        """
        return self._fit_one_epoch(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the network's outputs for X, `(n_samples,)`, or `(n_samples, n_outputs_)` for several."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs

    def __sklearn_tags__(self) -> Tags:
        """Say what the regressor can do."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @property
    def _stratify(self) -> bool:
        return False

    def _loss(self) -> Loss:
        known = {name: loss for name, loss in LOSSES.items() if not loss.tells_classes}
        rule = by_name("loss", self.loss, known, Loss)
        if rule.tells_classes:
            raise ValueError(f"loss: {rule.name} is not allowed, as it tells classes; allowed are {', '.join(known)}")
        return rule

    def _learn(self, y: Any, classes: Any) -> None:
        self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]

    def _targets(self, y: Any) -> np.ndarray:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        columns = y.reshape(len(y), -1)
        if columns.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y: {columns.shape[1]} outputs are not allowed, as there were {self.n_outputs_} in the first call"
            )
        return columns

    def _score(self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> float:
        """Return R², the mean over the outputs."""
        return float(r2_score(y, outputs, sample_weight=weights)) if np.isfinite(outputs).all() else float("nan")
