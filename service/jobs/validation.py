"""A job looked at without queueing it: everything that is wrong with it, what it becomes, and what it will take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import polars as pl
from pydantic import ValidationError

from service import tables
from service.context import Context
from service.datasets.files import table_key
from service.datasets.parts import read_sample
from service.jobs.duration import Calibration
from service.jobs.estimate import calibration_of, estimate
from service.jobs.request import JobRequest
from service.jobs.resolve import resolve
from service.jobs.schemas import ValidationReport
from service.jobs.splitting import Others, others_of
from service.jobs.starting import Source, source_of
from service.jobs.warnings import of_sample, warnings
from service.problems import Problem, field_errors, not_found
from service.schemas import FieldError
from service.settings import Settings

SAID_OF: Mapping[str, frozenset[str]] = {
    "loss": frozenset({"target", "class_weight", "early_stopping"}),
    "split": frozenset({"target", "early_stopping"}),
    "network": frozenset({"batch_size"}),
    "optimizer": frozenset({"batch_size", "schedule", "regularization"}),
}
"""From a field to those of which something else may be said once it is put right."""


@dataclass(frozen=True)
class Known:
    """What there is of what a job names; `sample` gives some rows of the data set."""

    dataset: tables.Dataset | None
    sample: Callable[[], pl.DataFrame]
    start: Source | None = None
    calibration: Calibration | None = None
    others: Others = field(default_factory=dict)
    """The data sets that its split names."""


def validate(context: Context, given: Any) -> ValidationReport:
    """Return what would come of posting `given`, a JSON document."""

    def find(request: JobRequest) -> Known:
        with context.database.read() as session:
            dataset = session.get(tables.Dataset, request.dataset_id)
            start = source_of(session, request.init_from) if request.init_from else None
            others = others_of(session, request.split)
            sample = partial(_sample, context, request.dataset_id)
            return Known(dataset, sample, start, calibration_of(session), others)

    return examine(given, find, context.settings)


def examine(given: Any, find: Callable[[JobRequest], Known], settings: Settings) -> ValidationReport:
    """Return what would come of the job `given`, a JSON document, where `find` tells what it names.

    What is wrong with the document and what this data set can't give are told together: where fields are unreadable,
    the others are looked at as if these had their defaults, and what depends on them isn't told.
    """
    request, errors, unread = _read(given)
    if request is None:
        return _refused(errors)
    known = find(request)
    try:
        spec = resolve(request, known.dataset, known.start, settings, known.others)
    except Problem as problem:
        silent = unread.union(*(SAID_OF.get(field, ()) for field in unread))
        return _refused(errors + [error for error in problem.errors if _top(error.field) not in silent])
    if errors:
        return _refused(errors)
    assert known.dataset is not None, "resolve refuses a job without one"
    return ValidationReport(
        valid=True,
        errors=[],
        warnings=[*warnings(spec, known.dataset, known.others), *of_sample(spec, known.dataset, known.sample())],
        spec=spec,
        estimate=estimate(spec, known.dataset, known.calibration, known.others),
    )


def _sample(context: Context, dataset_id: str) -> pl.DataFrame:
    try:
        return read_sample(context.storage.path(table_key(dataset_id)))
    except FileNotFoundError as error:  # it was deleted in between
        raise not_found("data set", dataset_id) from error


def _refused(errors: list[FieldError]) -> ValidationReport:
    return ValidationReport(valid=False, errors=errors, warnings=[], spec=None, estimate=None)


def _read(given: Any) -> tuple[JobRequest | None, list[FieldError], set[str]]:
    """Return the request, without the fields that can't be read; what is wrong with them; and which they are."""
    try:
        return JobRequest.model_validate(given), [], set()
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        errors = field_errors(found, JobRequest)
        unread = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
    try:
        readable = {name: value for name, value in given.items() if name not in unread}
        return JobRequest.model_validate(readable), errors, unread
    except (AttributeError, ValidationError):  # no object, or one without data set and target
        return None, errors, unread


def _top(field: str) -> str:
    return field.partition(".")[0]
