"""`deltabar worker`."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.options import DataDir, fail, read_settings
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
) -> None:
    """Run one more worker on the data of a running service, until Ctrl-C.

    `deltabar serve` has a worker already; another one trains a second job at the same time. When it is stopped, it
    hands the job that it trains back to the queue.

    Example: `deltabar worker --data-dir /var/lib/deltabar`
    """
    settings = read_settings(data_dir=data_dir)
    if check:
        from service.liveness import NoWorker, worker_here

        try:
            typer.echo(worker_here(settings))
        except NoWorker as error:
            fail(str(error))
        return
    from service import logs
    from service.data_dir import CannotStart
    from service.worker import work

    logs.configure(settings.log_format)
    try:
        work(settings)
    except CannotStart as error:
        fail(str(error))
