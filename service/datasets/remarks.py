"""What a person would warn of who looks at a table: on its upload, and when a target has been chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from service.datasets.schemas import Column, Remark
from service.problems import echo

MOST_REMARKS = 50
MOSTLY_MISSING = 0.5
NEARLY_NUMBERS = 0.8
FEWEST_ROWS = 20
FEWEST_OF_A_CLASS = 10
PURE = 0.999
CORRELATED = 0.99999


def of_table(columns: Sequence[Column], rows: int, sample: pl.DataFrame) -> list[Remark]:
    """Return what can be said of a table without knowing what is to be predicted.

    Args:
        columns: what its columns are like.
        rows: how many it has.
        sample: some of them.
    """
    remarks = [remark for column in columns for remark in _of_column(column, rows, sample[column.name])]
    return remarks[:MOST_REMARKS]


def _of_column(column: Column, rows: int, sample: pl.Series) -> Iterator[Remark]:
    name = repr(echo(column.name))
    if column.kind == "constant":
        what = "has no value at all" if column.distinct == 0 else "has the same value in every row"
        yield Remark(column=column.name, code="constant", message=f"{name} {what}, and is left out of the features")
        return
    if column.kind == "identifier":
        message = (
            f"{name} has a value of its own in nearly every row, as an identifier, and is left out of the features"
        )
        yield Remark(column=column.name, code="identifier", message=message)
    if column.missing > MOSTLY_MISSING * rows:
        message = f"{name} is missing in {column.missing} of {rows} rows"
        yield Remark(column=column.name, code="mostly_missing", message=message)
    if column.values == "text" and (present := sample.drop_nulls()).len() >= FEWEST_ROWS:
        numbers = present.cast(pl.Float64, strict=False)
        if NEARLY_NUMBERS * len(present) <= len(present) - numbers.null_count() < len(present):
            odd = present.filter(numbers.is_null())[0]
            message = f"{name} would be numeric but for texts such as {echo(odd)!r}; is that a missing value?"
            yield Remark(column=column.name, code="nearly_numeric", message=message)


def of_job(columns: Sequence[Column], target: str, rows: int, sample: pl.DataFrame) -> list[Remark]:
    """Return what can be said once `target` is to be predicted from the features among `columns`.

    Args:
        columns: as the job sees them (`kinds.for_a_job`).
        target: name of the column to predict.
        rows: of the table.
        sample: some of them.
    """
    by_name = {column.name: column for column in columns}
    aim = by_name[target]
    remarks = list(_of_target(aim, rows))
    known = sample.filter(pl.col(target).is_not_null())
    for column in columns:
        if column.name == target or not column.feature:
            continue
        if known.height >= FEWEST_ROWS and _leaks(known[column.name], known[target], aim):
            message = (
                f"{echo(column.name)!r} alone tells {echo(target)!r} in (nearly) every row: was it derived from it, or "
                "known only afterwards? Give it the kind identifier to leave it out"
            )
            remarks.append(Remark(column=column.name, code="leaks_target", message=message))
        elif column.values in ("number", "text") and _is_identifying(column, rows):
            message = f"{echo(column.name)!r} has a value of its own in nearly every row, and is used as a feature"
            remarks.append(Remark(column=column.name, code="identifier_as_feature", message=message))
    return remarks[:MOST_REMARKS]


def _is_identifying(column: Column, rows: int) -> bool:
    enough = rows >= FEWEST_ROWS and column.distinct >= 0.95 * (rows - column.missing) > 0
    return enough and column.kind == "categorical"


def _of_target(aim: Column, rows: int) -> Iterator[Remark]:
    name = repr(echo(aim.name))
    if aim.missing:
        message = f"{aim.missing} of {rows} rows have no {name} and are left out"
        yield Remark(column=aim.name, code="target_missing", message=message)
    if aim.kind == "numeric" and (aim.classes is None or len(aim.classes) > FEWEST_ROWS):
        return
    classes = aim.classes or {}
    if len(classes) == 1:
        yield Remark(column=aim.name, code="one_class", message=f"{name} has the same class in every row")
    elif classes and rows >= FEWEST_ROWS:
        label, fewest = min(classes.items(), key=lambda pair: pair[1])
        if fewest < FEWEST_OF_A_CLASS or fewest < 0.01 * sum(classes.values()):
            message = f"the class {echo(label)!r} of {name} has {fewest} rows only, of {sum(classes.values())}"
            yield Remark(column=aim.name, code="rare_class", message=message)


def _leaks(feature: pl.Series, target: pl.Series, aim: Column) -> bool:
    """Return whether the feature by itself determines the target, beyond what few rows would show by chance."""
    there = feature.is_not_null()
    feature, target = feature.filter(there), target.filter(there)
    if len(feature) < FEWEST_ROWS or target.n_unique() < 2:
        return False
    as_number = aim.kind == "numeric" and not (aim.integer and aim.distinct <= FEWEST_ROWS)
    if feature.dtype.is_numeric() or feature.dtype == pl.Boolean:
        values = feature.cast(pl.Float64).to_numpy()
        if as_number:
            return _correlation(values, target.cast(pl.Float64).to_numpy()) > CORRELATED
        return _separates(values, target)
    if feature.n_unique() > 0.5 * len(feature):  # every row tells its own target
        return False
    table = pl.DataFrame({"feature": feature, "target": target})
    if as_number:
        table = table.with_columns(pl.col("target").cast(pl.Float64))
        within = table.select((pl.col("target") - pl.col("target").mean().over("feature")).pow(2).sum()).item()
        between = table.select((pl.col("target") - pl.col("target").mean()).pow(2).sum()).item()
        return within <= (1 - PURE) * between
    counts = table.group_by("feature", "target").len().group_by("feature").agg(pl.col("len").max())
    return counts["len"].sum() >= PURE * len(feature)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = np.sqrt((one @ one) * (other @ other))
    return abs(float(one @ other / size)) if size > 0 else 0.0


def _separates(values: np.ndarray, target: pl.Series) -> bool:
    """Return whether thresholds between the classes, one fewer than there are classes, part (nearly) all rows."""
    labels = target.rank("dense").to_numpy()
    order = np.argsort(values, kind="stable")
    values, labels = values[order], labels[order]
    # Equal values with different labels can't be parted.
    same = values[1:] == values[:-1]
    changes = labels[1:] != labels[:-1]
    return not (same & changes).any() and int(changes.sum()) <= len(np.unique(labels)) - 1
