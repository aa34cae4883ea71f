"""`deltabar version`."""

from __future__ import annotations

import typer

from service.cli.options import AsJson, print_json
from service.cli.panels import SERVICE

app = typer.Typer()


@app.command(rich_help_panel=SERVICE)
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    from importlib.metadata import version as installed_version

    number = installed_version("deltabar")
    if as_json:
        print_json({"version": number})
    else:
        typer.echo(f"deltabar {number}")
