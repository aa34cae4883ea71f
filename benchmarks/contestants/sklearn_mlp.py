"""scikit-learn: `MLPClassifier` or `MLPRegressor`, one `partial_fit` an epoch, networks of a fleet one by one."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.problem import Layers, Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import Shape

LIBRARIES = ("scikit-learn", "scipy")


def why_not(shape: Shape) -> str | None:
    """Return a reason for what scikit-learn hasn't got."""
    if shape.dropout:
        return "has no dropout"
    return f"has no {shape.activation}" if shape.activation == "gelu" else None


def prepare(problem: Problem) -> Training:
    """Return a training that hands `partial_fit` the samples in the epoch's order and lets it cut the batches."""
    shape = problem.shape
    y = problem.y.ravel() if problem.is_regression and problem.y.shape[1] == 1 else problem.y
    classes = {} if problem.is_regression else {"classes": np.arange(shape.widths[-1])}
    kind: Any = MLPRegressor if problem.is_regression else MLPClassifier  # its types allow batch_size "auto" only

    def start(initial: Layers, learning_rate: float) -> Any:
        model = kind(
            hidden_layer_sizes=shape.widths[1:-1],
            activation=shape.activation,
            alpha=0.0,
            batch_size=shape.batch,
            learning_rate_init=learning_rate,
            shuffle=False,
        )
        model.partial_fit(problem.x[: shape.batch], y[: shape.batch], **classes)  # allocates; a step from other weights
        for own, own_bias, (theta, b) in zip(model.coefs_, model.intercepts_, initial, strict=True):
            own[...], own_bias[...] = theta.T, b
        model.loss_curve_.clear()
        del model._optimizer  # made anew by the next partial_fit
        return model

    def train(epochs: int) -> Run:
        many = shape.networks > 1
        alone = [
            [(theta[k], b[k]) if many else (theta, b) for theta, b in problem.initial] for k in range(shape.networks)
        ]
        models = [start(initial, float(rate)) for initial, rate in zip(alone, problem.learning_rates, strict=True)]
        run = Run()
        for epoch in range(1, epochs + 1):
            orders = np.atleast_2d(problem.order(epoch))
            for model, order in zip(models, orders, strict=True):
                model.partial_fit(problem.x[order], y[order])
            run.end_epoch()
        layers = [list(zip(model.coefs_, model.intercepts_, strict=True)) for model in models]
        run.layers = [
            (np.stack([layer[0].T for layer in each]), np.stack([layer[1] for layer in each]))
            for each in zip(*layers, strict=True)
        ]
        return run

    return train
