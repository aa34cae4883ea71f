"""`deltabar predict`: rows of a file, and a model in a folder."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from service.cli.options import AsJson, Force, Read, local, read_options
from service.cli.panels import LOCAL

if TYPE_CHECKING:
    from service.local.rows import Rows

BATCH = 4096
app = typer.Typer()


@app.command(rich_help_panel=LOCAL)
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of the model, as `deltabar train` has written it.")],
    rows: Annotated[
        Path, typer.Argument(help="The rows, in any format that data sets have; - for standard input.", allow_dash=True)
    ],
    output: Annotated[
        Path | None, typer.Option(help="File for the predictions; standard output if left out.", metavar="FILE")
    ] = None,
    read: Read = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Predict the target of rows with a model in a folder, as CSV or JSON.

    There is one prediction a row: the label and the probability of each class, or the number. A column of the model
    that the file hasn't is a missing value in every row; columns that the model doesn't read are left out; both are
    said on standard error.

    Example: `deltabar predict model rows.csv --output predictions.csv`
    """
    with local():
        _predict(model, rows, output, read_options(read), force=force, as_json=as_json)


def _predict(
    folder: Path, path: Path, output: Path | None, read: dict[str, Any], *, force: bool, as_json: bool
) -> None:
    from service.local.model import LocalModel
    from service.local.rows import read_rows
    from service.local.training import reading_of
    from service.local.writing import check_free, new

    model = LocalModel(folder)
    if output is not None:
        check_free(output, force)
    with _file(path) as file:
        rows = read_rows(file, model.predictor.encoding, model.card, reading_of(read, []))
    _tell(rows)
    starts = range(0, rows.table.height, BATCH)
    predictions = (each for start in starts for each in model.predictor.predict(rows.table[start : start + BATCH]))
    head = model.predictor.encoding.target.columns
    if output is None:
        _write(predictions, head, sys.stdout, as_json=as_json)
        return
    with new(output, force) as draft, draft.open("w", encoding="utf-8", newline="") as out:
        _write(predictions, head, out, as_json=as_json)


@contextmanager
def _file(path: Path) -> Iterator[Path]:
    """Yield the path of a file with the rows, of standard input too, which readers can't go back in."""
    if str(path) != "-":
        yield path
        return
    import shutil
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="deltabar-") as folder:
        copy = Path(folder) / "rows"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield copy


def _tell(rows: Rows) -> None:
    if rows.missing:
        typer.echo(f"deltabar: missing in every row, as the file hasn't them: {', '.join(rows.missing)}", err=True)
    if rows.unused:
        typer.echo(f"deltabar: left out, as the model doesn't read them: {', '.join(rows.unused)}", err=True)


def _write(predictions: Iterable[dict[str, Any]], head: list[str], out: TextIO, *, as_json: bool) -> None:
    """Write predictions: as a list of objects as the API has them, or a line each under the names of its columns."""
    import csv

    from service.problems import dump

    if as_json:
        before = "["
        for prediction in predictions:
            out.write(f"{before}{dump(prediction)}")
            before = ",\n"
        out.write("[]\n" if before == "[" else "]\n")
        return
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for prediction in predictions:
        shares: dict[str, Any] = prediction.get("probabilities", {})
        writer.writerow([prediction.get("label", prediction.get("value")), *shares.values()])
