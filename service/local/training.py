"""Training on a file, in this process: read, resolved and trained by what the service's own processes run."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import core
from core.threads import cores
from service import tables
from service.caller import LOCAL
from service.datasets.files import TABLE, UPLOAD
from service.datasets.ingest import Request, ingest
from service.datasets.limits import Limits
from service.datasets.parts import read_sample
from service.datasets.reading import Options, Reading, kinds_of
from service.ids import new_id
from service.jobs.request import JobRequest
from service.jobs.schemas import Spec, ValidationReport
from service.jobs.validation import Known, examine
from service.local.model import CURVE, LocalModel
from service.models.card import CARD, read_card
from service.problems import dump, field_errors, invalid
from service.protocol import Assignment, Message
from service.schemas import FieldError
from service.settings import Settings
from service.training.course import Wish, train
from service.training.samples import Tables

NEVER = 1e9
"""Seconds until the first checkpoint: what is interrupted here is begun anew."""


@dataclass(frozen=True)
class Training:
    """A job that is ready to be trained.

    Attributes:
        dataset: the table, as the service would have it.
        report: the job as resolved, with warnings and an estimate.
        scratch: the folder of the table.
        start: the model whose weights it starts with, if there is one.
    """

    dataset: tables.Dataset
    report: ValidationReport
    scratch: Path
    start: LocalModel | None = None

    @property
    def spec(self) -> Spec:
        """The job as resolved."""
        assert self.report.spec is not None, "a job that isn't valid is refused"
        return self.report.spec

    def run(self, folder: Path, settings: Settings) -> Iterator[Message]:
        """Train, yield what happens, and end with "done", when the model lies in the new `folder`.

        Raises:
            CannotTrain: when the training can't go on.
            OSError: when the model can't be written.
        """
        assignment = Assignment(
            table=self.scratch / TABLE,
            format=self.dataset.format,  # type: ignore[arg-type] -- the column has formats only
            columns=self.dataset.columns,  # type: ignore[arg-type] -- as plain data
            spec=self.spec,
            data={"train": {"sha256": self.dataset.sha256}},
            draft=folder,
            checkpoints=self.scratch / "checkpoints",
            checkpoint_seconds=NEVER,
            init_from=self.start.folder if self.start else None,
            start=str(self.start.folder) if self.start else None,
        )
        curve: list[dict[str, Any]] = []
        with core.threads(settings.threads or cores()):
            for kind, data in train(assignment, Wish(), Tables()):
                if kind == "metrics":
                    curve.append(data)
                elif kind == "done":
                    card = self._card(folder, data["result"])
                    (folder / CARD).write_text(dump(card), encoding="utf-8")
                    _write_curve(folder / CURVE, curve)
                    yield "done", card
                    return
                yield kind, data

    def _card(self, folder: Path, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the training has written of itself, with the file that it was trained on."""
        dataset = self.dataset
        told = ("name", "sha256", "bytes", "rows", "format", "options")
        columns = [{name: column[name] for name in ("name", "kind", "values")} for column in dataset.columns]
        return {
            "object": "local_model",
            "created_at": time.time(),
            **(read_card(folder) or {}),
            "dataset": {name: getattr(dataset, name) for name in told} | {"columns": columns},
            "result": result,
        }


def prepare(
    data: Path,
    reading: Reading,
    given: Mapping[str, Any],
    settings: Settings,
    scratch: Path,
    start: LocalModel | None = None,
) -> Training:
    """Read the file `data` into the folder `scratch`, and settle the job `given`.

    Args:
        data: the file, in any format that the service reads.
        reading: how.
        given: the target, and what of a job is not as by default.
        settings: the limits, and how many threads there are.
        scratch: an empty folder.
        start: the model whose weights to start with.

    Raises:
        NoModel: where `start` doesn't tell how it was trained.
        Problem: with everything that is wrong with the file, or with the job.
    """
    if errors := [_of_the_service(name, given[name]) for name in given if name in SERVICE_ONLY]:
        raise invalid(errors)
    with data.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    upload = scratch / UPLOAD
    upload.symlink_to(data.resolve())  # what a reader unpacks goes beside it
    table = ingest(Request(path=upload, folder=scratch / TABLE, reading=reading, limits=Limits.of(settings)))
    described: dict[str, Any] = table.model_dump(mode="json")
    dataset = tables.Dataset(
        id=new_id("ds"),
        owner=LOCAL,
        name=data.name,
        sha256=sha256,
        identity=reading.identity(sha256),
        bytes=data.stat().st_size,
        **described,
    )
    job = {"dataset_id": dataset.id, **given}
    known = Known(dataset, lambda: read_sample(scratch / TABLE), start=start and start.source)
    report = examine(job, lambda _: known, settings)
    if report.errors:
        raise invalid(report.errors)
    return Training(dataset, report, scratch, start)


def reading_of(options: Mapping[str, Any], kinds: list[str]) -> Reading:
    """Return how a file is to be read; raises `Problem` with every option and kind that there isn't."""
    try:
        said = Options.model_validate(options)
    except ValidationError as error:
        raise invalid(field_errors(error.errors(), Options)) from error
    return Reading(**said.model_dump(), kinds=kinds_of(kinds))


SERVICE_ONLY = JobRequest.model_fields.keys() - Spec.model_fields.keys()
"""What of a job says how a service is to run it, and nothing of what is trained."""


def _of_the_service(name: str, value: Any) -> FieldError:
    message = "this is for a job of a service"
    here = "; here, --from FOLDER" if name == "init_from" else ""
    return FieldError(field=name, value=value, message=message, allowed=f"in `deltabar jobs submit`{here}")


def _write_curve(path: Path, curve: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [name for name in curve[-1] if name != "epochs"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(curve)
