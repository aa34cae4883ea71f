"""What a job's split comes to on its data set: how many rows are for what, and why it may not be possible.

Which rows they are is drawn when the job starts: `service.training.parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.split import shares
from service.datasets.schemas import Column
from service.jobs.schemas import Task
from service.jobs.split import (
    ByColumn,
    ByDataset,
    ByGroup,
    ByTime,
    Part,
    Split,
    column_of,
    datasets_of,
    fractions_of,
    is_stratified,
)
from service.problems import echo
from service.schemas import FieldError
from service.tables import Dataset

UPLOADED = "the id of an uploaded data set, from POST or GET /v1/datasets"
MOST_NAMES = 5
_FOR = {"validation": "for validation", "test": "to test on"}
Others = Mapping[str, Dataset]
"""The data sets that a split names, by id; without those that aren't there."""


def others_of(session: Session, split: Split | None, *, kept: bool = False) -> dict[str, Dataset]:
    """Return the data sets that `split` names and that are there.

    With `kept`, in a session that writes, they can't go before the session ends.
    """
    ids = sorted(set(datasets_of(split).values()))
    found = [session.get(Dataset, each, with_for_update={"read": True} if kept else None) for each in ids]
    return {dataset.id: dataset for dataset in found if dataset}


@dataclass(frozen=True)
class Divided:
    """How many rows are for what; about, where groups are kept together, or a column says it of all rows."""

    train: int
    validation: int = 0
    test: int = 0


