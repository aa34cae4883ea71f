"""`deltabar train`: from a file to a model, without a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.document import document
from service.cli.options import AsJson, Force, Kinds, Read, Set, Spec, local, print_json, read_options, read_settings
from service.cli.panels import LOCAL

if TYPE_CHECKING:
    from rich.console import Console

    from service.local.training import Training
    from service.settings import Settings
    from service.terminal.interrupting import Stop

app = typer.Typer()


@app.command(rich_help_panel=LOCAL)
def train(
    data: Annotated[Path, typer.Argument(help="The table: CSV, JSON, Parquet, NPY or NPZ.")],
    target: Annotated[str | None, typer.Option(help="Name of the column to predict.", metavar="COLUMN")] = None,
    output: Annotated[Path, typer.Option(help="Folder for the model.", metavar="FOLDER")] = Path("model"),
    start: Annotated[
        Path | None, typer.Option("--from", help="Folder of a model whose weights to start with.", metavar="FOLDER")
    ] = None,
    sets: Set = None,
    spec: Spec = None,
    kinds: Kinds = None,
    read: Read = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Train a network on a table and write the model to a folder, without a service.

    It is what a job of the service does, with the same defaults and checks, in this process. The folder has the weights
    (`weights.safetensors`), the encoding of the columns (`encoding.json`), a card that tells of the training
    (`card.json`) and the loss curve (`loss-curve.csv`); it is there whole or not at all, also after Ctrl-C. With --from
    it takes the weights and the encoding of another model, whose target, hidden layers and outputs must be the same.

    Example: `deltabar train data.csv --target y --set epochs=50 --set optimizer.learning_rate=0.01`
    """
    given = document(target, spec, sets)
    settings = read_settings()
    with local():
        _train(data, given, output, start, read_options(read), kinds or [], settings, force=force, as_json=as_json)


def _train(
    data: Path,
    given: dict[str, Any],
    output: Path,
    start: Path | None,
    read: dict[str, Any],
    kinds: list[str],
    settings: Settings,
    *,
    force: bool,
    as_json: bool,
) -> None:
    from tempfile import TemporaryDirectory

    from rich.console import Console

    from service.local.model import LocalModel
    from service.local.training import prepare, reading_of
    from service.local.writing import check_free, new
    from service.terminal.interrupting import stops_on_signals

    check_free(output, force)
    model = LocalModel(start) if start else None
    reading = reading_of(read, kinds)
    console = Console(stderr=as_json, highlight=False, markup=False, soft_wrap=True)
    with stops_on_signals() as stop, TemporaryDirectory(prefix="deltabar-") as scratch:
        with console.status("reading the table") if console.is_terminal else _nothing():
            training = prepare(data, reading, given, settings, Path(scratch), model)
        with new(output, force) as draft, stop.watched():
            _introduce(training, console)
            card, curve = _follow(training, draft, settings, console, stop)
    if as_json:
        print_json(card | {"path": str(output)})
    else:
        _conclude(card, curve, output, console)


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def _introduce(training: Training, console: Console) -> None:
    dataset, spec, estimate = training.dataset, training.spec, training.report.estimate
    network = " → ".join([*(str(layer.units) for layer in spec.network.layers), str(spec.output.units)])
    console.print(f"{dataset.name}: {dataset.rows} rows, {len(dataset.columns)} columns; {spec.task} of {spec.target}")
    if estimate:
        console.print(f"network {estimate.inputs.most} → {network}, {spec.loss.name}, {spec.optimizer.name}")
    for warning in training.report.warnings:
        console.print(f"warning: {warning.message}" + (f" ({warning.value})" if warning.value is not None else ""))


def _follow(
    training: Training, draft: Path, settings: Settings, console: Console, stop: Stop
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    from service.terminal.progress import Progressing

    curve: dict[str, list[Any]] = {"epoch": [], "loss": [], "validation_loss": []}
    with Progressing(console, training.spec.epochs, "getting ready") as progress:
        for kind, told in training.run(draft, settings):
            stop.look()
            match kind:
                case "metrics":
                    progress.epoch(told)
                    for name, values in curve.items():
                        values.append(told[name])
                case "log":
                    progress.say(told["message"])
                case "done":
                    return told, curve
    raise AssertionError("a training ends with done, or with an exception")


def _conclude(card: dict[str, Any], curve: dict[str, list[Any]], output: Path, console: Console) -> None:
    from service.terminal.curve import draw
    from service.terminal.progress import number

    draw(curve, console)
    result = card["result"]
    console.print(
        f"Trained {result['n_parameters']} parameters on {result['n_train']} rows in {result['seconds']:.2f} s on "
        f"{result['device']}."
    )
    measured = {"loss": result["validation_loss"], **result["metrics"]}
    if result["n_validation"]:
        told = ", ".join(f"{name} {number(value)}" for name, value in measured.items())
        console.print(f"On the {result['n_validation']} held-out rows: {told}.")
    if result["n_test"]:
        measured = {"loss": result["test_loss"], **result["test_metrics"]}
        told = ", ".join(f"{name} {number(value)}" for name, value in measured.items())
        console.print(f"On the {result['n_test']} test rows: {told}.")
    console.print(f"The model is in {output}; deltabar predict {output} ROWS predicts with it.")
