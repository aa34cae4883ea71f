"""How the bytes of a data set are to be read: what its owner has said of them, and "auto" for the rest."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from service.datasets.schemas import ChosenKind
from service.problems import echo, invalid
from service.schemas import FieldError

CHOOSABLE = get_args(ChosenKind)
MOST_KINDS = 10_000

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
QUOTES = {"double": '"', "single": "'", "none": None}
ENCODINGS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "latin-1": "latin-1",
    "cp1252": "cp1252",
}


class Options(BaseModel):
    """What can be said of the bytes as a whole; what is about CSV is without effect on other formats."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["auto", "csv", "parquet", "jsonl", "json", "npy", "npz"] = Field(
        default="auto", description="auto tells it from the bytes; gzip and zstd around a text are always found out"
    )
    delimiter: Literal["auto", "comma", "semicolon", "tab", "pipe"] = Field(
        default="auto", description="CSV: what stands between the fields; auto is what the first lines have in common"
    )
    quote: Literal["double", "single", "none"] = Field(default="double", description="CSV: what stands around fields")
    header: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="CSV: whether the first line has the names; auto says no where all its fields are numbers. "
        "Without names the columns are column_1, column_2, …",
    )
    encoding: Literal["auto", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"] = Field(
        default="auto", description="Of CSV and JSON; auto is UTF-8, or what a byte order mark says"
    )
    decimal: Literal["auto", "point", "comma"] = Field(
        default="auto", description="CSV: auto is comma where the delimiter isn't one and the first lines have 1,5"
    )
    dates: Literal["auto", "ymd", "dmy", "mdy"] = Field(
        default="auto",
        description="The order of day, month and year; auto takes 01/02/2003 for text where both would do",
    )


class Reading(Options):
    """Options, and the kinds of columns.

    Two readings of the same bytes are two data sets where their owner has said different things of them.
    """

    kinds: Annotated[dict[str, ChosenKind], Field(max_length=MOST_KINDS)] = {}

    def identity(self, sha256: str) -> str:
        """Return what tells this reading of the bytes with this sha-256 from others: for the default, their sha-256."""
        said = self.model_dump(exclude_defaults=True)
        if not said:
            return sha256
        return hashlib.sha256(f"{sha256}{json.dumps(said, sort_keys=True)}".encode()).hexdigest()


def kinds_of(given: list[str]) -> dict[str, ChosenKind]:
    """Return the kinds that texts such as "zip code:categorical" give to columns; raises `Problem` (422).

    >>> kinds_of(["zip:categorical", "a:b:text"])
    {'zip': 'categorical', 'a:b': 'text'}
    """
    kinds: dict[str, ChosenKind] = {}
    errors = []
    for text in given:
        name, _, kind = text.rpartition(":")
        if not name or kind not in CHOOSABLE:
            message = "input should be the name of a column, a colon, and a kind"
            allowed = f"<column>:<kind>, where the kind is one of: {', '.join(CHOOSABLE)}"
            errors.append(FieldError(field="query.kind", value=echo(text), message=message, allowed=allowed))
        else:
            kinds[name] = kind  # type: ignore[assignment] -- one of CHOOSABLE
    if errors:
        raise invalid(errors[:100])
    return kinds
