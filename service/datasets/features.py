"""How a column becomes inputs of a network: learned on the training rows, and kept with the model as plain data.

In every kind a missing value is 0 in the inputs that tell the value; where training rows had missing values, an input
of its own says so with 1.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from service.datasets.arrays import floats, index_of
from service.datasets.choices import EncodingChoices
from service.datasets.scaling import SCALINGS, scaled
from service.datasets.schemas import Column
from service.datasets.summary import labels

DAY = 86_400.0
CYCLES = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}
"""Periods in seconds; a year is the Gregorian calendar's mean one."""


class NumericFeature(BaseModel):
    """A numeric column becomes (value − center) / scale.

    A value more than a million scales off, which hardly a training row can be, counts as a million, so that it stays
    finite in float32.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Literal["numeric"] = "numeric"
    center: float
    scale: float
    missing_indicator: bool

    @property
    def n_inputs(self) -> int:
        """Inputs of the network that this column takes."""
        return 2 if self.missing_indicator else 1

    @property
    def input_names(self) -> list[str]:
        """What each input is."""
        return [self.name, f"{self.name} is missing"][: self.n_inputs]

    def inputs_of(self, column: pl.Series) -> np.ndarray:
        """Return the inputs for the values of `column`, (n_samples, n_inputs) float64."""
        values = floats(column)
        inputs = [scaled(values, self.center, self.scale), np.isnan(values).astype(np.float64)]
        return np.stack(inputs[: self.n_inputs], axis=1)


class CategoricalFeature(BaseModel):
    """A column of texts, labels or booleans becomes an input, 0 or 1, for each category of the training rows (one-hot).

    Categories are sorted. A missing value is one of them, null, the last, where training rows had missing values. Where
    training rows had more categories than a job allows, the most frequent are kept, and the last input, `other`, is 1
    for every category that isn't among them, such as one that training didn't see. Otherwise all inputs are 0 for a
    category that training didn't see.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Literal["categorical", "boolean"]
    categories: list[str | None]
    other: bool = False

    @property
    def n_inputs(self) -> int:
        """Inputs of the network that this column takes."""
        return len(self.categories) + self.other

    @property
    def input_names(self) -> list[str]:
        """What each input is."""
        told = [f"{self.name} is missing" if each is None else f"{self.name} = {each}" for each in self.categories]
        return [*told, *([f"{self.name} is another"] if self.other else [])]

    def inputs_of(self, column: pl.Series) -> np.ndarray:
        """Return the inputs for the values of `column`, (n_samples, n_inputs) float64."""
        texts = labels(column)
        index = index_of(texts, self.categories)
        if self.other:
            index = np.where((index < 0) & texts.is_not_null().to_numpy(), len(self.categories), index)
        return (index[:, np.newaxis] == np.arange(self.n_inputs)).astype(np.float64)


class DateFeature(BaseModel):
    """A column of dates becomes its time as a number, scaled, and where it stands in the year, the week and the day.

    A place in a cycle is the sine and the cosine of 2π t / period, t in seconds since 1970: the last of December is
    next to the first of January. Cycles that all training rows stand in at the same place are left out, such as the day
    where no date has a time.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Literal["date"] = "date"
    center: float
    scale: float
    cycles: list[Literal["day", "week", "year"]]
    missing_indicator: bool

    @property
    def n_inputs(self) -> int:
        """Inputs of the network that this column takes."""
        return 1 + 2 * len(self.cycles) + self.missing_indicator

    @property
    def input_names(self) -> list[str]:
        """What each input is."""
        cycles = [f"{wave} of the {cycle} of {self.name}" for cycle in self.cycles for wave in ("sine", "cosine")]
        return [self.name, *cycles, f"{self.name} is missing"][: self.n_inputs]

    def inputs_of(self, column: pl.Series) -> np.ndarray:
        """Return the inputs for the values of `column`, (n_samples, n_inputs) float64."""
        seconds = seconds_of(column)
        missing = np.isnan(seconds)
        inputs = [scaled(seconds, self.center, self.scale)]
        for cycle in self.cycles:
            angle = 2 * np.pi * (np.where(missing, 0.0, seconds) / CYCLES[cycle] % 1.0)
            inputs += [np.where(missing, 0.0, np.sin(angle)), np.where(missing, 0.0, np.cos(angle))]
        return np.stack([*inputs, missing.astype(np.float64)][: self.n_inputs], axis=1)


Feature = NumericFeature | CategoricalFeature | DateFeature


def seconds_of(column: pl.Series) -> np.ndarray:
    """Return the dates of a column in seconds since 1970, (n_samples,) float64; NaN where they are missing."""
    return column.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64).to_numpy() / 1e6


def fit_feature(column: Column, training: pl.Series, choices: EncodingChoices | None = None) -> Feature:
    """Learn the feature from the column's values in the training rows, of which one at least isn't missing."""
    choices = choices or EncodingChoices()
    missing = training.null_count() > 0
    present = training.drop_nulls()
    if column.kind == "numeric":
        center, scale = SCALINGS[choices.numbers](floats(present))
        return NumericFeature(name=column.name, center=center, scale=scale, missing_indicator=missing)
    if column.kind == "date":
        seconds = seconds_of(present)
        center, scale = SCALINGS["standard"](seconds)
        cycles = [name for name, period in CYCLES.items() if np.ptp(seconds % period) > 0]
        return DateFeature.model_validate(
            {"name": column.name, "center": center, "scale": scale, "cycles": cycles, "missing_indicator": missing}
        )
    counts = labels(present).alias("label").value_counts(name="rows")
    frequent = counts.sort("rows", "label", descending=[True, False])["label"][: choices.max_categories]
    categories = [*frequent.sort(), *([None] if missing else [])]
    kind = "boolean" if column.kind == "boolean" else "categorical"
    return CategoricalFeature(name=column.name, kind=kind, categories=categories, other=counts.height > len(frequent))
