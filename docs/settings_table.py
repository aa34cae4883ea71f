"""Writes the table of settings in docs/operations.md anew: `make docs`."""

from __future__ import annotations

import typing
from pathlib import Path
from types import NoneType

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service.settings import Settings

FILE = Path(__file__).with_name("operations.md")
BEGIN, END = "<!-- settings: `make docs` writes this table -->\n", "<!-- end of settings -->\n"
BOUNDS = {Ge: "≥ {0.ge:,}", Gt: "> {0.gt:,}", Le: "≤ {0.le:,}", MinLen: "≥ {0.min_length}", MaxLen: "≤ {0.max_length}"}
FROM_OTHERS = {"database_url": "`sqlite:///` and `deltabar.db` in the data folder"}
"""Defaults that follow from other settings."""


def table() -> str:
    """Return a row for each field of `Settings`: its variable, what it is, what is allowed, and its default."""
    rows = ["| Variable | What it is | Allowed | Default |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = FROM_OTHERS.get(name) or ("none" if field.default is None else f"`{field.default}`")
        description = (field.description or "").replace("|", "\\|")
        rows.append(f"| `DELTABAR_{name.upper()}` | {description} | {_allowed(field)} | {default} |")
    return "\n".join(rows) + "\n"


def _allowed(field: FieldInfo) -> str:
    kinds = [kind for kind in (typing.get_args(field.annotation) or (field.annotation,)) if kind is not NoneType]
    if typing.get_origin(field.annotation) is typing.Literal:
        return ", ".join(f"`{each}`" for each in kinds)
    said = []
    for kind in kinds:
        if typing.get_origin(kind) is typing.Literal:
            said += [f"`{each}`" for each in typing.get_args(kind)]
        else:
            said.append(_NAMES[kind])
    bounds = [text.format(each) for each in field.metadata for bound, text in BOUNDS.items() if isinstance(each, bound)]
    unit = " characters" if any(isinstance(each, MinLen) for each in field.metadata) else ""
    return ", ".join(said) + (" " + ", ".join(bounds) + unit if bounds else "")


_NAMES = {
    **{bool: "`true`, `false`", int: "integer", float: "number"},
    **{str: "text", SecretStr: "text", Path: "path"},
}


def with_table(text: str) -> str:
    """Return `text` with the table between its marks as it is to be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    FILE.write_text(with_table(FILE.read_text(encoding="utf-8")), encoding="utf-8")
