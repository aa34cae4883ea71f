"""The command `deltabar`. What a command needs is imported when it runs, so that `--help` answers at once."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from service.doctor_cli import doctor
from service.keys_cli import keys
from service.options import DataDir, fail, read_settings

EPILOG = """
**Example.** `deltabar serve`, then from another shell
`curl -X POST -T data.csv "http://127.0.0.1:8000/v1/datasets?name=data"`, and on as the README shows.

**Environment.** Every setting is a variable; an option wins over it.

- `DELTABAR_DATA_DIR`, `DELTABAR_HOST`, `DELTABAR_PORT`: as the options of `serve`
- `DELTABAR_DATABASE_URL`: the database, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE` or, by default, an SQLite file
  in the data folder
- `DELTABAR_REQUIRE_KEYS`: whether requests need an API key: `true`, `false`, or `auto`, unless the address is loopback
- `DELTABAR_ADMIN_KEY`: the secret of a key with the scope admin; better as a file, `/run/secrets/deltabar_admin_key`,
  and so may any setting be
- `DELTABAR_MAX_UPLOAD_BYTES`, `DELTABAR_MAX_BODY_BYTES`, `DELTABAR_MAX_COLUMNS`, `DELTABAR_MAX_ROWS`,
  `DELTABAR_MAX_RECORD_BYTES`, `DELTABAR_MAX_CELL_BYTES`, `DELTABAR_MAX_TABLE_BYTES`, `DELTABAR_MAX_EXPANDED_BYTES`,
  `DELTABAR_MAX_EXPANSION`, `DELTABAR_MAX_PARAMETERS`, `DELTABAR_MAX_PREDICT_ROWS`, `DELTABAR_MAX_EVALUATE_ROWS`: limits
  of what is accepted
- `DELTABAR_INGEST_PROCESSES`, `DELTABAR_INGEST_MEMORY_BYTES`, `DELTABAR_INGEST_SECONDS`: how many data sets are read at
  a time, and what each may take
- `DELTABAR_WORKERS`: as the option of `serve`
- `DELTABAR_THREADS`: how many threads a worker trains with, all cores if 0; with several workers on one machine give
  each its share
- `DELTABAR_DEVICES`, `DELTABAR_SLOTS`, `DELTABAR_JOB_MEMORY_BYTES`, `DELTABAR_DEVICE_MEMORY_BYTES`: where a worker
  trains, how many jobs at a time on each device, and how much memory and how much of a GPU's each may have
- `DELTABAR_CHECKPOINT_SECONDS`, `DELTABAR_STALL_SECONDS`: how often a training's state is kept, and how long it may be
  silent
- `DELTABAR_LOG_FORMAT`: `text`, `json`, or `auto`: text on a terminal, JSON elsewhere
- `DELTABAR_LEASE_SECONDS`, `DELTABAR_POLL_SECONDS`, `DELTABAR_MAX_ATTEMPTS`: how workers keep and repeat jobs

**Exit codes.** 0: done · 1: failed, and the message says why · 2: wrong arguments or settings · 130: interrupted
"""

app = typer.Typer(
    name="deltabar",
    help="Trains fully connected neural networks: as a service over HTTP, on CPU and GPU.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(keys)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"deltabar {installed_version('deltabar')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


@app.command()
def serve(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; others than loopback need API keys. [default: 127.0.0.1]", metavar="ADDRESS"
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; 0 takes a free one. [default: 8000]", max=65535, min=0)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Workers beside the API; 0 where `deltabar worker` runs elsewhere. [default: 1]", min=0, max=64
        ),
    ] = None,
    data_dir: DataDir = None,
    watch_stdin: Annotated[
        bool, typer.Option("--watch-stdin", help="Stop when standard input ends; for programs that start the service.")
    ] = False,
) -> None:
    """Run the HTTP API and its workers, one by default, until Ctrl-C.

    The API is described at `/openapi.json`.

    Example: `deltabar serve --port 9000 --data-dir /var/lib/deltabar`
    """
    settings = read_settings(host=host, port=port, workers=workers, data_dir=data_dir)
    from service import logs, serving
    from service.data_dir import CannotStart, demand_keys, prepare
    from service.doctor import tell

    logs.configure(settings.log_format)
    try:
        with serving.listen(settings) as bound:
            prepare(settings)
            demand_keys(settings)
            if not settings.workers:  # else they tell, who have most to do with it
                tell(settings)
            from service.app import create_app  # by far the slowest import, of no use when the above has failed

            url = serving.url_of(bound)

            def announce() -> None:
                typer.echo(f"deltabar listens on {url} (the API: {url}/openapi.json)")
                typer.echo(f"data lies in {settings.data_dir.resolve()}; Ctrl-C stops")
                sys.stdout.flush()

            serving.serve(settings, create_app(settings), bound, announce, watch_stdin)
    except CannotStart as error:
        fail(str(error))
    typer.echo("deltabar has stopped")


@app.command()
def worker(data_dir: DataDir = None) -> None:
    """Run one more worker on the data of a running service, until Ctrl-C.

    `deltabar serve` has a worker already; another one trains a second job at the same time. When it is stopped, it
    hands the job that it trains back to the queue.

    Example: `deltabar worker --data-dir /var/lib/deltabar`
    """
    settings = read_settings(data_dir=data_dir)
    from service import logs
    from service.data_dir import CannotStart
    from service.worker import work

    logs.configure(settings.log_format)
    try:
        work(settings)
    except CannotStart as error:
        fail(str(error))


app.command()(doctor)


@app.command()
def demo(
    data: Annotated[Path, typer.Argument(help="The Palmer penguins as CSV; it comes with deltabar's sources.")] = Path(
        "tests/data/penguins.csv"
    ),
    output: Annotated[Path, typer.Option(help="Folder for weights, loss curve and log; made when missing.")] = Path(
        "demo-output"
    ),
) -> None:
    """Train a network on the penguins through a real service, and show all that comes back.

    Starts the service on a free port with data of its own, uploads the table, follows the job, downloads weights and
    loss curve, predicts three rows, and stops the service. Fails if fewer than 97 % of the held-out rows are right.

    Example: `deltabar demo --output /tmp/penguins`
    """
    from service.demo import DemoFailed, run

    try:
        run(data, output)
    except DemoFailed as error:
        fail(str(error))


@app.command()
def version() -> None:
    """Print the version."""
    _version(True)


def main() -> NoReturn:
    """Run the command line; this is what the console script `deltabar` calls."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


if __name__ == "__main__":
    main()
