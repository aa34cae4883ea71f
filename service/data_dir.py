"""The folder of all files, and the tables: made and checked before a service or a worker starts on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alembic.util import CommandError
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from service.db import Database
from service.keys import any_usable, keep_admin
from service.settings import Settings
from service.storage import Storage


class CannotStart(Exception):  # noqa: N818 -- it reads as the sentence that it is
    """The service or the worker can't start; the message says why and what to do."""


def prepare(settings: Settings) -> None:
    """Make the data folder if it is missing, and bring the tables to this version's shape.

    Raises:
        CannotStart: when the folder can't be written to, when the database can't be used, or when what is there isn't
            ours.
    """
    folder = settings.data_dir
    other = "Choose another folder with --data-dir (or DELTABAR_DATA_DIR)"
    try:
        Storage(folder / "files")
        database = Database(settings.database_url)
    except OSError as error:
        raise CannotStart(f"can't write to the data folder {folder}: {error.strerror}. {other}.") from error
    except ValueError as error:
        raise CannotStart(str(error)) from error
    if not database.is_file:
        other = "Check that the server runs, and that DELTABAR_DATABASE_URL names it"
    try:
        database.migrate()
    except SQLAlchemyError as error:
        reason = getattr(error, "orig", None) or error
        raise CannotStart(f"can't use the database {database.shown}: {str(reason).strip()}. {other}.") from error
    except CommandError as error:
        raise CannotStart(
            f"the database {database.shown} is of another version of deltabar: {error}. "
            f"Use the version that made it, or a newer one. {other}."
        ) from error
    finally:
        database.close()


@dataclass(frozen=True)
class Standing:
    """How a database stands: its URL without the password, its tables to this version's, and whether a key is good."""

    shown: str
    tables: Literal["missing", "older", "current", "unknown"]
    has_key: bool


def standing(settings: Settings) -> Standing:
    """Return how the database stands, and make nothing; raises what the database raises, and ValueError for its URL."""
    file = make_url(settings.database_url).database or ""
    if settings.database_url.startswith("sqlite") and not Path(file).is_file():
        return Standing(settings.database_url, "missing", False)
    database = Database(settings.database_url)
    try:
        tables = database.tables()
        return Standing(database.shown, tables, tables == "current" and any_usable(database))
    finally:
        database.close()


def demand_keys(settings: Settings) -> None:
    """Make the key that the settings hold; raise `CannotStart` where keys are required and none can be used."""
    if not settings.keys_required and settings.admin_key is None:
        return
    database = Database(settings.database_url)
    try:
        if settings.admin_key is not None:
            keep_admin(database, settings.admin_key.get_secret_value())
        if settings.keys_required and not any_usable(database):
            raise CannotStart(
                f"on {settings.host} every request needs an API key, and there is none, or none that is still good. "
                "Make one, for the same data: `deltabar keys create --owner NAME`; or give one as DELTABAR_ADMIN_KEY, "
                "or as the file of a secret, /run/secrets/deltabar_admin_key."
            )
    finally:
        database.close()
