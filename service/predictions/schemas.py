"""What the API says about predictions of whole data sets. The Python client reads these too."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.ids import DatasetId, JobId, ModelId
from service.jobs.schemas import JobError, Queueing, State

FileFormat = Literal["csv", "parquet"]


class PredictionRequest(Queueing):
    """Which model is to predict the target of which data set's rows.

    The data set has the model's columns; what else it has is left out.
    """

    model_id: ModelId
    dataset_id: DatasetId
    format: FileFormat = Field(default="csv", description="Of the file that is written")


class PredictionSpec(BaseModel):
    """What of a prediction is kept beside its ids."""

    format: FileFormat
    rows: int

    @property
    def file_name(self) -> str:
        """What the file is called in the folder of its attempt."""
        return f"predictions.{self.format}"


class PredictionResult(BaseModel):
    """What came of a prediction."""

    bytes: int = Field(description="Of the file")
    seconds: float
    peak_bytes: int | None = Field(
        default=None, description="The most that the process which predicts had in memory at a time"
    )


class Prediction(BaseModel):
    """A job that predicts the target of every row of a data set, and writes a file."""

    object: Literal["prediction"] = "prediction"
    id: JobId
    owner: str
    model_id: ModelId
    dataset_id: DatasetId
    format: FileFormat
    state: State
    requested: Literal["pause", "cancel"] | None = Field(description="What its worker has been asked to do")
    rows: int = Field(description="Of the data set")
    rows_done: int = Field(description="By the present attempt; one that is tried again begins anew")
    priority: int
    deadline_seconds: float | None
    attempts: int = Field(description="Begun so far, since it was posted or retried")
    max_attempts: int
    error: JobError | None
    result: PredictionResult | None
    created_at: float
    started_at: float | None
    finished_at: float | None
