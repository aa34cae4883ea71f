"""The form of a job on a data set: what it begins with, and what can be chosen in it."""

from __future__ import annotations

import json
from typing import Any, get_args

from service.context import Context
from service.datasets import service as datasets
from service.datasets.schemas import ChosenKind, Dataset
from service.jobs import service as jobs
from service.web import forms
from service.web.formats import short
from service.web.job_views import request_of

OFFERED = 20
"""The last models and data sets, so many; others can be named by their ids."""


def of_dataset(context: Context, dataset: Dataset, like: str | None, init_from: str | None) -> dict[str, Any]:
    """Return what the template needs; 404 where there is no job `like`."""
    given: dict[str, Any] = {"target": None, **forms.defaults()}
    usual = dict(given)
    if like is not None:
        given |= json.loads(request_of(jobs.get_job(context, like)))
    if init_from is not None:
        given["init_from"] = init_from
    common, rare = forms.fields()
    return {
        "common": common,
        "rare": rare,
        "given": given,
        "more_is_given": any(given[field.path[0]] != usual[field.path[0]] for field in rare),
        "tasks": forms.tasks(dataset),
        "kinds": get_args(ChosenKind),
        "offers": _offers(context, dataset),
    }


def _offers(context: Context, dataset: Dataset) -> dict[str, dict[str, str]]:
    others, _ = datasets.list_datasets(context, OFFERED, None)
    held_out = {each.id: f"{each.name}, {each.rows} rows" for each in others if each.id != dataset.id}
    done, _ = jobs.list_jobs(context, OFFERED, None, states=["succeeded"], dataset_id=None)
    return {
        "split.column": {column.name: column.name for column in dataset.columns},
        "split.validation": held_out,
        "split.test": held_out,
        "init_from": {job.model_id: f"{job.spec.target}, {short(job.id)}" for job in done if job.model_id},
        "device": {name: name for name in ("auto", "cpu", "cuda")},
    }
