"""What the commands have in common: where the data lies, settings from options and environment, and how they fail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from service.settings import Settings

FAILED, WRONG_ARGUMENTS = 1, 2
API_KEY = "DELTABAR_API_KEY"
"""No setting, but what the Python client sends."""

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the database and of all files; made when missing. [default: deltabar-data]"),
]


def read_settings(**chosen: object) -> Settings:
    """Return the settings, from options first, then from the environment; ends the program when one is wrong."""
    from pydantic import ValidationError

    from service.settings import SECRETS, Settings

    given = {name: value for name, value in chosen.items() if value is not None}
    known = {f"DELTABAR_{name.upper()}" for name in Settings.model_fields}
    named = [*os.environ, *(path.name.upper() for path in SECRETS.glob("deltabar_*"))]
    unknown = sorted({name for name in named if name.startswith("DELTABAR_")} - {API_KEY} - known)
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


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the program with `message` on standard error."""
    typer.secho(f"deltabar: {message}", err=True, fg=typer.colors.RED)
    raise typer.Exit(code)
