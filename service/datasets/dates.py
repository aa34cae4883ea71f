"""Dates and times as people write them; each column has one way throughout. They are kept as they stand, or in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

_ISO = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d")
_DAY_FIRST = ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y")
ORDERS = {"ymd": _ISO, "dmy": _DAY_FIRST, "mdy": _MONTH_FIRST, "auto": (*_ISO, *_DAY_FIRST, *_MONTH_FIRST)}
_TIMES = (" %H:%M:%S%.f", "T%H:%M:%S%.f", " %H:%M", "T%H:%M", "T%H:%M:%S%.f%#z", " %H:%M:%S%.f%#z")
_LOOKS = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d\d.*)?")
TYPE = pl.Datetime("us")


def parse(text: pl.Expr, format: str) -> pl.Expr:
    """Return the times that texts of `format` spell, null for others; those with an offset in UTC.

    >>> pl.select(parse(pl.lit("31.01.2007"), "%d.%m.%Y")).item()
    datetime.datetime(2007, 1, 31, 0, 0)
    """
    if "%H" not in format:
        time = text.str.to_date(format, strict=False).cast(TYPE)
    else:
        # A stray Z is +00:00, which the formatter doesn't know.
        text = text.str.replace("Z$", "+00:00") if "%#z" in format else text
        time = text.str.to_datetime(format, strict=False, time_unit="us")
        time = time.dt.replace_time_zone(None) if "%#z" in format else time
    return pl.when(time.dt.year() >= 1000).then(time)  # 1.2.3 is a version, and no day of the year 3


def format_of(texts: pl.Series, order: str) -> str | None:
    """Return the format in which every text of a column is a date, or None where there is none, or are two.

    Args:
        texts: without blanks, null for missing ones.
        order: of day, month and year: "ymd", "dmy", "mdy", "auto".

    >>> format_of(pl.Series(["13/01/2007", "02/01/2007"]), "auto")
    '%d/%m/%Y'
    >>> format_of(pl.Series(["02/01/2007"]), "auto") is None
    True
    """
    present = texts.drop_nulls() if texts.null_count() else texts
    if present.is_empty() or not _LOOKS.fullmatch(present[0]):
        return None
    found = list(_fitting(present, order))
    return found[0] if len(found) == 1 else None


def _fitting(texts: pl.Series, order: str) -> Iterator[str]:
    frame = pl.DataFrame({"text": texts})
    times = _TIMES if ":" in texts[0] else ("",)
    formats = [day + time for day in ORDERS[order] for time in times]
    fits = {format: parse(pl.col("text"), format).is_not_null().all().alias(format) for format in formats}
    may = frame[:100].select(fits.values()).row(0, named=True)  # in one query, as most columns of texts fit none
    for day in ORDERS[order]:
        for time in times:
            if may[day + time] and frame.select(fits[day + time]).item():
                yield day + time
                break  # the next times would take the same texts
