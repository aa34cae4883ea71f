"""The course of a training: what it tells, when it keeps its state, and where it can be stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import core
from service import memory
from service.datasets.encoding import Encoding
from service.jobs.choices import LOSS, OPTIMIZER, SCHEDULE
from service.jobs.layers import layers_of
from service.jobs.schemas import Spec
from service.protocol import Assignment, Message
from service.training.building import class_weight_of, measured, metrics_of
from service.training.cannot_train import CannotTrain
from service.training.card import card_of, history_of
from service.training.certificate import certify
from service.training.device import backend_for
from service.training.folders import read_encoding, write_checkpoint, write_model
from service.training.initial import encoding_from, take_weights
from service.training.notes import Notes, checkpoint_in, first_notes, notes_in
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
        DeviceFailed: when the worker's own device can't be used.
    """
    began = time.monotonic()
    memory.forget_peak()
    spec = assignment.spec
    backend = backend_for(spec, assignment.device)
    backend.limit_memory(assignment.device_memory_bytes)
    loss: core.Loss = LOSS.make(spec.loss)
    table = tables.read(assignment.table, assignment.format)
    samples = samples_of(assignment, table, loss, _known_encoding(assignment, loss))
    if samples.n_dropped and not assignment.resume:
        message = f"{samples.n_dropped} of {len(table)} rows have no {spec.target!r} and are left out"
        yield "log", {"message": message}
    network = core.Network(samples.encoding.n_inputs, layers_of(spec), backend=backend, seed=spec.seed)
    if assignment.init_from and not assignment.resume:
        take_weights(network, assignment.init_from)
    resume = checkpoint_in(assignment.resume) if assignment.resume else None
    training = _training(spec, network, samples, loss, resume)
    notes = notes_in(resume) if resume else first_notes(assignment)

    yield "progress", _progress(training, spec, notes.last_epoch)
    keeper = _Keeper(assignment, training, samples)
    while not training.ended and not wish.stop:
        try:
            record = training.advance(seconds=SLICE_SECONDS)
        except core.NonFiniteError as error:
            raise _non_finite(error, spec) from error
        if record:
            notes.last_epoch = _news_of(record)
            yield "metrics", notes.last_epoch
            if record.epoch == 1 and not training.ended:
                notes.first_certificate = certify(spec, network, samples.train, 1)
        else:
            yield "progress", _progress(training, spec, notes.last_epoch)
        if keeper.due and not training.ended and not wish.stop:
            yield from keeper.keep(notes)
    if not training.ended:
        if wish.keep:
            yield "saving", {}
            yield from keeper.keep(notes)
        yield "stopped", {}
        return

    stopping = spec.early_stopping
    if stopping and training.best and training.epoch < spec.epochs:
        best = f"{stopping.monitor} was best in epoch {training.best.epoch}"
        yield "log", {"message": f"stopped early, after epoch {training.epoch} of {spec.epochs}: {best}"}
    result, card = _outcome(assignment, training, samples, loss, notes)
    took = {"steps": training.step, "seconds": time.monotonic() - began, "peak_bytes": memory.peak_bytes()}
    yield "done", {"result": result | {"actual": took}, "card": card}


def _known_encoding(assignment: Assignment, loss: core.Loss) -> Encoding | None:
    """Return the encoding that the training has already, or takes over; None where it is to be learned."""
    if assignment.resume:
        return read_encoding(assignment.resume)
    if assignment.init_from:
        return encoding_from(assignment.init_from, assignment.columns, assignment.spec, loss)
    return None


def _outcome(
    assignment: Assignment, training: core.Training, samples: Samples, loss: core.Loss, notes: Notes
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure the trained network once more, write it, and return the job's result and the model's card."""
    spec, network, stopping = assignment.spec, training.network, assignment.spec.early_stopping
    kept = _news_of(training.best) if stopping and stopping.restore_best and training.best else notes.last_epoch
    tested = samples.test
    result = {
        **{name: kept[name] for name in ("epoch", "loss", "validation_loss")},
        "metrics": {name: kept[name] for name in metrics_of(samples.encoding)} if samples.validation else {},
        "test_loss": float(network.evaluate(tested.x, tested.y, loss)) if tested else None,
        "test_metrics": measured(samples.encoding, network, tested) if tested else {},
        "seconds": notes.last_epoch["seconds"],
        "n_parameters": network.n_parameters,
        "n_train": len(samples.train),
        "n_validation": len(samples.validation or ()),
        "n_test": len(samples.test or ()),
        "device": network.backend.name.replace("numpy", "cpu").replace("cupy", "cuda"),
    }
    card = card_of(spec, samples.encoding, network, result)
    write_model(assignment.draft, network, samples.encoding, card | history_of(spec, samples, network, result, notes))
    return result, card


class _Keeper:
    """Writes checkpoints: not more often than is wished for, nor so often that they take more than 2 % of the time."""

    def __init__(self, assignment: Assignment, training: core.Training, samples: Samples) -> None:
        self._assignment, self._training, self._encoding = assignment, training, samples.encoding
        self._step = training.step if assignment.resume else None
        self._next = time.monotonic() + assignment.checkpoint_seconds

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._next

    def keep(self, notes: Notes) -> Iterator[Message]:
        """Write a checkpoint and say so, unless there is one of this step already, or nothing to keep."""
        training = self._training
        if training.step in (0, self._step):
            return
        began, draft = time.monotonic(), self._assignment.checkpoint_draft(training.step)
        try:
            write_checkpoint(draft, training, self._encoding, notes)
        except OSError as error:  # the disk is full, perhaps not for long
            shutil.rmtree(draft, ignore_errors=True)
            yield "log", {"message": f"no checkpoint could be written after step {training.step}: {error}"}
            return
        finally:
            now = time.monotonic()
            self._next = now + max(self._assignment.checkpoint_seconds, SHARE * (now - began))
        self._step = training.step
        yield "checkpoint", notes.last_epoch | {"epoch": training.epoch, "step": training.step}


def _training(
    spec: Spec, network: core.Network, samples: Samples, loss: core.Loss, resume: core.Checkpoint | None
) -> core.Training:
    x, y = samples.train.x, samples.train.y
    validation = (samples.validation.x, samples.validation.y) if samples.validation else None
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
