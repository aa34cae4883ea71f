"""Jobs as pages show them: the API's own shapes, put together."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from service.caller import Scope
from service.context import Context
from service.datasets import service as datasets
from service.jobs import actions, events
from service.jobs import service as jobs
from service.jobs.best import BETTER
from service.jobs.glance import Glance, glances
from service.jobs.request import JobRequest
from service.jobs.schemas import Job, State
from service.jobs.states import ENDED
from service.models import service as models
from service.problems import Problem
from service.web import predictions_view
from service.web.card_view import view_of

Thing = TypeVar("Thing")
GONE = "a deleted data set"
EVENTS_SHOWN, CHECKPOINTS_SHOWN = 30, 5


@dataclass(frozen=True)
class Metric:
    """A number that tells how good a job is.

    Attributes:
        name: what it is.
        value: None where it isn't a finite number.
        epoch: after which the network was as good as that.
        model: whether it is the model's; else it is the best so far.
    """

    name: str
    value: float | None
    epoch: int
    model: bool

    @property
    def says(self) -> str:
        """Its name, with what makes it this one among all epochs'."""
        return self.name if self.model else f"best {self.name}"


@dataclass(frozen=True)
class Row:
    """A job in a list."""

    job: Job
    dataset_name: str
    glance: Glance
    actions: Sequence[str]

    @property
    def situation(self) -> str:
        """Its state, with what its worker has been asked to do."""
        return actions.situation_of(self.job)

    @property
    def metric(self) -> Metric | None:
        """How good it is: its model, else the best of its epochs so far; None where there is no epoch yet."""
        result = self.job.result
        if result is not None:
            told: dict[str, float | None] = {"loss": result.loss, **result.metrics}
            name = next(name for name in BETTER if name in told)
            return Metric(name, told[name], result.epoch, model=True)
        best = self.glance.last.get("best")
        return Metric(best["name"], best["value"], best["epoch"], model=False) if best else None


def rows(
    context: Context,
    limit: int,
    after: str | None,
    *,
    states: Sequence[State] = (),
    dataset_id: str | None = None,
) -> tuple[list[Row], bool]:
    """Return up to `limit` jobs, newest first, and whether more follow."""
    found, has_more = jobs.list_jobs(context, limit, after, states=states, dataset_id=dataset_id)
    return _rows(context, found), has_more


def _rows(context: Context, found: Sequence[Job]) -> list[Row]:
    seen = glances(context, [job.id for job in found])
    names = datasets.names(context, {job.dataset_id for job in found})
    may = context.caller.may(Scope.WRITE)
    return [
        Row(job, names.get(job.dataset_id, GONE), seen.get(job.id, Glance()), _actions(job) if may else [])
        for job in found
    ]


def _actions(job: Job) -> Sequence[str]:
    return actions.allowed(actions.situation_of(job))


def whole(context: Context, job_id: str) -> dict[str, Any]:
    """Return all that the page of a job shows; 404 where there is none."""
    last_event = events.last(context, job_id)  # first, so that nothing is missed that comes while the rest is read
    job = jobs.get_job(context, job_id)
    [row] = _rows(context, [job])
    model = _found(models.get_model, context, job.model_id)
    card = _found(models.get_card, context, job.model_id)  # models of older versions have none
    dataset = _found(datasets.get_dataset, context, job.dataset_id)
    checkpoints, _ = jobs.list_checkpoints(context, job_id, CHECKPOINTS_SHOWN, None)
    return {
        "row": row,
        "job": job,
        "over": job.state in ENDED,
        "last_event": last_event,
        "story": events.told_last(context, job_id, EVENTS_SHOWN),
        "checkpoints": checkpoints,
        "dataset": dataset,
        "model": model,
        "card": view_of(context, card) if card else None,
        "predictions": predictions_view.view_of(context, model) if model else None,
        "frequent": {column.name: list(column.top) for column in dataset.columns} if dataset else {},
        **_again(job),
    }


def _found(get: Callable[[Context, str], Thing], context: Context, identifier: str | None) -> Thing | None:
    """Return the thing; None where there is none any more."""
    try:
        return get(context, identifier) if identifier else None
    except Problem as problem:
        if problem.status != 404:
            raise
        return None


def request_of(job: Job) -> str:
    """Return the body of the POST that makes this job once more, with every choice written out, as JSON."""
    told = {"dataset_id": job.dataset_id, **job.spec.model_dump(mode="json")}
    told |= {name: getattr(job, name) for name in ("init_from", "priority", "deadline_seconds", "max_attempts")}
    return json.dumps(
        {name: told[name] for name in dict.fromkeys(("dataset_id", "target", *JobRequest.model_fields))},
        indent=2,
        ensure_ascii=False,
    )


def _again(job: Job) -> dict[str, str]:
    """Return how to post this job once more, in the ways that there are."""
    request = request_of(job)
    quoted = request.replace("'", "'\\''")
    arguments = "".join(f"    {name}={value!r},\n" for name, value in json.loads(request).items())
    return {
        "request": request,
        "curl": f"curl --json '{quoted}' \\\n     http://127.0.0.1:8000/v1/jobs",
        "python": f"from service.client import Client\n\njob = Client().jobs.create(\n{arguments})",
    }


def compared(context: Context, job_ids: Sequence[str]) -> dict[str, Any]:
    """Return the jobs and in what they differ; 404 where one isn't there."""
    found = _rows(context, [jobs.get_job(context, job_id) for job_id in dict.fromkeys(job_ids)])
    specs = [_flat(row.job.spec.model_dump(mode="json") | {"dataset": row.dataset_name}) for row in found]
    names = dict.fromkeys(name for spec in specs for name in spec)
    differing = {name: [spec.get(name) for spec in specs] for name in names}
    return {
        "rows": found,
        "differing": {name: values for name, values in differing.items() if any(v != values[0] for v in values)},
    }


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of nested data by their paths."""
    if isinstance(value, dict) and value:
        return {name: leaf for key, item in value.items() for name, leaf in _flat(item, f"{path}.{key}").items()}
    if isinstance(value, list) and value:
        return {name: leaf for i, item in enumerate(value) for name, leaf in _flat(item, f"{path}.{i}").items()}
    return {path.removeprefix("."): value}
