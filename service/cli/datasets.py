"""`deltabar datasets`: the tables that a service has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import (
    WRONG_ARGUMENTS,
    After,
    AsJson,
    KeyFile,
    Kinds,
    Limit,
    Read,
    Url,
    connected,
    delete_each,
    fail,
    print_json,
    read_options,
)
from service.cli.panels import CLIENT

if TYPE_CHECKING:
    from service.client import Client
    from service.datasets.schemas import Dataset

LARGE = 8 * 2**20
"""Of a file that is larger, the upload's progress is shown."""
app = typer.Typer(
    name="datasets", help="Upload, list, show and delete data sets.", no_args_is_help=True, rich_help_panel=CLIENT
)
Ids = Annotated[list[str], typer.Argument(help="The data sets' ids.", metavar="ID…")]


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(help="CSV, JSON, Parquet, NPY or NPZ; texts also in gzip or zstd.")],
    name: Annotated[str | None, typer.Option(help="What to call it. [default: the file's name]")] = None,
    kinds: Kinds = None,
    read: Read = None,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Upload a table, and print its id, its columns and what is striking about them.

    The same bytes, read in the same way, are the same data set, however often they are uploaded.

    Example: `deltabar datasets upload data.csv --kind zip:categorical`
    """
    with connected(url, key_file) as client:
        dataset = send(client, file, name, kinds, read)
    if as_json:
        print_json(dataset)
    else:
        _show(dataset)


@app.command("list")
def list_datasets(
    limit: Limit = 20, after: After = None, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False
) -> None:
    """List the data sets, the newest first.

    Example: `deltabar datasets list`
    """
    from service.terminal.listing import columns, moment

    with connected(url, key_file) as client:
        page = client.datasets.list(limit, after)
    if as_json:
        print_json(page)
        return
    head = ("ID", "NAME", "ROWS", "COLUMNS", "BYTES", "UPLOADED")
    typer.echo(
        columns(head, [(d.id, d.name, d.rows, len(d.columns), d.bytes, moment(d.created_at)) for d in page.data])
    )


@app.command()
def show(
    dataset_id: Annotated[str, typer.Argument(help="The data set's id.", metavar="ID")],
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a data set: its columns, what their values are like, and warnings.

    Example: `deltabar datasets show ds_0193…`
    """
    with connected(url, key_file) as client:
        dataset = client.datasets.get(dataset_id)
    if as_json:
        print_json(dataset)
    else:
        _show(dataset)


@app.command()
def delete(ids: Ids, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Delete data sets that no queued or running job uses.

    Example: `deltabar datasets delete ds_0193…`
    """
    delete_each(ids, url, key_file, lambda client, dataset_id: client.datasets.delete(dataset_id), as_json=as_json)


def dataset_of(client: Client, data: str, kinds: list[str] | None, read: list[str] | None) -> str:
    """Return the id of a data set that is there, or of the file `data`, once that is uploaded."""
    if data.startswith("ds_") and not Path(data).exists():
        if kinds or read:
            option = "--kind" if kinds else "--read"
            fail(f"{option} is for a file that is uploaded, and {data} is there already", WRONG_ARGUMENTS)
        return data
    return send(client, Path(data), None, kinds, read).id


def send(client: Client, file: Path, name: str | None, kinds: list[str] | None, read: list[str] | None) -> Dataset:
    """Upload the file, with a bar on a terminal where it is large; ends the program where there is no such file."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    if not file.is_file():
        fail(f"there is no file {file}", WRONG_ARGUMENTS)
    said = dict(_kind(text) for text in kinds or ())
    options: Any = read_options(read)
    shown = file.stat().st_size > LARGE and sys.stderr.isatty()
    with Progress(
        *Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn(),
        console=Console(stderr=True), disable=not shown, transient=True,
    ) as progress:  # fmt: skip
        task = progress.add_task("uploading", total=file.stat().st_size)
        return client.datasets.upload(
            file, name, kinds=said, progress=lambda sent, _: progress.update(task, completed=sent), **options
        )


def _kind(text: str) -> tuple[str, Any]:
    column, colon, kind = text.rpartition(":")
    if not column or not colon:
        fail(f"--kind = {text!r}: expected the name of a column, a colon, and a kind: zip:categorical", WRONG_ARGUMENTS)
    return column, kind


def _show(dataset: Dataset) -> None:
    from service.terminal.listing import columns, moment, pairs

    told = {
        "id": dataset.id,
        "name": dataset.name,
        "rows": dataset.rows,
        "format": ", ".join([dataset.format, *(f"{name} {value}" for name, value in dataset.options.items())]),
        "bytes": dataset.bytes,
        "sha-256": dataset.sha256,
        "uploaded": moment(dataset.created_at),
    }
    typer.echo(pairs(told))
    typer.echo()
    head = ("COLUMN", "KIND", "MISSING", "DISTINCT", "FROM", "TO")
    rows = [
        (c.name, c.kind, c.missing, c.distinct, _first(c.minimum, c.first), _first(c.maximum, c.last))
        for c in dataset.columns
    ]
    typer.echo(columns(head, rows))
    for warning in dataset.warnings:
        typer.echo(f"warning: {warning.column}: {warning.message}")


def _first(number: float | None, date: str | None) -> object:
    return date if number is None else f"{number:g}"
