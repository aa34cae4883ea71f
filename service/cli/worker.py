"""`deltabar worker`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import AsJson, DataDir, fail, print_json, print_line, read_settings
from service.cli.panels import SERVICE

app = typer.Typer()


@app.command(rich_help_panel=SERVICE)
def worker(
    data_dir: DataDir = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Start none: say whether one runs on this machine and can train, and end with 1 if not. For the "
            "health check of a container.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run one more worker on the data of a running service, until Ctrl-C.

    `deltabar serve` has a worker already; another one trains a second job at the same time. When it is stopped, it
    hands the job that it trains back to the queue. With --json, a line says that it waits for jobs, once it does.

    Example: `deltabar worker --data-dir /var/lib/deltabar`
    """
    settings = read_settings(data_dir=data_dir)
    if check:
        from service.liveness import NoWorker, worker_here

        try:
            devices = worker_here(settings)
        except NoWorker as error:
            fail(str(error))
        if as_json:
            print_json({"devices": devices})
        else:
            typer.echo(f"a worker trains on {', '.join(devices)}")
        return
    from service import logs
    from service.data_dir import CannotStart
    from service.worker import work

    logs.configure(settings.log_format)
    try:
        work(settings, print_line if as_json else None)
    except CannotStart as error:
        fail(str(error))
