"""The command `deltabar`: one file a command, which is named in `COMMANDS`.

What a command needs is imported when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, NoReturn

import typer

COMMANDS = (
    *("train", "predict", "inspect", "export"),
    *("datasets", "jobs", "models", "predictions"),
    *("serve", "worker", "keys", "doctor", "demo", "version"),
)
"""The modules of this package that have commands, in the order of the help; each has them in a Typer app, `app`."""

EPILOG = """
**Examples.** Without a service: `deltabar train data.csv --target y`, then `deltabar predict model rows.csv`. With one:
`deltabar serve`, and from another shell `deltabar jobs submit data.csv --target y --watch`. Completion in bash, zsh and
fish: `deltabar --install-completion`.

**Environment of clients.** `datasets`, `jobs`, `models` and `predictions` speak to the service at `DELTABAR_URL`, with
the API key in `DELTABAR_API_KEY`, or in the file that `DELTABAR_API_KEY_FILE` names.

**Settings.** Every setting is a variable; an option wins over it.

- `DELTABAR_DATA_DIR`, `DELTABAR_HOST`, `DELTABAR_PORT`: as the options of `serve`
- `DELTABAR_DATABASE_URL`: the database, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE` or, by default, an SQLite file
  in the data folder
- `DELTABAR_REQUIRE_KEYS`: whether requests need an API key: `true`, `false`, or `auto`, unless the address is loopback
- `DELTABAR_ALLOWED_HOSTS`: names, beside loopback's, under which requests may ask for a service that needs no keys
- `DELTABAR_ADMIN_KEY`: the secret of a key with the scope admin; better as a file, `/run/secrets/deltabar_admin_key`,
  and so may any setting be
- `DELTABAR_MAX_UPLOAD_BYTES`, `DELTABAR_MAX_BODY_BYTES`, `DELTABAR_MAX_COLUMNS`, `DELTABAR_MAX_ROWS`,
  `DELTABAR_MAX_RECORD_BYTES`, `DELTABAR_MAX_CELL_BYTES`, `DELTABAR_MAX_TABLE_BYTES`, `DELTABAR_MAX_EXPANDED_BYTES`,
  `DELTABAR_MAX_EXPANSION`, `DELTABAR_MAX_MEMBERS`, `DELTABAR_MAX_HEADER_BYTES`, `DELTABAR_MAX_WINDOW_BYTES`,
  `DELTABAR_MAX_RANGES`, `DELTABAR_MAX_PARAMETERS`, `DELTABAR_MAX_PREDICT_ROWS`, `DELTABAR_MAX_EVALUATE_ROWS`: limits of
  what is accepted
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

`DELTABAR_CACHE_DIR`, a variable only, is the folder for compiled kernels, in place of the user's folder for caches.

**Exit codes.** 0: done · 1: failed, and the message says why · 2: wrong arguments or settings, or what was given is
refused · 3: the training failed, or the job was cancelled · 4: no service answers · 130: interrupted
"""

app = typer.Typer(
    name="deltabar",
    help="Trains fully connected neural networks: from the shell, or as a service over HTTP; on CPU and GPU.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from service.cli.version import version

        version()
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


for _name in COMMANDS:
    _commands: typer.Typer = import_module(f"service.cli.{_name}").app
    app.add_typer(_commands, rich_help_panel=_commands.rich_help_panel)


def main() -> NoReturn:
    """Run the command line; this is what the console script `deltabar` calls."""
    try:
        app(prog_name="deltabar")  # also for `python -m service.cli`, and for completion
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)
