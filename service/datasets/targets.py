"""How the column to predict becomes the outputs of a network, and how outputs become predictions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from service.datasets.arrays import floats, index_of
from service.datasets.scaling import standard
from service.datasets.schemas import Column
from service.datasets.summary import MOST_CLASSES, labels


class LabelTarget(BaseModel):
    """Labels to tell apart, as text: "Adelie", "7", "true". Two take one output, the probability of the second.

    With `margin` that output is a margin, as the hinge loss gives: its sign is the label, and there is no probability.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Literal["label"] = "label"
    classes: list[str]
    margin: bool = False

    @property
    def columns(self) -> list[str]:
        """Names of the columns of predictions: the target's, and `probability_…` of each class, in this order.

        A target that has the name of one of the others gets an underscore behind it.

        >>> LabelTarget(name="probability_a", classes=["a", "b"]).columns
        ['probability_a_', 'probability_a', 'probability_b']
        """
        shares = [f"probability_{label}" for label in self.classes]
        name = self.name
        while name in shares:
            name += "_"
        return [name, *shares]

    def outputs_of(self, column: pl.Series) -> np.ndarray:
        """Return the index of each label: (n_samples,) int64, or for two classes (n_samples, 1) float64."""
        index = index_of(labels(column), self.classes)
        if (index < 0).any():
            row = int(np.argmax(index < 0))
            raise ValueError(f"target {self.name!r} is {column[row]!r} in row {row}; expected one of {self.classes}")
        return index.astype(np.float64)[:, np.newaxis] if len(self.classes) == 2 else index

    def decode(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the most probable label and all probabilities, for each row of `outputs`."""
        outputs = outputs.astype(np.float64)
        if self.margin:
            return [self._sign(margin) for margin in outputs[:, 0].tolist()]
        if outputs.shape[1] == 1:
            outputs = np.concatenate((1 - outputs, outputs), axis=1)
        return [self._prediction(row) for row in outputs.tolist()]

    def table_of(self, outputs: np.ndarray) -> pl.DataFrame:
        """Return the same as a table, with the columns `columns`."""
        outputs = outputs.astype(np.float64)
        known = np.where(np.isfinite(outputs).all(axis=1, keepdims=True), 1.0, np.nan)
        if self.margin:
            shares, index = np.full((len(outputs), len(self.classes)), np.nan), outputs[:, 0] > 0
        else:
            shares = np.concatenate((1 - outputs, outputs), axis=1) if outputs.shape[1] == 1 else outputs
            index = np.argmax(shares, axis=1)
            shares = shares * known
        places = pl.Series(index * known[:, 0], nan_to_null=True).cast(pl.Int64)
        first, *others = self.columns
        label = pl.Series(first, self.classes, pl.String).gather(places)
        each = zip(others, shares.T, strict=True)
        return pl.DataFrame([label, *(pl.Series(name, share, nan_to_null=True) for name, share in each)])

    def _prediction(self, probabilities: list[float]) -> dict[str, Any]:
        if not np.isfinite(probabilities).all():
            return {"label": None, "probabilities": dict.fromkeys(self.classes)}
        by_class = dict(zip(self.classes, probabilities, strict=True))
        return {"label": max(by_class, key=by_class.__getitem__), "probabilities": by_class}

    def _sign(self, margin: float) -> dict[str, Any]:
        label = self.classes[int(margin > 0)] if np.isfinite(margin) else None
        return {"label": label, "probabilities": dict.fromkeys(self.classes)}


class NumberTarget(BaseModel):
    """Numbers to predict, standardised by their mean and deviation (divisor n) in the training rows.

    Numbers for a loss on positive ones stay positive: they are divided by their mean, so that `mean` is 0 here and
    `standard_deviation` is what they are divided by.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Literal["number"] = "number"
    mean: float
    standard_deviation: float

    @property
    def columns(self) -> list[str]:
        """Name of the one column of predictions."""
        return [self.name]

    def outputs_of(self, column: pl.Series) -> np.ndarray:
        """Return the standardised numbers, (n_samples, 1) float64."""
        if column.null_count():
            row = int(column.is_null().arg_true()[0])
            raise ValueError(f"target {self.name!r} is missing in row {row}; expected a number")
        return (floats(column)[:, np.newaxis] - self.mean) / self.standard_deviation

    def decode(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the number predicted, for each row of `outputs`."""
        numbers = self._numbers(outputs)
        return [{"value": number if np.isfinite(number) else None} for number in numbers.tolist()]

    def table_of(self, outputs: np.ndarray) -> pl.DataFrame:
        """Return the same as a table, with the column `columns`."""
        numbers = self._numbers(outputs)
        [name] = self.columns
        return pl.DataFrame([pl.Series(name, np.where(np.isfinite(numbers), numbers, np.nan), nan_to_null=True)])

    def _numbers(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[:, 0].astype(np.float64) * self.standard_deviation + self.mean


def label_target(column: Column, *, margin: bool = False) -> LabelTarget:
    """Return the target with all classes of the data set: they set the number of outputs before rows are drawn."""
    if column.classes is None or len(column.classes) < 2:
        allowed = f"from 2 to {MOST_CLASSES} different texts, booleans or whole numbers"
        raise ValueError(f"target {column.name!r} has no classes to tell apart; expected {allowed}")
    return LabelTarget(name=column.name, classes=list(column.classes), margin=margin)


def fit_number_target(column: Column, training: pl.Series, *, positive: bool = False) -> NumberTarget:
    """Learn the target's mean and deviation, or for a `positive` one its mean alone, from the training rows."""
    if column.kind != "numeric" or training.null_count() == len(training):
        raise ValueError(f"target {column.name!r} has no numbers to learn from; expected a numeric column")
    mean, deviation = standard(floats(training.drop_nulls()))
    if positive:
        mean, deviation = 0.0, mean or 1.0
    return NumberTarget(name=column.name, mean=mean, standard_deviation=deviation)
