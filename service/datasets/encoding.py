"""How a table becomes a network's numbers and back: learned on the training rows only, kept with the model as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from service.datasets.arrays import rows_of
from service.datasets.choices import EncodingChoices
from service.datasets.features import Feature, fit_feature
from service.datasets.schemas import Column
from service.datasets.targets import LabelTarget, NumberTarget, fit_number_target, label_target


class Encoding(BaseModel):
    """All that must be known to give raw rows to a network and to read its answer."""

    model_config = ConfigDict(extra="forbid")

    features: list[Annotated[Feature, Field(discriminator="kind")]]
    target: Annotated[LabelTarget | NumberTarget, Field(discriminator="kind")]

    @property
    def n_inputs(self) -> int:
        """Inputs of the network."""
        return sum(feature.n_inputs for feature in self.features)

    @property
    def input_names(self) -> list[str]:
        """What each input of the network is, in words."""
        return [name for feature in self.features for name in feature.input_names]

    def features_of(self, table: pl.DataFrame) -> np.ndarray:
        """Return the network's inputs for the rows of `table`, (n_samples, n_inputs) float64, all finite."""
        inputs = np.empty((table.height, self.n_inputs))
        start = 0
        for feature in self.features:
            inputs[:, start : start + feature.n_inputs] = feature.inputs_of(table[feature.name])
            start += feature.n_inputs
        return inputs

    def target_of(self, table: pl.DataFrame) -> np.ndarray:
        """Return what the network is to answer for the rows of `table`.

        Returns:
            Labels: their index in `classes`, (n_samples,) int64; with two classes (n_samples, 1) float64 of 0 and 1.
            Numbers: (n_samples, 1) float64, standardised.

        Raises:
            ValueError: a target is missing, or is a label that the data set didn't have.
        """
        return self.target.outputs_of(table[self.target.name])

    def decode(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """Return the predictions that the network's `outputs`, (n_samples, n_outputs), stand for.

        Returns:
            For each row `{"label": …, "probabilities": {label: …}}`, or `{"value": …}` in the target's own unit; null
            where the network's answer isn't a finite number. Labels are text: "7", "true".
        """
        return self.target.decode(outputs)


def fit_encoding(
    table: pl.DataFrame,
    columns: Sequence[Column],
    target: str,
    task: Literal["classification", "regression"],
    train_rows: np.ndarray,
    choices: EncodingChoices | None = None,
    *,
    margin: bool = False,
    positive: bool = False,
) -> Encoding:
    """Learn the encoding of `table` from its training rows; a column without any value in them is left out.

    Nothing of the other rows is looked at. The kinds of the columns and the classes of the target come from `columns`.

    Args:
        table: from `read_table`.
        columns: from `summarize`.
        target: name of the column to predict.
        task: "classification" or "regression".
        train_rows: indices of the training rows in ascending order, (n_train,) int.
        choices: how features are encoded; the defaults where not given.
        margin: whether the network answers two classes with a margin rather than a probability.
        positive: whether the network's numbers are positive, so that the target is divided by its mean only.

    Raises:
        ValueError: `target` is no column, or doesn't fit the task.
    """
    by_name = {column.name: column for column in columns}
    if target not in by_name:
        raise ValueError(f"target {target!r} is no column; expected one of {list(by_name)}")
    training = rows_of(table, train_rows)
    return Encoding(
        features=[
            fit_feature(column, training[name], choices)
            for name, column in by_name.items()
            if name != target and training[name].null_count() < training.height
        ],
        target=label_target(by_name[target], margin=margin)
        if task == "classification"
        else fit_number_target(by_name[target], training[target], positive=positive),
    )
