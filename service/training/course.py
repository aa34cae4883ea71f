"""The course of a training: what it tells, when it keeps its state, and where it can be stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import core
from service import memory
from service.jobs.choices import LOSS, OPTIMIZER, SCHEDULE
from service.jobs.layers import layers_of
from service.jobs.schemas import Spec
from service.protocol import Assignment, Message
from service.training.building import backend_for, class_weight_of, metrics_of
from service.training.cannot_train import CannotTrain
from service.training.card import card_of
from service.training.folders import CHECKPOINT, LAST, read_encoding, write_checkpoint, write_model
from service.training.initial import encoding_from, take_weights
from service.training.samples import Samples, Tables, samples_of

SLICE_SECONDS = 0.05
"""How long steps are taken at a time, between looks at what the worker wishes."""
SHARE = 50
"""Writing checkpoints takes at most one such part of the time."""


@dataclass
class Wish:
    """What the worker wants of the training: that it stops, with a checkpoint or without. Set by another thread."""

    stop: bool = False
    keep: bool = False


def train(assignment: Assignment, wish: Wish, tables: Tables) -> Iterator[Message]:
    """Train, yield what happens, and end with "done", when the model lies in `assignment.draft`, or with "stopped".

    The same assignment gives the same numbers to the last bit on the same processor; only `seconds` differ. So it does
    when it is left and gone on with from any of its checkpoints.

    Raises:
        CannotTrain: when there is no such device, nothing to learn from, a loss that isn't finite, or a start that
            doesn't fit.
    """
    began = time.monotonic()
    memory.forget_peak()
    spec = assignment.spec
    backend = backend_for(spec, assignment.device)
    backend.limit_memory(assignment.device_memory_bytes)
    loss: core.Loss = LOSS.make(spec.loss)
    encoding = None
    if assignment.resume:
        encoding = read_encoding(assignment.resume)
    elif assignment.init_from:
        encoding = encoding_from(assignment.init_from, assignment.columns, spec, loss)
    table = tables.read(assignment.table, assignment.format)
    samples = samples_of(assignment, table, loss, encoding)
    if samples.n_dropped and not assignment.resume:
        message = f"{samples.n_dropped} of {len(table)} rows have no {spec.target!r} and are left out"
        yield "log", {"message": message}
    network = core.Network(samples.encoding.n_inputs, layers_of(spec), backend=backend, seed=spec.seed)
    if assignment.init_from and not assignment.resume:
        take_weights(network, assignment.init_from)
    resume = _checkpoint(assignment.resume) if assignment.resume else None
    training = _training(spec, network, samples, loss, resume)
    last: dict[str, Any] = resume.data.get(LAST, {}) if resume else {}

    yield "progress", _progress(training, spec, last)
    keeper = _Keeper(assignment, training, samples)
    while not training.ended and not wish.stop:
        try:
            record = training.advance(seconds=SLICE_SECONDS)
        except core.NonFiniteError as error:
            raise _non_finite(error, spec) from error
        if record:
            last = _news_of(record)
            yield "metrics", last
        else:
            yield "progress", _progress(training, spec, last)
        if keeper.due and not training.ended and not wish.stop:
            yield from keeper.keep(last)
    if not training.ended:
        if wish.keep:
            yield "saving", {}
            yield from keeper.keep(last)
        yield "stopped", {}
        return

    stopping = spec.early_stopping
    if stopping and training.best and training.epoch < spec.epochs:
        best = f"{stopping.monitor} was best in epoch {training.best.epoch}"
        yield "log", {"message": f"stopped early, after epoch {training.epoch} of {spec.epochs}: {best}"}
    write_model(assignment.draft, network, samples.encoding)
    kept = _news_of(training.best) if stopping and stopping.restore_best and training.best else last
    result = {
        **{name: kept[name] for name in ("epoch", "loss", "validation_loss")},
        "metrics": {name: kept[name] for name in metrics_of(samples.encoding)} if samples.validation else {},
        "seconds": last["seconds"],
        "n_parameters": network.n_parameters,
        "n_train": len(samples.train_rows),
        "n_validation": len(samples.validation_rows),
        "device": backend.name.replace("numpy", "cpu").replace("cupy", "cuda"),
        "actual": {"steps": training.step, "seconds": time.monotonic() - began, "peak_bytes": memory.peak_bytes()},
    }
    yield "done", {"result": result, "card": card_of(spec, samples.encoding, network, result["metrics"])}


class _Keeper:
    """Writes checkpoints: not more often than is wished for, nor so often that they take more than 2 % of the time."""

    def __init__(self, assignment: Assignment, training: core.Training, samples: Samples) -> None:
        self._assignment, self._training, self._encoding = assignment, training, samples.encoding
        self._step = training.step if assignment.resume else None
        self._next = time.monotonic() + assignment.checkpoint_seconds

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._next

    def keep(self, last: dict[str, Any]) -> Iterator[Message]:
        """Write a checkpoint and say so, unless there is one of this step already, or nothing to keep."""
        training = self._training
        if training.step in (0, self._step):
            return
        began, draft = time.monotonic(), self._assignment.checkpoint_draft(training.step)
        try:
            write_checkpoint(draft, training, self._encoding, last)
        except OSError as error:  # the disk is full, perhaps not for long
            shutil.rmtree(draft, ignore_errors=True)
            yield "log", {"message": f"no checkpoint could be written after step {training.step}: {error}"}
            return
        finally:
            now = time.monotonic()
            self._next = now + max(self._assignment.checkpoint_seconds, SHARE * (now - began))
        self._step = training.step
        yield "checkpoint", last | {"epoch": training.epoch, "step": training.step}


def _training(
    spec: Spec, network: core.Network, samples: Samples, loss: core.Loss, resume: core.Checkpoint | None
) -> core.Training:
    x, y = samples.training
    validation = samples.validation
    regularization: dict[str, Any] = dict(spec.regularization)
    try:
        return core.train(
            network,
            x,
            y,
            loss=loss,
            class_weight=class_weight_of(spec, samples.encoding, y),
            optimizer=OPTIMIZER.make(spec.optimizer),
            schedule=SCHEDULE.make(spec.schedule),
            epochs=spec.epochs,
            batch_size=len(x) if spec.batch_size == "all" else spec.batch_size,
            validation=validation,
            seed=spec.seed,
            metrics=metrics_of(samples.encoding) if validation else {},
            average=spec.average,
            early_stopping=core.EarlyStopping(**spec.early_stopping.model_dump()) if spec.early_stopping else None,
            resume=resume,
            **regularization,
        )
    except ValueError as error:
        if resume:
            raise CannotTrain("cannot_resume", f"the job can't go on from its last checkpoint: {error}") from error
        # What only the rows that were drawn can tell: every one of them weighs nothing, say.
        raise CannotTrain("unfit_rows", f"the training rows don't fit the job: {error}") from error


def _checkpoint(folder: Path) -> core.Checkpoint:
    try:
        return core.Checkpoint.load(folder / CHECKPOINT)
    except (ValueError, OSError) as error:
        raise CannotTrain("cannot_resume", f"the job's last checkpoint can't be read: {error}") from error


def _progress(training: core.Training, spec: Spec, last: dict[str, Any]) -> dict[str, Any]:
    return {
        "epoch": training.epoch,
        "step": training.step,
        "steps": spec.epochs * training.steps_per_epoch,
        "seconds": last.get("seconds", 0.0),
    }


def _news_of(record: core.Record) -> dict[str, Any]:
    return {
        "epoch": record.epoch,
        "epochs": record.epochs,
        "step": record.step,
        "seconds": record.seconds,
        "loss": record.loss,
        "validation_loss": record.validation_loss,
        "learning_rate": record.learning_rate,
        **record.metrics,
    }


def _non_finite(error: core.NonFiniteError, spec: Spec) -> CannotTrain:
    rate = OPTIMIZER.make(spec.optimizer).rate(1.0)
    where = error.what if error.layer is None else f"{error.what} of layer {error.layer}"
    return CannotTrain(
        "non_finite_loss",
        f"{where} is no longer finite in epoch {error.epoch}, at step {error.step}: the steps were too large. Try a "
        f"smaller optimizer.learning_rate (it was {rate:g}), or a larger batch_size",
    )
