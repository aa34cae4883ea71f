"""Starting with the weights of a model or a checkpoint: what these are, and what of a job must agree with them.

Weights mean something in the network and behind the encoding that they were trained in. So the job takes the encoding
of its start as well, and its data set needs the columns which that one reads. What can be told from rows is told when
the job is posted; the rest, such as a checkpoint's columns, by the worker, as the error `cannot_init`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.datasets.choices import EncodingChoices
from service.datasets.schemas import Column
from service.jobs.request import JobRequest, RequestedLayer
from service.jobs.schemas import Layer, Output, Spec, Task
from service.jobs.split import column_of
from service.jobs.states import ENDED
from service.models.schemas import Feature, TrainedNetwork
from service.problems import Problem, echo
from service.schemas import FieldError
from service.tables import Checkpoint, Job, Model

MAY_DIFFER: Mapping[str, Literal["freely", "in part", "never"]] = {
    "dataset_id": "in part",
    "target": "never",
    "kinds": "in part",
    "encoding": "never",
    "network": "in part",
    "loss": "in part",
    "class_weight": "freely",
    "optimizer": "freely",
    "schedule": "freely",
    "regularization": "freely",
    "average": "freely",
    "epochs": "freely",
    "batch_size": "freely",
    "split": "freely",
    "early_stopping": "freely",
    "seed": "freely",
    "device": "freely",
    "dtype": "freely",
    "metadata": "freely",
    "priority": "freely",
    "deadline_seconds": "freely",
    "max_attempts": "freely",
}
"""For each field of a job, whether it may differ from what the weights were trained with.

"dataset_id", "kinds": the columns that are read must be there, of the same kinds, and the same classes. "network": the
rates of dropout and the numbers of a normalisation may differ; which layers there are, their units and activations may
not. "loss": one for the same task, with the same output.
"""


@dataclass(frozen=True)
class Source:
    """A model or a checkpoint, as its row tells; None for what only its files know."""

    id: str
    target: str
    task: Task
    hidden: Sequence[Layer]
    output: Output
    classes: Sequence[str] | None
    features: Sequence[Feature] | None
    encoding: EncodingChoices


def source_of(session: Session, init_from: str, *, kept: bool = False) -> Source | None:
    """Return what has the id `init_from`; None where there is no such thing.

    With `kept`, in a session that writes, it can't go before the session ends.
    """
    lock: Any = {"read": True} if kept else None
    if init_from.startswith("model_"):
        model = session.get(Model, init_from, with_for_update=lock)
        return of_card(model.id, model.card, _spec_of(session, model.job_id)) if model else None
    checkpoint = session.get(Checkpoint, init_from, with_for_update=lock)
    if checkpoint is None:
        return None
    spec = _spec_of(session, checkpoint.job_id)
    return Source(init_from, spec.target, spec.task, spec.network.layers, spec.output, None, None, spec.encoding)


def _spec_of(session: Session, job_id: str) -> Spec:
    return Spec.model_validate(session.get_one(Job, job_id).spec)


def of_card(name: str, card: Mapping[str, Any], spec: Spec) -> Source:
    """Return the model with this card, trained as `spec` says; `name` is what messages call it."""
    *hidden, output = TrainedNetwork.model_validate(card["network"]).layers
    features = [Feature.model_validate(feature) for feature in card["features"]]
    last = Output(units=output.units, activation=output.activation)
    return Source(name, card["target"], card["task"], hidden, last, card["classes"], features, spec.encoding)


def check_that_none_starts_with(session: Session, ids: Sequence[str]) -> None:
    """Raise the 409 `Problem` where a job that isn't over starts with one of these models or checkpoints."""
    using = select(Job).where(Job.init_from.in_(ids), Job.state.not_in(ENDED))
    if job := session.scalars(using.limit(1)).first():
        raise Problem(
            409,
            "start_of_another_job",
            f"{job.id}, which is {job.state}, starts with {job.init_from}. Wait for it to end, or cancel it "
            f"(POST {job.path}/{job.id}/cancel), then try again.",
        )


def differences(
    source: Source, request: JobRequest, task: Task, output: Output, columns: Sequence[Column]
) -> Iterator[FieldError]:
    """Yield one error for each thing in which the job differs from `source` and may not.

    Args:
        source: what it is to start with.
        request: the job as posted.
        task: its task.
        output: its output layer.
        columns: of its data set.
    """
    start = source.id
    if request.target != source.target:
        message = f"{start} predicts the column {source.target!r}"
        yield _error("target", request.target, message, source.target)
    elif task != source.task or output.activation != source.output.activation:
        # That of the loss as resolved: "auto" may have become another one on another data set.
        message = f"{start} was trained for {source.task} with the output {source.output.activation}"
        given = request.loss if request.loss == "auto" else request.loss.name
        yield _error("loss", given, message, f"a loss for {source.task} with the output {source.output.activation}")
    else:
        yield from _of_classes(source, request, output, columns)
    yield from _of_columns(source, request, columns)
    if "encoding" in request.model_fields_set and request.encoding != source.encoding:
        message = f"{start} comes with its encoding of the columns"
        yield _error("encoding", request.encoding.model_dump(), message, "that of the start, or none given")
    here, there = _told(request.network.layers), _told(source.hidden)
    if here != there:
        yield _error("network.layers", here, f"{start} has other hidden layers", there)


def _of_classes(source: Source, request: JobRequest, output: Output, columns: Sequence[Column]) -> Iterator[FieldError]:
    target = next(column for column in columns if column.name == request.target)
    known = target.classes if source.task == "classification" else None
    if source.classes is not None and known is not None and sorted(known) != sorted(source.classes):
        message = f"{source.id} tells other classes apart than the column has here, {', '.join(sorted(known))}"
        yield _error("target", request.target, message, f"the classes {', '.join(source.classes)}")
    elif output.units != source.output.units:
        message = f"{source.id} has {source.output.units} outputs, and this job {output.units}"
        yield _error("target", request.target, message, f"a target with {source.output.units} outputs")


def _of_columns(source: Source, request: JobRequest, columns: Sequence[Column]) -> Iterator[FieldError]:
    kinds = {column.name: column.kind for column in columns}
    divides = column_of(request.split)
    for feature in source.features or ():
        if feature.name == divides:
            message = f"{source.id} reads this column, so it can't divide the rows"
            yield _error("split.column", divides, message, "a column that it doesn't read; or a job without init_from")
        kind = kinds.get(feature.name)
        if kind != feature.kind:
            has = f"is {kind} here" if kind else "isn't in the data set"
            message = f"{source.id} reads the column {feature.name!r}, which {has}"
            yield _error("dataset_id", feature.name, message, f"a data set with it as a {feature.kind} column")


def _told(layers: Sequence[Layer | RequestedLayer]) -> str:
    """Return what of hidden layers has to agree, in words."""
    told = []
    for layer in layers:
        norm = f" {layer.normalization.name}" if layer.normalization else ""
        told.append(f"{layer.units} {layer.activation}{norm}{' dropout' if layer.dropout else ''}")
    return ", ".join(told) or "no hidden layers"


def _error(field: str, value: object, message: str, allowed: str) -> FieldError:
    return FieldError(field=field, value=echo(value), message=echo(message), allowed=echo(allowed))
