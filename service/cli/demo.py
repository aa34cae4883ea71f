"""`deltabar demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.options import AsJson, fail, print_json
from service.cli.panels import SERVICE
from service.examples import PENGUINS

app = typer.Typer()


@app.command(rich_help_panel=SERVICE)
def demo(
    data: Annotated[
        Path, typer.Argument(help="The Palmer penguins as CSV.", show_default="that of deltabar")
    ] = PENGUINS,
    output: Annotated[Path, typer.Option(help="Folder for weights, loss curve and log; made when missing.")] = Path(
        "demo-output"
    ),
    as_json: AsJson = False,
) -> None:
    """Train a network on the penguins through a real service, and show all that comes back.

    Starts the service on a free port with data of its own, uploads the table, follows the job, downloads weights and
    loss curve, predicts three rows, and stops the service. Fails if fewer than 97 % of the held-out rows are right.

    Example: `deltabar demo --output /tmp/penguins`
    """
    from rich.console import Console

    from service.demo import DemoFailed, run

    try:
        shown = run(data, output, Console(stderr=as_json, highlight=False, markup=False, soft_wrap=True))
    except DemoFailed as error:
        fail(str(error))
    if as_json:
        print_json(shown)
