"""What the API says about jobs: as resolved, as they stand; their events and metrics. What is posted: `request`.

The Python client reads these too, so they import nothing of core.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, model_validator

from service.datasets.choices import EncodingChoices
from service.datasets.schemas import ChosenKind
from service.ids import CheckpointId, DatasetId, JobId, ModelId, StartId
from service.jobs.split import ByFraction, Split, older
from service.schemas import FieldError, Given

State = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
Task = Literal["classification", "regression"]
Device = Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")]
Text = Annotated[str, StringConstraints(max_length=500)]


class Choice(BaseModel):
    """One of the things that there are of a kind, such as an optimizer: its name, and every number that it has."""

    model_config = ConfigDict(extra="allow")

    name: str

    @model_validator(mode="before")
    @classmethod
    def _of_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given


class Layer(BaseModel):
    """A fully connected layer."""

    units: int
    activation: str
    normalization: Choice | None = None
    dropout: float = 0.0


class Network(BaseModel):
    """The hidden layers."""

    layers: list[Layer]


class EarlyStopping(Given):
    """When to end a training before its last epoch: once `monitor` hasn't got better for `patience` epochs."""

    monitor: Literal["validation_loss", "loss", "accuracy", "rmse", "mae", "r2"] = "validation_loss"
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    minimum_change: Annotated[FiniteFloat, Field(ge=0)] = Field(default=0.0, description="What counts as better")
    restore_best: bool = Field(default=True, description="Whether the model has the weights of the best epoch")


class Queueing(Given):
    """How a job of any kind is to be queued and tried."""

    priority: Annotated[int, Field(ge=-100, le=100)] = Field(
        default=0, description="Jobs of a higher priority are started first, and among equals the older"
    )
    deadline_seconds: Annotated[FiniteFloat, Field(gt=0)] | None = Field(
        default=None, description="How long it may run, all its attempts together; what takes longer fails"
    )
    max_attempts: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None,
        description="How often it is tried when its worker or child dies; null for the setting DELTABAR_MAX_ATTEMPTS",
    )


class Training(BaseModel):
    """What a job and its resolved spec have in common."""

    target: Annotated[str, StringConstraints(min_length=1)] = Field(description="Name of the column to predict")
    kinds: dict[str, ChosenKind] = Field(
        default={},
        description="Of columns that are to count as something else than the data set says: categorical for labels "
        "that are numbers, identifier to leave a column out",
    )
    encoding: EncodingChoices = Field(
        default=EncodingChoices(), description="How columns become inputs; with init_from, that of its start"
    )
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    average: Annotated[FiniteFloat, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="β: the model has the mean of its weights after all steps, in which those of k steps ago count βᵏ",
    )
    split: Split | None = Field(
        default=ByFraction(),
        description="Which rows are kept from training, and for what; null trains on all. The column that divides them "
        "is no feature",
    )
    early_stopping: EarlyStopping | None = None
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    device: Device = Field(default="auto", description="auto, cpu, cuda, or cuda:<number>; auto takes a GPU that works")
    dtype: Literal["float32", "float64"] = "float32"
    metadata: dict[Text, Text] = Field(default={}, max_length=16, description="Yours to fill; up to 16 pairs of text")


class Output(BaseModel):
    """The output layer."""

    units: int
    activation: str


class Spec(Training):
    """A job as resolved: every default, and what "auto" became; "auto" for the device is settled by the worker.

    Choices of older versions are read as they are, so that a job can be looked at for as long as there is its row.
    """

    task: Task
    network: Network
    output: Output
    loss: Choice
    class_weight: dict[str, float] | Literal["balanced"] | None = None
    batch_size: int | Literal["all"]
    optimizer: Choice
    schedule: Choice = Choice(name="constant")
    regularization: dict[str, float | None] = {}

    @model_validator(mode="before")
    @classmethod
    def _of_older(cls, given: Any) -> Any:
        return older(given)


class Progress(BaseModel):
    """How far the job has come; an attempt that goes on from a checkpoint is where that was taken."""

    epoch: int = Field(description="The last one that is done")
    epochs: int
    step: int
    steps: int | None = Field(description="Of all epochs; null where it isn't known")
    seconds_left: float | None = Field(
        description="At the pace so far, if no early stopping ends it; null where that isn't known"
    )


class Bounds(BaseModel):
    """From how many to how many; the two are equal where it is known."""

    least: int
    most: int


