"""The tables. A `jobs` row is what users see, a training or a prediction, and the queue's entry at once."""

from __future__ import annotations

import time
from typing import Any, ClassVar, cast

from sqlalchemy import JSON, BigInteger, Double, Index, Table, UniqueConstraint, desc
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of all tables. Times are Unix seconds."""

    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy's own form
        dict[str, Any]: JSON,
        dict[str, str]: JSON,
        list[dict[str, Any]]: JSON,
        list[str]: JSON,
        float: Double,
    }


def table_of(cls: type[Base]) -> Table:
    """Return the table of a class, for what is written very often.

    SQLAlchemy keeps what it has made of a statement on a table; one on a class it takes apart each time.
    """
    return cast("Table", cls.__table__)


class Owned:
    """What the tables have in common whose rows belong to someone: see `ownership`.

    Attributes:
        owner: that of the API key with which the row came, or "local" where keys are off. A job has the owner of its
            data set, a model and a checkpoint that of their job. There is no default: a row of nobody is refused.
    """

    owner: Mapped[str] = mapped_column()


class Dataset(Owned, Base):
    """An uploaded table, immutable.

    Attributes:
        sha256: of the bytes as uploaded.
        identity: the same, or a hash of it with what its owner has said of how to read them; one an owner.
        options: how the bytes were read.
        warnings: what is remarkable about the table.
    """

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("owner", "identity", name="uq_datasets_owner_identity"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    sha256: Mapped[str]
    identity: Mapped[str]
    format: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int]
    columns: Mapped[list[dict[str, Any]]]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    warnings: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    created_at: Mapped[float] = mapped_column(default=time.time)


class Job(Owned, Base):
    """What a worker does, in a queue that is one for all kinds: a `Training` or a `Prediction`.

    `lease_token` is the fencing token: it grows by one at each claim, and every write of a worker names the token that
    it was given, so that a worker which lost its lease changes no row. The ids of both kinds begin alike, as the queue
    sorts by them.

    Attributes:
        kind: "training" or "prediction".
        key_id: the API key that posted it, whose limit of running jobs counts it.
        requested: what its user wants of the running job: "pause", "cancel" or nothing.
        priority: higher ones are claimed first, and among equals the older.
        deadline_seconds: how long it may run, all attempts together.
        run_seconds: how long it ran in the attempts before the present one.
        claimed_at: when the present attempt began.
        worker_id: who has it, or had it last.
        checkpoint_id: what the next attempt goes on from.
        init_from: the model or checkpoint whose weights it starts with; of a prediction, the model that predicts.
        estimate: what it was thought to take when it was posted.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_queue", "state", desc("priority"), "id", "key_id"),
        Index("ix_jobs_owner_id", "owner", "id"),
        Index("ix_jobs_dataset_id", "dataset_id"),
        Index("ix_jobs_init_from", "init_from"),
    )
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_abstract": True}  # noqa: RUF012 -- SQLAlchemy's own form
    path: ClassVar[str]
    """Below which the API has jobs of this kind."""

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    key_id: Mapped[str | None] = mapped_column(default=None)
    dataset_id: Mapped[str]
    state: Mapped[str] = mapped_column(default="queued")
    requested: Mapped[str | None] = mapped_column(default=None)
    spec: Mapped[dict[str, Any]]
    priority: Mapped[int] = mapped_column(default=0)
    deadline_seconds: Mapped[float | None] = mapped_column(default=None)
    max_attempts: Mapped[int] = mapped_column(default=3)
    attempts: Mapped[int] = mapped_column(default=0)
    run_seconds: Mapped[float] = mapped_column(default=0.0)
    epochs_done: Mapped[int] = mapped_column(default=0)
    steps_done: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_token: Mapped[int] = mapped_column(default=0)
    lease_expires_at: Mapped[float | None] = mapped_column(default=None)
    claimed_at: Mapped[float | None] = mapped_column(default=None)
    worker_id: Mapped[str | None] = mapped_column(default=None)
    checkpoint_id: Mapped[str | None] = mapped_column(default=None)
    init_from: Mapped[str | None] = mapped_column(default=None)
    estimate: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    last_event: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    model_id: Mapped[str | None] = mapped_column(default=None)
    created_at: Mapped[float] = mapped_column(default=time.time)
    started_at: Mapped[float | None] = mapped_column(default=None)
    finished_at: Mapped[float | None] = mapped_column(default=None)


class Training(Job):
    """A job that makes a model of a data set; its `spec` is a `service.jobs.schemas.Spec`."""

    __mapper_args__ = {"polymorphic_identity": "training"}  # noqa: RUF012 -- SQLAlchemy's own form
    path = "/v1/jobs"


class Prediction(Job):
    """A job that gives a model all rows of a data set, `steps_done` of them so far, and writes what it answers."""

    __mapper_args__ = {"polymorphic_identity": "prediction"}  # noqa: RUF012 -- SQLAlchemy's own form
    path = "/v1/predictions"


class Event(Base):
    """One entry of a job's history; `sequence` counts from 1 within the job, without gaps.

    Attributes:
        data: what everyone may read.
        epochs: what all the epochs have reported that an event of metrics stands for; see `service.jobs.epochs`.
    """

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    data: Mapped[dict[str, Any]]
    epochs: Mapped[bytes | None] = mapped_column(default=None, deferred=True)
    created_at: Mapped[float] = mapped_column(default=time.time)


class Model(Owned, Base):
    """A trained model: the row makes the files below `folder` visible."""

    __tablename__ = "models"

    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(unique=True)
    dataset_id: Mapped[str]
    folder: Mapped[str]
    card: Mapped[dict[str, Any]]
    created_at: Mapped[float] = mapped_column(default=time.time)


class Checkpoint(Owned, Base):
    """The state of a training between two steps: the row makes the files below `folder` visible."""

    __tablename__ = "checkpoints"
    __table_args__ = (Index("ix_checkpoints_job_id", "job_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str]
    folder: Mapped[str]
    epoch: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[dict[str, Any]]
    created_at: Mapped[float] = mapped_column(default=time.time)


class Worker(Base):
    """A process that trains, for as long as it shows signs of life.

    Attributes:
        devices: of each of its slots, one child a slot.
        calibration: how fast this machine multiplies matrices and takes steps, as the worker measured it.
        faults: why a device can't be used, of those that can't.
    """

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    devices: Mapped[list[str]]
    calibration: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    faults: Mapped[dict[str, str]] = mapped_column(default=dict)
    started_at: Mapped[float] = mapped_column(default=time.time)
    seen_at: Mapped[float] = mapped_column(default=time.time)


class ApiKey(Base):
    """A key to the API. Its secret is 256 random bits, of which the sha-256 is kept.

    Attributes:
        owner: whose rows it sees and makes; several keys may have one owner.
        scopes: what it may do.
        max_running: how many of its jobs run at a time, or as many as there are workers.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    max_running: Mapped[int | None] = mapped_column(default=None)
    created_at: Mapped[float] = mapped_column(default=time.time)
    expires_at: Mapped[float | None] = mapped_column(default=None)
    revoked_at: Mapped[float | None] = mapped_column(default=None)


class IdempotencyKey(Base):
    """What an `Idempotency-Key` of an owner has brought about, written in the same transaction."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    job_id: Mapped[str]
    created_at: Mapped[float] = mapped_column(default=time.time)


class Tally(Base):
    """A counter, or a part of a histogram, of what has happened to jobs; see `service.tallies`."""

    __tablename__ = "tallies"

    name: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(primary_key=True)
    part: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]
