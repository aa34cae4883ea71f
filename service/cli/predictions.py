"""`deltabar predictions`: whole data sets, predicted by a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service.cli.datasets import dataset_of
from service.cli.following import check_success, follow_rows, interruptible, plain_console, print_events
from service.cli.options import (
    After,
    AsJson,
    Force,
    KeyFile,
    Limit,
    Read,
    Url,
    check_free,
    connected,
    delete_each,
    print_json,
    tell_file,
)
from service.cli.panels import CLIENT

if TYPE_CHECKING:
    from service.client import Client, LivePrediction
    from service.predictions.schemas import Prediction

app = typer.Typer(
    name="predictions",
    help="Predict whole data sets: submit, list, show, watch, cancel, retry, download and delete.",
    no_args_is_help=True,
    rich_help_panel=CLIENT,
)
Id = Annotated[str, typer.Argument(help="The prediction's id.", metavar="ID")]
Ids = Annotated[list[str], typer.Argument(help="The predictions' ids.", metavar="ID…")]
Format = Annotated[Literal["csv", "parquet"], typer.Option(help="Of the file that is written.")]


@app.command()
def submit(
    model_id: Annotated[str, typer.Argument(help="The id of the model.", metavar="MODEL")],
    data: Annotated[str, typer.Argument(help="The id of a data set, or a file, which is uploaded.", metavar="DATA")],
    format: Format = "csv",
    output: Annotated[
        Path | None, typer.Option(help="Wait for the predictions, and write them to this file.", metavar="FILE")
    ] = None,
    read: Read = None,
    force: Force = False,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end, as `predictions watch` does.")] = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Queue the prediction of a data set's rows, and print its id; or wait for the file.

    Example: `deltabar predictions submit model_0193… rows.csv --output predictions.csv`
    """
    if output:
        check_free(output, force)
    with connected(url, key_file) as client:
        dataset_id = dataset_of(client, data, None, read)
        made = client.predictions.create(model_id=model_id, dataset_id=dataset_id, format=format)
        if output:
            made = _saved(client, made.id, output)
        elif watch:
            _watch(client, made, as_json=as_json)
            return
    if as_json:
        print_json(made)
    elif output:
        tell_file(output, as_json=False)
    else:
        typer.echo(made.id)


@app.command("list")
def list_predictions(
    limit: Limit = 20,
    after: After = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only these: queued, running, paused, succeeded, failed, cancelled.", metavar="STATE"),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Only those of this model.", metavar="ID")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only those on this data set.", metavar="ID")] = None,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """List the predictions, the newest first.

    Example: `deltabar predictions list --state running`
    """
    from service.terminal.listing import columns, moment

    with connected(url, key_file) as client:
        page = client.predictions.list(limit, after, state=state, model_id=model, dataset_id=dataset)
    if as_json:
        print_json(page)
        return
    rows = [(p.id, p.state, f"{p.rows_done}/{p.rows}", p.model_id, moment(p.created_at)) for p in page.data]
    typer.echo(columns(("ID", "STATE", "ROWS", "MODEL", "POSTED"), rows))


@app.command()
def show(prediction_id: Id, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Show a prediction as it stands.

    Example: `deltabar predictions show job_0193…`
    """
    from service.terminal.listing import moment, pairs

    with connected(url, key_file) as client:
        found = client.predictions.get(prediction_id)
    if as_json:
        print_json(found)
        return
    told: dict[str, Any] = {
        "id": found.id,
        "state": found.state + (f", asked to {found.requested}" if found.requested else ""),
        "model": found.model_id,
        "data set": found.dataset_id,
        "rows": f"{found.rows_done} of {found.rows}",
        "attempts": f"{found.attempts} of {found.max_attempts}",
        "posted": moment(found.created_at),
        "ended": moment(found.finished_at),
    }
    if found.error:
        told["error"] = f"{found.error.code}: {found.error.message}"
    if found.result:
        told["file"] = _file(found)
    typer.echo(pairs(told))


@app.command()
def watch(prediction_id: Id, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Follow a prediction to its end: how many rows are done; with --json, one event a line.

    A connection that breaks is taken up again. Ctrl-C ends the watching, and not the prediction.

    Example: `deltabar predictions watch job_0193…`
    """
    with connected(url, key_file) as client:
        _watch(client, client.predictions.get(prediction_id), as_json=as_json)


def _watch(client: Client, prediction: LivePrediction[Any], *, as_json: bool) -> None:
    console = plain_console()
    if not as_json:
        console.print(f"{prediction.id}: {prediction.rows} rows of {prediction.dataset_id}, by {prediction.model_id}")
    interruptible(lambda: print_events(prediction.events()) if as_json else follow_rows(prediction, console))
    ended = client.predictions.get(prediction.id)
    check_success(ended)
    if not as_json:
        console.print(f"{_file(ended)}; deltabar predictions download {ended.id} fetches it.")


def _file(prediction: Prediction) -> str | None:
    result = prediction.result
    return result and f"{result.bytes} bytes of {prediction.format}, in {result.seconds:.2f} s"


@app.command()
def download(
    prediction_id: Id,
    output: Annotated[
        Path | None, typer.Option(help="The file. [default: the prediction's id, with the format]", metavar="FILE")
    ] = None,
    force: Force = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Wait for a prediction, and download it as a file, which is there whole or not at all.

    Example: `deltabar predictions download job_0193… --output predictions.csv`
    """
    with connected(url, key_file) as client:
        path = output or Path(f"{prediction_id}.{client.predictions.get(prediction_id).format}")
        check_free(path, force)
        _saved(client, prediction_id, path)
    tell_file(path, as_json=as_json)


@app.command()
def cancel(ids: Ids, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """End predictions that haven't ended.

    Example: `deltabar predictions cancel job_0193…`
    """
    _act(ids, url, key_file, "cancel", as_json=as_json)


@app.command()
def retry(ids: Ids, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Queue failed or cancelled predictions again, to begin anew.

    Example: `deltabar predictions retry job_0193…`
    """
    _act(ids, url, key_file, "retry", as_json=as_json)


@app.command()
def delete(ids: Ids, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Delete ended predictions and their files.

    Example: `deltabar predictions delete job_0193…`
    """
    delete_each(ids, url, key_file, lambda client, each: client.predictions.delete(each), as_json=as_json)


def _act(ids: list[str], url: str | None, key_file: Path | None, name: str, *, as_json: bool) -> None:
    found: list[Prediction] = []
    with connected(url, key_file) as client:
        for each in ids:
            found.append(getattr(client.predictions, name)(each))
            if not as_json:
                asked = f", and has been asked to {found[-1].requested}" if found[-1].requested else ""
                typer.echo(f"{each} is {found[-1].state}{asked}")
    if as_json:
        print_json({"object": "list", "data": [each.model_dump(mode="json") for each in found]})


def _saved(client: Client, prediction_id: str, path: Path) -> LivePrediction[Any]:
    going = client.predictions.get(prediction_id)
    if going.finished_at is None:
        interruptible(lambda: follow_rows(going, plain_console(stderr=True)))
    ended = client.predictions.get(prediction_id)
    check_success(ended)
    ended.download(path)
    return ended