class Estimate(BaseModel):
    """What a job will take, told before it is queued.

    Where the number of inputs isn't known yet, the numbers besides the bounds are those for the most inputs.
    """

    inputs: Bounds = Field(
        description="Numbers that a row becomes. A category, or a missing value, has one if a training row has it, and "
        "these are drawn when the job starts"
    )
    parameters: Bounds
    steps: int = Field(description="Of all epochs; early stopping may end before")
    flops: int = Field(description="Floating-point operations of the matrix products of all steps")
    peak_bytes: int = Field(description="The most that the process which trains has in memory at a time")
    seconds: float | None = Field(
        description="From the start of the attempt to the model's files; null until a worker has measured its machine, "
        "and for a GPU. The first training with a combination of activations, loss and optimizer that this machine "
        "hasn't met takes some seconds more, to compile it"
    )


class Took(BaseModel):
    """What a job took, or was estimated to take."""

    steps: int = Field(description="Of the optimizer")
    seconds: float | None = Field(description="From the start of the attempt to the model's files")
    peak_bytes: int | None = Field(description="The most that the process which trains had in memory at a time")


class JobError(BaseModel):
    """Why a job failed."""

    code: str
    message: str


class Result(BaseModel):
    """What came of a job. In regression the losses are those of the target as the network sees it: see `loss`."""

    epoch: int = Field(description="Whose weights the model has, and whose numbers follow")
    loss: float
    validation_loss: float | None
    metrics: dict[str, float | None] = Field(description="On the validation rows, in the target's own unit")
    test_loss: float | None = Field(default=None, description="Of the model on the test rows, measured once")
    test_metrics: dict[str, float | None] = Field(
        default={}, description="The same metrics on the test rows, which no choice rests on"
    )
    seconds: float = Field(description="Spent training")
    n_parameters: int
    n_train: int
    n_validation: int
    n_test: int = 0
    device: str = Field(description="cpu, or cuda:<number>")
    estimated: Took | None = Field(default=None, description="What the job was expected to take when it was posted")
    actual: Took | None = Field(default=None, description="What the attempt that succeeded took")


class Job(BaseModel):
    """A training job."""

    object: Literal["job"] = "job"
    id: JobId
    owner: str
    dataset_id: DatasetId
    state: State
    requested: Literal["pause", "cancel"] | None = Field(description="What its worker has been asked to do")
    spec: Spec
    progress: Progress
    init_from: StartId | None
    priority: int
    deadline_seconds: float | None
    attempts: int = Field(description="Begun so far, since it was posted or retried")
    max_attempts: int
    checkpoint_id: CheckpointId | None = Field(description="What the next attempt goes on from")
    estimate: Estimate | None = Field(description="What it was expected to take when it was posted")
    error: JobError | None
    result: Result | None
    model_id: ModelId | None
    created_at: float
    started_at: float | None
    finished_at: float | None


class Checkpoint(BaseModel):
    """The state of a training between two steps, from which its job can go on, and another can start."""

    object: Literal["checkpoint"] = "checkpoint"
    id: CheckpointId
    job_id: JobId
    epoch: int = Field(description="The last one that was done")
    step: int
    metrics: dict[str, float | None] = Field(
        description="Learning rate, loss, validation loss and metrics of that epoch; empty within the first"
    )
    created_at: float


class ValidationReport(BaseModel):
    """What would come of posting a job."""

    object: Literal["validation"] = "validation"
    valid: bool = Field(description="Whether POST /v1/jobs would queue it")
    errors: list[FieldError] = Field(description="Everything that is wrong with it, as the 422 of POST /v1/jobs has it")
    warnings: list[FieldError] = Field(description="What is allowed, and may not be meant")
    spec: Spec | None = Field(description="With every default, and what auto becomes; null where it isn't valid")
    estimate: Estimate | None


class Event(BaseModel):
    """One entry of a job's history.

    By `kind`, `data` is for "state": `state`, and `attempt`, `message`, `error` or `model_id` where they apply, and for
    a running job the `epoch` after which the attempt goes on: later ones that were told before are gone through again;
    for "metrics": `epoch`, `epochs`, `step`, `seconds`, `loss`, `validation_loss`, `learning_rate` and every metric by
    its name, of the last of the epochs from `first_epoch` on that the event stands for (`GET …/metrics` has them all),
    and `best`, the `name`, `value` and `epoch` of the best accuracy, else rmse, else loss so far;
    for "rows", of a prediction: `rows_done` of its `rows`, and `seconds` since its attempt began;
    for "checkpoint": `checkpoint_id`, `epoch`, `step`; for "log": `message`.
    """

    object: Literal["event"] = "event"
    sequence: int = Field(description="Counts from 1 within the job, without gaps")
    kind: Literal["state", "metrics", "rows", "checkpoint", "log"]
    data: dict[str, Any]
    created_at: float


class Metrics(BaseModel):
    """The curve of a job, column by column, with one entry for each epoch that is shown."""

    object: Literal["metrics"] = "metrics"
    n_epochs: int = Field(description="How many epochs there are; the columns have at most `max_points` of them")
    columns: dict[str, list[int | float | None]]