@dataclass(frozen=True)
class Splitting:
    """A split on a data set.

    Attributes:
        split: as posted.
        columns: of the data set, as the job sees them.
        target: one of them.
        rows: of the data set.
        task: of the job.
        others: the data sets that the split names.
    """

    split: Split | None
    columns: Sequence[Column]
    target: Column
    rows: int
    task: Task
    others: Others

    @property
    def n_rows(self) -> int:
        """Rows that have a target."""
        return self.rows - self.target.missing

    def divided(self) -> Divided:
        """Return how many rows are for what."""
        match self.split:
            case ByColumn():
                counts = self._classes_of(self.split.column)
                names = (self.split.train, self.split.validation, self.split.test)
                share = self.n_rows / max(1, self.rows)
                return Divided(*(round(counts.get(name, 0) * share) for name in names))
            case ByDataset():
                held_out = {part: self._rows_of(each) for part, each in datasets_of(self.split).items()}
                drawn = self._drawn().get("validation", 0)
                return Divided(self.n_rows - drawn, held_out.get("validation", drawn), held_out.get("test", 0))
            case _:
                drawn = self._drawn()
                return Divided(self.n_rows - sum(drawn.values()), drawn.get("validation", 0), drawn.get("test", 0))

    def errors(self) -> Iterator[FieldError]:
        """Yield what is wrong with the split of a data set of which some rows have a target."""
        if (name := column_of(self.split)) is not None:
            column = next((column for column in self.columns if column.name == name), None)
            if column is None:
                names = ", ".join(column.name for column in self.columns)
                yield _error("split.column", name, "the data set has no such column", f"one of: {names}")
                return
            if column is self.target:
                yield _error("split.column", name, "this is the column to predict", "another column")
                return
            yield from self._column_errors(column)
        if isinstance(self.split, ByDataset):
            yield from self._dataset_errors()
        if fractions := fractions_of(self.split):
            yield from self._fraction_errors(fractions)

    @property
    def _stratified(self) -> bool:
        return self.task == "classification" and is_stratified(self.split)

    def _drawn(self) -> dict[str, int]:
        fractions = fractions_of(self.split)
        if self._stratified and self.target.classes and sum(fractions.values()) < 1:
            parts = shares(list(self.target.classes.values()), list(fractions.values()))
            return {name: sum(part) for name, part in zip(fractions, parts, strict=True)}
        return {name: round(share * self.n_rows) for name, share in fractions.items()}

    def _classes_of(self, name: str) -> dict[str, int]:
        return next((column.classes or {} for column in self.columns if column.name == name), {})

    def _rows_of(self, dataset_id: str) -> int:
        other = self.others.get(dataset_id)
        if other is None:
            return 0
        missing = (column["missing"] for column in other.columns if column["name"] == self.target.name)
        return other.rows - next(missing, 0)

    def _fraction_errors(self, fractions: Mapping[Part, float]) -> Iterator[FieldError]:
        needed = 1 + len(fractions)
        if self._stratified:
            rare = [label for label, rows in (self.target.classes or {}).items() if rows < needed]
            if rare:
                often, many = ("one row only", "two") if needed == 2 else ("one or two rows only", "three")
                yield _error(
                    "target",
                    self.target.name,
                    f"seen in {often}: {echo(', '.join(rare))}; a stratified split needs {many} rows of a class",
                    f"a column in which every class has at least {many} rows; or split.stratify = false",
                )
        allowed = "a fraction that leaves rows on all sides; or split = null"
        counts: dict[Part, int] = {part: round(share * self.n_rows) for part, share in fractions.items()}
        of = f"of the {self.n_rows} rows that have a target"
        empty: list[Part] = [part for part, count in counts.items() if count < 1]
        for part in empty:
            yield _error(f"split.{part}", fractions[part], f"{of}, this fraction leaves no row {_FOR[part]}", allowed)
        if not empty and (sum(fractions.values()) >= 1 or sum(counts.values()) >= self.n_rows):
            part, these = next(iter(fractions)), "this fraction leaves" if len(fractions) == 1 else "the two leave"
            yield _error(f"split.{part}", fractions[part], f"{of}, {these} no row to train on", allowed)

    def _column_errors(self, column: Column) -> Iterator[FieldError]:
        present = self.rows - column.missing
        if isinstance(self.split, ByGroup):
            groups, needed = column.distinct + (column.missing > 0), 1 + len(fractions_of(self.split))
            if groups < needed:
                message = f"the column has {groups} groups, and no group is in two parts"
                yield self._of_column(column, message, f"a column with at least {needed} different values")
        elif isinstance(self.split, ByTime):
            if column.values not in ("date", "number"):
                message = f"the column holds {column.values}, which has no order in time"
                yield self._of_column(column, message, "a column of dates or numbers")
            elif present < sum(self._drawn().values()):
                message = f"the column has a value in {present} rows, fewer than are to be held out"
                yield self._of_column(column, message, "a column with values, or smaller fractions")
        elif isinstance(self.split, ByColumn):
            yield from self._mark_errors(column, self.split)

    def _mark_errors(self, column: Column, split: ByColumn) -> Iterator[FieldError]:
        marks, found = (split.train, split.validation, split.test), column.classes or {}
        says = f"only the values {', '.join(marks)} (other ones may be named in split.train, .validation and .test)"
        if len(set(marks)) < len(marks):
            yield _error(
                "split.train", split.train, f"of {', '.join(marks)}, two are the same", "three different texts"
            )
        elif unknown := [value for value in found if value not in marks]:
            yield self._of_column(column, f"the column has other values: {', '.join(unknown[:MOST_NAMES])}", says)
        elif column.missing:
            yield self._of_column(column, f"the column has no value in {column.missing} rows", says)
        elif split.train not in found:
            yield self._of_column(column, f"no row has the value {split.train!r}, to be trained on", says)

    def _of_column(self, column: Column, message: str, allowed: str) -> FieldError:
        return _error("split.column", column.name, message, allowed)

    def _dataset_errors(self) -> Iterator[FieldError]:
        for part, dataset_id in datasets_of(self.split).items():
            other, field = self.others.get(dataset_id), f"split.{part}"
            if other is None:
                yield _error(field, dataset_id, "there is no data set with this id", UPLOADED)
            elif misfits := list(self._misfits(other)):
                more = f"; and {len(misfits) - MOST_NAMES} more" if len(misfits) > MOST_NAMES else ""
                allowed = "a data set with the columns of dataset_id, read as the same kinds of values"
                yield _error(field, dataset_id, "; ".join(misfits[:MOST_NAMES]) + more, allowed)

    def _misfits(self, other: Dataset) -> Iterator[str]:
        there = {column.name: column for column in map(Column.model_validate, other.columns)}
        for column in self.columns:
            if not (column.feature or column is self.target):
                continue
            found = there.get(column.name)
            if found is None:
                yield f"it has no column {column.name!r}"
            elif found.values != column.values and found.missing < other.rows:
                yield f"its column {column.name!r} holds {found.values}, not {column.values}"
            elif column is self.target and found.missing == other.rows:
                yield f"no row has a value in {column.name!r}, which is to be predicted"
            elif column is self.target and self.task == "classification":
                unknown = [label for label in (found.classes or {}) if label not in (column.classes or {})]
                if unknown:
                    yield f"its {column.name!r} has classes that training hasn't: {', '.join(unknown[:MOST_NAMES])}"


def splitting_of(
    split: Split | None, columns: Sequence[Column], target: str, rows: int, task: Task, others: Others
) -> Splitting:
    """Return the splitting on a data set that has the column `target`."""
    return Splitting(split, columns, next(c for c in columns if c.name == target), rows, task, others)


def _error(field: str, value: object, message: str, allowed: str) -> FieldError:
    return FieldError(field=field, value=echo(value), message=echo(message), allowed=echo(allowed))
