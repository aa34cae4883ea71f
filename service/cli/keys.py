"""`deltabar keys`: makes, lists and revokes API keys, in the tables of the settings."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.caller import SCOPES, Scope
from service.cli.options import WRONG_ARGUMENTS, AsJson, DataDir, fail, print_json, read_settings
from service.cli.panels import SERVICE

if TYPE_CHECKING:
    from service.db import Database
    from service.settings import Settings

app = typer.Typer(name="keys", help="Make, list and revoke API keys.", no_args_is_help=True, rich_help_panel=SERVICE)

OWNER = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
SCOPES_HELP = "; ".join(f"{name}: {meaning}" for name, meaning in SCOPES.items())


@app.command()
def create(
    owner: Annotated[str, typer.Option(help="Whose data sets, jobs and models it sees and makes.", metavar="NAME")],
    name: Annotated[str, typer.Option(help="What you are to know it by.", metavar="TEXT")] = "",
    scope: Annotated[list[Scope] | None, typer.Option(help=f"{SCOPES_HELP}. [default: write]")] = None,
    max_running: Annotated[int | None, typer.Option(help="Most of its jobs that run at a time.", min=1)] = None,
    expires: Annotated[int | None, typer.Option(help="Days until it expires.", min=1, metavar="DAYS")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print its secret, this once.

    Several keys may have one owner. The owner `local` has what was made while keys were off. The secret alone goes to
    standard output, and what is said about it to standard error.

    Example: `deltabar keys create --owner ann --max-running 2 > ann.key`
    """
    settings = read_settings(data_dir=data_dir)
    if not re.fullmatch(OWNER, owner):
        allowed = "up to 64 letters, digits, dots, dashes, underscores and @, of which the first is a letter or digit"
        fail(f"--owner = {owner!r} can't be an owner; allowed: {allowed}", WRONG_ARGUMENTS)
    from service import keys as api_keys

    with _database(settings) as database:
        key, secret = api_keys.create(
            database, owner=owner, name=name, scopes=scope or [Scope.WRITE], max_running=max_running, days=expires
        )
    if as_json:
        print_json({"id": key.id, "owner": key.owner, "secret": secret})
        return
    typer.echo(f"{key.id} is a key of {key.owner}. Its secret isn't kept, and is shown only now:", err=True)
    typer.echo(secret)


@app.command("list")
def list_keys(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List every key, the oldest first; secrets aren't kept.

    Example: `deltabar keys list`
    """
    settings = read_settings(data_dir=data_dir)
    from service import keys as api_keys
    from service.terminal.listing import columns

    with _database(settings) as database:
        found = api_keys.list_keys(database)
    now = time.time()
    listed: list[dict[str, Any]] = []
    for key in found:
        over = key.expires_at is not None and key.expires_at <= now
        state = "revoked" if key.revoked_at is not None else "expired" if over else "usable"
        told = ("id", "owner", "scopes", "max_running", "created_at", "expires_at", "name")
        listed.append({name: getattr(key, name) for name in told} | {"state": state})
    if as_json:
        print_json({"object": "list", "data": listed})
        return
    head = ("ID", "OWNER", "SCOPES", "MAX RUNNING", "MADE", "EXPIRES", "STATE", "NAME")
    rows = [
        (
            key["id"],
            key["owner"],
            ",".join(key["scopes"]),
            key["max_running"],
            _day(key["created_at"]),
            _day(key["expires_at"]),
            key["state"],
            key["name"],
        )
        for key in listed
    ]
    typer.echo(columns(head, rows))


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `deltabar keys list` shows it.", metavar="ID")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key useless, within a second; its owner's rows stay, and its jobs go on.

    Example: `deltabar keys revoke key_0193…`
    """
    settings = read_settings(data_dir=data_dir)
    from service import keys as api_keys

    with _database(settings) as database:
        known = api_keys.revoke(database, key_id)
    if not known:
        fail(f"there is no key with the id {key_id!r}; `deltabar keys list` shows every one")
    if as_json:
        print_json({"revoked": [key_id]})
    else:
        typer.echo(f"{key_id} is revoked", err=True)


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    from service.data_dir import CannotStart, prepare
    from service.db import Database

    try:
        prepare(settings)
    except CannotStart as error:
        fail(str(error))
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        database.close()


def _day(at: float | None) -> str | None:
    return None if at is None else time.strftime("%Y-%m-%d", time.localtime(at))
