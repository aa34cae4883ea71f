"""`deltabar version`."""

from __future__ import annotations

import typer

from service.cli.panels import SERVICE

app = typer.Typer()


@app.command(rich_help_panel=SERVICE)
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed_version

    typer.echo(f"deltabar {installed_version('deltabar')}")
