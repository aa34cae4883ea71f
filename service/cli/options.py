"""What the commands have in common: their options, settings from options and environment, and how they fail."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from service.client import Client
    from service.schemas import FieldError
    from service.settings import Settings

FAILED, WRONG_ARGUMENTS, NOT_TRAINED, NO_ANSWER, INTERRUPTED = 1, 2, 3, 4, 130
REFUSED = (400, 404, 413, 415, 422)
"""HTTP statuses that are about what was given."""
OF_CLIENTS = {"DELTABAR_URL", "DELTABAR_API_KEY", "DELTABAR_API_KEY_FILE"}
"""No settings, but what the clients read."""
OF_CORE = {"DELTABAR_CACHE_DIR"}
"""Nor is this: `core` reads it, in a service or without one."""

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the database and of all files; made when missing. [default: deltabar-data]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there already.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A field of the job and its value, as often as there are fields to set: epochs=50, "
        "optimizer.learning_rate=0.01, optimizer=adamw, network.layers.0.units=16, early_stopping={}. A value is read "
        "as JSON, and taken for text where it isn't any.",
        metavar="FIELD=VALUE",
    ),
]
Spec = Annotated[
    Path | None,
    typer.Option("--spec", help="JSON file with fields of the job, which --set changes.", metavar="FILE"),
]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        help="What a column of the file counts as: numeric, categorical, boolean, date, text or identifier.",
        metavar="COLUMN:KIND",
    ),
]
Read = Annotated[
    list[str] | None,
    typer.Option(
        "--read",
        help="How the file is to be read where that isn't found out: delimiter=semicolon, quote=single, header=no, "
        "decimal=comma, dates=dmy, encoding=latin-1, format=csv.",
        metavar="OPTION=VALUE",
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        envvar="DELTABAR_URL",
        help="Where the service listens. [default: http://127.0.0.1:8000]",
        metavar="URL",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        envvar="DELTABAR_API_KEY_FILE",
        help="File with the secret of an API key, where it isn't in the variable DELTABAR_API_KEY.",
        metavar="FILE",
    ),
]
Limit = Annotated[int, typer.Option(help="How many to list, the newest first.", min=1, max=100)]
After = Annotated[str | None, typer.Option(help="List those that come after this id.", metavar="ID")]


def read_settings(**chosen: object) -> Settings:
    """Return the settings, from options first, then from the environment; ends the program when one is wrong."""
    from pydantic import ValidationError

    from service.settings import SECRETS, Settings

    given = {name: value for name, value in chosen.items() if value is not None}
    known = {f"DELTABAR_{name.upper()}" for name in Settings.model_fields}
    variables = {name for name in os.environ if name.startswith("DELTABAR_")} - OF_CLIENTS - OF_CORE
    unknown = sorted((variables | {path.name.upper() for path in SECRETS.glob("deltabar_*")}) - known)
    if unknown:
        fail(f"{unknown[0]} is not a setting. Settings: {', '.join(sorted(known))}.", WRONG_ARGUMENTS)
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = []
        for item in error.errors():
            name = str(item["loc"][0])
            where = f"--{name.replace('_', '-')}" if name in given else f"DELTABAR_{name.upper()}"
            shown = "" if name == "admin_key" else f" = {item['input']!r}"
            lines.append(f"{where}{shown}: {item['msg'].removeprefix('Value error, ')}")
        fail("\n".join(lines), WRONG_ARGUMENTS)


@contextmanager
def connected(url: str | None, key_file: Path | None) -> Iterator[Client]:
    """Yield a client of the service; ends the program with the reason when it refuses, or doesn't answer."""
    from httpx import InvalidURL

    from service.client import Client, DeltabarError

    if url and not url.startswith(("http://", "https://")):
        fail(f"--url = {url!r}: it isn't an address; allowed: such as http://127.0.0.1:8000", WRONG_ARGUMENTS)
    try:
        secret = None if key_file is None else key_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        fail(f"--api-key-file = {str(key_file)!r}: it can't be read: {_reason(error)}", WRONG_ARGUMENTS)
    try:
        with Client(url, api_key=secret) as client:
            yield client
    except InvalidURL as error:
        fail(f"--url = {url!r}: {error}; allowed: such as http://127.0.0.1:8000", WRONG_ARGUMENTS)
    except BrokenPipeError:
        raise  # whoever reads what is printed has had enough, as `head` has: Typer ends the program without a word
    except DeltabarError as error:
        fail(said(error.detail, error.errors), WRONG_ARGUMENTS if error.status in REFUSED else FAILED)
    except ConnectionError as error:
        fail(str(error), NO_ANSWER)
    except OSError as error:
        fail(_reason(error))


