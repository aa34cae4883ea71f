"""What is known of a trained perceptron, under scikit-learn's names."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from core.network import Network

THEIR_NAME = {"sigmoid": "logistic"}
"""The activation that has another name in scikit-learn."""

FLOATS = (np.float64, np.float32)
"""What X may be; anything else is converted to the first."""


class Trained:
    """The attributes that training leaves behind, and those that follow from them."""

    network_: Network
    n_features_in_: int
    feature_names_in_: np.ndarray
    n_layers_: int
    n_outputs_: int
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights of each layer, `(n_in, n_out)`: on the CPU views, so that writing to them changes the network."""
        return [self._on_host(weight).T for weight in self.network_.weights]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of each layer, `(n_out,)`, likewise."""
        return [self._on_host(bias)[0] for bias in self.network_.biases if bias is not None]

    @property
    def best_loss_(self) -> float | None:
        """The least of `loss_curve_`; None with early stopping, which goes by the score."""
        losses = self.loss_curve_
        return None if self.validation_scores_ else min(losses, key=lambda loss: (np.isnan(loss), loss))

    @property
    def out_activation_(self) -> str:
        """Name of the last layer's activation, as scikit-learn has it."""
        name = str(self.network_.output_activation)
        return THEIR_NAME.get(name, name)

    def _outputs(self, X: Any) -> np.ndarray:
        """Return a of the last layer for X, `(n_samples, n_outputs_)`."""
        check_is_fitted(self, "network_")
        return self.network_.predict(validate_data(self, X, dtype=FLOATS, reset=False))

    def _on_host(self, array: Any) -> np.ndarray:
        return array if isinstance(array, np.ndarray) else self.network_.backend.to_host(array)
