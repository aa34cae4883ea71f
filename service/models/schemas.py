"""What the API says about models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from service.ids import DatasetId, JobId, ModelId, StartId
from service.jobs.schemas import Layer, Spec, Task

WeightsFormat = Literal["safetensors", "npz", "onnx"]

# Cells are checked against the model's own features, which says more than a union of types could.
Cell = Annotated[Any, WithJsonSchema({"type": ["number", "string", "boolean", "null"]})]


class Feature(BaseModel):
    """A column that the model reads."""

    name: str
    kind: Literal["numeric", "categorical", "boolean", "date"]


class TrainedNetwork(BaseModel):
    """The network as trained, with its output layer."""

    n_inputs: int = Field(description="Numbers that a row becomes")
    layers: list[Layer]


class Model(BaseModel):
    """A trained model."""

    object: Literal["model"] = "model"
    id: ModelId
    owner: str
    job_id: JobId
    dataset_id: DatasetId
    created_at: float = Field(description="Unix seconds")
    task: Task
    target: str = Field(description="The column that it predicts")
    classes: list[str] | None = Field(description="The labels, in the order of the outputs; null for regression")
    features: list[Feature]
    network: TrainedNetwork
    metrics: dict[str, float | None] = Field(description="On the validation rows, after the last epoch")
    test_metrics: dict[str, float | None] = Field(
        default={}, description="On the test rows, once; empty where its job had none"
    )
    n_parameters: int


class PredictRequest(BaseModel):
    """Raw rows, as they would stand in the data set: as `rows` or as `columns`, one of the two.

    A cell is a number in a numeric column, true or false in a boolean one, text in a categorical one, and in a column
    of dates ISO 8601 text, with a time and an offset or without (`2007-01-31`, `2007-01-31T12:00:00+01:00`); without an
    offset it is taken as it stands, with one in UTC, as in a data set.

    A cell that is null, a column that is left out, and a text that a data set would take for missing (the empty one,
    `NA`, `N/A`, `NaN`, `nan`, `null`) are missing values. They are encoded as the training rows' missing values were,
    and where these had none, as 0: the centre of a numeric column, none of the categories. A category that wasn't in
    the training rows counts as `other` where training had one for the rare categories, else as none of them. A column
    that the model has not is refused.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["rows"]}, {"required": ["columns"]}]}
    )

    rows: Annotated[list[dict[str, Cell]], Field(min_length=1)] | None = Field(
        default=None,
        description="One object a row, from column names to values",
        examples=[[{"bill_length_mm": 39.1, "island": "Torgersen", "sex": None}]],
    )
    columns: Annotated[dict[str, Annotated[list[Cell], Field(min_length=1)]], Field(min_length=1)] | None = Field(
        default=None,
        description="From column names to their values, of the same number each",
        examples=[{"bill_length_mm": [39.1, 46.5], "island": ["Torgersen", "Biscoe"]}],
    )


class LabelPrediction(BaseModel):
    """The most probable label, and the probability of each; null where the network answers with what is no number.

    A network trained with the hinge loss gives a label without probabilities: they are null.
    """

    label: str | None
    probabilities: dict[str, float | None]


class ValuePrediction(BaseModel):
    """A predicted number, in the target's own unit; null where the network answers with what is no number."""

    value: float | None


class Predictions(BaseModel):
    """One prediction a row, in the order of the rows."""

    object: Literal["predictions"] = "predictions"
    model_id: ModelId
    data: list[LabelPrediction] | list[ValuePrediction]


class EvaluateRequest(BaseModel):
    """The data set to evaluate on: it has the model's columns, its target among them."""

    model_config = ConfigDict(extra="forbid")

    dataset_id: DatasetId


class Confusion(BaseModel):
    """How often which class was predicted as which: `counts[i][j]` rows of class i as class j."""

    classes: list[str]
    counts: list[list[int]]


class Residuals(BaseModel):
    """What predictions are off by (prediction − target), in the target's own unit."""

    mean: float
    quantiles: dict[str, float] = Field(description="From the least, 0, over the median, 0.5, to the greatest, 1")
    points: list[tuple[float, float]] = Field(
        default=[],
        description="Prediction and residual, to six digits, of up to 500 rows that are evenly spaced from the least "
        "residual to the greatest; none in cards of older versions",
    )


class Evaluation(BaseModel):
    """How well a model predicts the targets of a data set."""

    object: Literal["evaluation"] = "evaluation"
    model_id: ModelId
    dataset_id: DatasetId
    rows: int = Field(description="That have a target; others are left out")
    metrics: dict[str, float | None] = Field(description="accuracy; or rmse, mae and r2, null where one isn't defined")
    confusion: Confusion | None = Field(default=None, description="For labels, of up to 100 classes")
    residuals: Residuals | None = Field(default=None, description="For numbers, where all predictions are finite")


class Check(BaseModel):
    """Two numbers that are equal where the gradient is right, computed in float64 in two ways."""

    expected: float | None
    got: float | None
    error: float | None = Field(description="|expected − got|")
    tolerance: float | None = Field(description="How large rounding may make the error")
    passed: bool
    kink: bool = Field(description="Whether a kink of the loss lay within the step, so that the check says nothing")


class Certificate(BaseModel):
    """Whether the gradients of this network are right with the weights that it had after an epoch."""

    epoch: int
    rows: int = Field(description="Training rows that it was checked on")
    dot_test: Check = Field(
        description="⟨ā, ȧ⟩ = ⟨x̄, ẋ⟩ + ⟨θ̄, θ̇⟩ for random ẋ, θ̇ and ā: the way forward and the way back"
    )
    directional: Check = Field(
        description="The loss along a random direction of all parameters and inputs: by a central difference, and by "
        "the gradient"
    )


class Measured(BaseModel):
    """What the model comes to on some rows, in the target's own unit."""

    rows: int = Field(description="That it was measured on; of many training rows 10,000, evenly spaced")
    loss: float | None
    metrics: dict[str, float | None]
    confusion: Confusion | None = Field(default=None, description="For labels, of up to 100 classes")
    residuals: Residuals | None = Field(default=None, description="For numbers, where all predictions are finite")


class Source(BaseModel):
    """A data set, as it was."""

    dataset_id: DatasetId
    sha256: str


class Ancestor(BaseModel):
    """A model or checkpoint that a training started with, and what that was trained on."""

    id: StartId
    data: dict[str, Source]


class ModelCard(Model):
    """All that is known of how a model came to be."""

    object: Literal["model_card"] = "model_card"  # type: ignore[assignment] -- a card has all that a model has
    spec: Spec = Field(description="The job as resolved, with its seed")
    epoch: int = Field(description="Whose weights the model has")
    device: str = Field(description="That it was trained on: cpu, or cuda:<number>")
    data: dict[Literal["train", "validation", "test"], Source] = Field(
        description="The job's data set, as train; and those that its split names"
    )
    scores: dict[Literal["train", "validation", "test"], Measured] = Field(
        description="On the rows that were trained on, on those that each epoch was measured on, and on the test rows"
    )
    certificates: list[Certificate] = Field(
        description="After the first and the last epoch; none for more than 2²⁰ parameters"
    )
    versions: dict[str, str] = Field(description="Of Python, deltabar, and what it computes with")
    lineage: list[Ancestor] = Field(description="What its weights started from, by init_from, the oldest first")