@contextmanager
def local() -> Iterator[None]:
    """End the program with the reason when what is done within, on files, is refused or fails."""
    from service.local.model import NoModel
    from service.local.writing import Taken
    from service.problems import Problem
    from service.training.cannot_train import CannotTrain

    try:
        yield
    except Problem as problem:
        fail(said(problem.detail, problem.errors), WRONG_ARGUMENTS)
    except (NoModel, Taken) as error:
        fail(str(error), WRONG_ARGUMENTS)
    except CannotTrain as error:
        fail(str(error), NOT_TRAINED)
    except MemoryError as error:
        fail(f"this needs more memory than there is ({error})")
    except BrokenPipeError:
        raise  # as above
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        fail(_reason(error), WRONG_ARGUMENTS)
    except OSError as error:
        fail(_reason(error))


def delete_each(
    ids: Sequence[str], url: str | None, key_file: Path | None, delete: Callable[[Client, str], None], *, as_json: bool
) -> None:
    """Delete what has these ids, one after the other, and say so."""
    with connected(url, key_file) as client:
        for each in ids:
            delete(client, each)
            if not as_json:
                typer.echo(f"{each} is deleted")
    if as_json:
        print_json({"deleted": ids})


def check_free(path: Path, force: bool) -> None:
    """End the program where the file that is to be written is there already, unless it is to be overwritten."""
    from service.local import writing

    try:
        writing.check_free(path, force)
    except writing.Taken as taken:
        fail(str(taken), WRONG_ARGUMENTS)


def tell_file(path: Path, *, as_json: bool, **told: object) -> None:
    """Print which file was written, and how large it is."""
    size = path.stat().st_size
    if as_json:
        print_json({"path": str(path), **told, "bytes": size})
    else:
        typer.echo(f"{path}: {size} bytes")


def said(detail: str, errors: Sequence[FieldError]) -> str:
    """Return a refusal as a line for each field: what is wrong, the value, and what is allowed."""
    lines = []
    for error in errors:
        given = [] if error.value is None else [f"given: {json.dumps(error.value, ensure_ascii=False)}"]
        allowed = [f"allowed: {error.allowed}"] if error.allowed else []
        where = "" if error.field == "body" else f"{error.field.removeprefix('query.')}: "  # the whole of a file
        lines.append(where + error.message + (f" ({'; '.join([*given, *allowed])})" if given or allowed else ""))
    return "\n".join(lines) or detail


def read_options(given: Sequence[str] | None) -> dict[str, Any]:
    """Return what `--read` says; ends the program where one isn't OPTION=VALUE."""
    return dict(pair("--read", text) for text in given or ())


def pair(option: str, text: str) -> tuple[str, str]:
    """Return the two sides of the `=` in what was given to an option; ends the program where there is none."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        fail(f"{option} = {text!r}: there is no name and value in it; allowed: such as name=value", WRONG_ARGUMENTS)
    return name, value


def print_json(value: Any) -> None:
    """Print a document, or a model of the API, as JSON."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_line(document: dict[str, Any]) -> None:
    """Print a document as a line of JSON, at once: of a program that goes on, for one that reads along."""
    typer.echo(json.dumps(document, ensure_ascii=False))  # which flushes


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the program with `message` on standard error."""
    typer.secho(f"deltabar: {message}", err=True, fg=typer.colors.RED)
    raise typer.Exit(code)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
