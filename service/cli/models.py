"""`deltabar models`: the models that a service has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.datasets import dataset_of
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

app = typer.Typer(
    name="models",
    help="List, show, evaluate, download and delete models.",
    no_args_is_help=True,
    rich_help_panel=CLIENT,
)
Id = Annotated[str, typer.Argument(help="The model's id.", metavar="ID")]


@app.command("list")
def list_models(
    limit: Limit = 20, after: After = None, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False
) -> None:
    """List the models, the newest first.

    Example: `deltabar models list`
    """
    from service.terminal.listing import columns, moment

    with connected(url, key_file) as client:
        page = client.models.list(limit, after)
    if as_json:
        print_json(page)
        return
    head = ("ID", "TARGET", "TASK", "PARAMETERS", "METRICS", "MADE")
    rows = [(m.id, m.target, m.task, m.n_parameters, measures(m.metrics), moment(m.created_at)) for m in page.data]
    typer.echo(columns(head, rows))


@app.command()
def show(model_id: Id, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Show a model: what it predicts, from which columns, and how well.

    Example: `deltabar models show model_0193…`
    """
    from service.terminal.listing import columns, moment, pairs

    with connected(url, key_file) as client:
        model = client.models.get(model_id)
    if as_json:
        print_json(model)
        return
    told = {
        "id": model.id,
        "predicts": model.target,
        "classes": ", ".join(model.classes) if model.classes else None,
        "layers": " → ".join(map(str, [model.network.n_inputs, *(layer.units for layer in model.network.layers)])),
        "parameters": model.n_parameters,
        "metrics": measures(model.metrics),
        "job": model.job_id,
        "data set": model.dataset_id,
        "made": moment(model.created_at),
    }
    typer.echo(pairs(told))
    typer.echo()
    typer.echo(columns(("COLUMN", "KIND"), [(feature.name, feature.kind) for feature in model.features]))


@app.command()
def evaluate(
    model_id: Id,
    data: Annotated[str, typer.Argument(help="The id of a data set, or a file, which is uploaded.", metavar="DATA")],
    read: Read = None,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Compare what a model predicts with the targets of another data set.

    Example: `deltabar models evaluate model_0193… others.csv`
    """
    from service.terminal.listing import columns, pairs
    from service.terminal.progress import number

    with connected(url, key_file) as client:
        found = client.models.evaluate(model_id, dataset_of(client, data, None, read))
    if as_json:
        print_json(found)
        return
    told = {"data set": found.dataset_id, "rows": found.rows}
    typer.echo(pairs(told | {name: number(value) for name, value in found.metrics.items()}))
    if found.confusion:
        typer.echo()
        counts = zip(found.confusion.classes, found.confusion.counts, strict=True)
        typer.echo(columns(("IS ↓ PREDICTED →", *found.confusion.classes), [(name, *row) for name, row in counts]))
    if found.residuals:
        quantiles = ", ".join(f"{share} {number(value)}" for share, value in found.residuals.quantiles.items())
        typer.echo(f"residuals, prediction − target: mean {number(found.residuals.mean)}; quantiles {quantiles}")


@app.command()
def download(
    model_id: Id,
    format: Annotated[
        Literal["safetensors", "npz", "onnx"],
        typer.Option(help="onnx takes the raw columns; npz and safetensors have the weights alone."),
    ] = "safetensors",
    output: Annotated[
        Path | None, typer.Option(help="The file. [default: the model's id, with the format]", metavar="FILE")
    ] = None,
    force: Force = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Download a model as one file, which is there whole or not at all.

    Example: `deltabar models download model_0193… --format onnx`
    """
    path = output or Path(f"{model_id}.{format}")
    check_free(path, force)
    with connected(url, key_file) as client:
        client.models.download_weights(model_id, path, format)
    tell_file(path, as_json=as_json, format=format)


@app.command()
def delete(
    ids: Annotated[list[str], typer.Argument(help="The models' ids.", metavar="ID…")],
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete models and their files; the jobs that made them stay.

    Example: `deltabar models delete model_0193…`
    """
    delete_each(ids, url, key_file, lambda client, model_id: client.models.delete(model_id), as_json=as_json)


def measures(metrics: dict[str, float | None]) -> str:
    """Return metrics in a line."""
    from service.terminal.progress import number

    return ", ".join(f"{name} {number(value)}" for name, value in metrics.items()) or "-"
