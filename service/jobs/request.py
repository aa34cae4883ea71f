"""A job as posted: strict, with a default for everything but the data set and the target."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, FiniteFloat, TypeAdapter
from pydantic_core import PydanticCustomError

from service.ids import DatasetId, StartId
from service.jobs.choices import ACTIVATION, LOSS, NORMALIZATION, OPTIMIZER, REGULARIZATION, SCHEDULE
from service.jobs.schemas import Choice, Queueing, Text, Training
from service.jobs.split import Share
from service.schemas import Given

Units = Annotated[int, Field(ge=1, le=65_536)]
Weights = dict[Text, Annotated[FiniteFloat, Field(ge=0, le=1e6)]]
BatchSize = Annotated[int, Field(ge=1, le=1_000_000)]
_WEIGHTS = TypeAdapter(Weights, config={"strict": True})
_BATCH_SIZE = TypeAdapter(BatchSize, config={"strict": True})


def _batch_size(given: Any) -> Any:
    return given if given in ("auto", "all") else _BATCH_SIZE.validate_python(given)


def _class_weight(given: Any) -> Any:
    if isinstance(given, dict):
        return _WEIGHTS.validate_python(given)  # by itself, so that errors name the label and not the kind of weights
    if given in (None, "balanced"):
        return given
    allowed = '"balanced", or an object from labels to weights from 0 to 1e6, or null'
    raise PydanticCustomError("class_weight", "input should be 'balanced' or an object", {"allowed": allowed})


class RequestedLayer(Given):
    """A fully connected layer."""

    units: Units
    activation: Annotated[str, ACTIVATION] = "relu"
    normalization: Annotated[Choice, NORMALIZATION] | None = Field(
        default=None, description="How what the layer gives is standardised on its way to the next"
    )
    dropout: Share = Field(default=0.0, description="Share of the units that each training step leaves out")


class RequestedNetwork(Given):
    """The hidden layers; the output layer follows from the target and the loss."""

    layers: list[RequestedLayer] = Field(
        default=[RequestedLayer(units=64), RequestedLayer(units=32)],
        max_length=32,
        description="From the input side; none at all makes a linear model",
    )


class JobRequest(Queueing, Training):
    """A job as posted: every field but the data set and the target has a default that suits tabular data."""

    dataset_id: DatasetId
    init_from: StartId | None = Field(
        default=None,
        description="A model or checkpoint whose weights it starts with, and whose encoding of the columns it takes. "
        "Target, hidden layers and outputs must be the same; rates of dropout and all else may differ",
    )
    network: RequestedNetwork = RequestedNetwork()
    loss: Annotated[Choice | Literal["auto"], LOSS] = Field(
        default="auto",
        description="By its name, or with numbers. A number to predict is standardised for the loss, and its numbers "
        "count in standard deviations of the target; where the output is positive, as with poisson, gamma and tweedie, "
        "the target is divided by its mean instead",
    )
    class_weight: Annotated[Weights | Literal["balanced"] | None, BeforeValidator(_class_weight)] = Field(
        default=None,
        description="What the rows of a class count in the loss, by label; 1 for a label that isn't named. balanced: "
        "all classes count the same",
    )
    batch_size: Annotated[BatchSize | Literal["auto", "all"], BeforeValidator(_batch_size)] = Field(
        default="auto", description="auto is 32, or all for an optimizer that takes all training rows in each step"
    )
    optimizer: Annotated[Choice, OPTIMIZER] = Field(
        default=OPTIMIZER.choose("auto"),
        description="auto is AdamW with a weight decay that follows from the number of steps; any other is as it says",
    )
    schedule: Annotated[Choice, SCHEDULE] = Field(
        default=SCHEDULE.choose("constant"), description="Of the optimizer's learning rate"
    )
    regularization: Annotated[dict[str, float | None], REGULARIZATION] = Field(
        default=REGULARIZATION.model().model_dump(), description="Penalties and bounds; null leaves one out"
    )
