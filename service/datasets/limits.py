"""How much a data set may take of the disk and of memory. Every limit is a setting; a body beyond one is refused."""

from __future__ import annotations

from pydantic import BaseModel

from service.settings import Settings


class Limits(BaseModel):
    """The settings that reading a data set obeys, under their own names; `Settings` has their units and defaults."""

    max_expanded_bytes: int
    max_expansion: int
    max_table_bytes: int
    max_rows: int
    max_columns: int
    max_record_bytes: int
    max_cell_bytes: int
    max_members: int
    max_header_bytes: int
    max_window_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return those of `settings`."""
        return cls.model_validate(settings.model_dump(include=set(cls.model_fields)))


def up_to(limit: int, unit: str, setting: str) -> str:
    """Return what is allowed, in words.

    >>> up_to(20, "columns", "max_columns")
    'up to 20 columns (the setting DELTABAR_MAX_COLUMNS)'
    """
    return f"up to {limit} {unit} (the setting DELTABAR_{setting.upper()})"
