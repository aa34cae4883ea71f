"""`deltabar doctor`: what `service.doctor` finds, for people and for programs."""

from __future__ import annotations

import typer

from service.cli.options import FAILED, AsJson, DataDir, print_json, read_settings
from service.cli.panels import SERVICE

MARKS = {"good": ("✓", typer.colors.GREEN), "absent": ("–", typer.colors.YELLOW), "bad": ("✗", typer.colors.RED)}

app = typer.Typer()


@app.command(rich_help_panel=SERVICE)
def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say what the service would run on, and what to install or mend; change nothing.

    Looks at cores, driver, CuPy, each GPU (memory, a kernel, a product and its rate), BLAS, data folder and database.
    Ends with 1 where the service couldn't do its work.

    Example: `deltabar doctor --json`
    """
    settings = read_settings(data_dir=data_dir)
    from service.doctor import examine, report

    findings = []
    for finding in examine(settings):
        findings.append(finding)
        if not as_json:
            mark, colour = MARKS[finding.state]
            typer.secho(f"{mark} {finding.name}: ", fg=colour, nl=False)
            typer.echo(finding.says)
            if finding.advice:
                typer.echo(f"    {finding.advice}")
    told = report(findings)
    if as_json:
        print_json(told)
    if not told["ok"]:
        raise typer.Exit(FAILED)
