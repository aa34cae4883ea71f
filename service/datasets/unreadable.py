"""The answer to a body that isn't a table, or too much of one: one problem with all that was found."""

from __future__ import annotations

from typing import Any, Literal

from service.problems import Problem, echo
from service.schemas import FieldError

MOST_FAULTS = 10
Code = Literal["unreadable_dataset", "expands_too_far"]


def fault(value: Any, message: str, allowed: str) -> FieldError:
    """Return one thing that is wrong with the uploaded bytes."""
    return FieldError(field="body", value=echo(value), message=message, allowed=allowed)


def unreadable(*faults: FieldError, code: Code = "unreadable_dataset") -> Problem:
    """Return the 422 for a body with these `faults`; 413 for one that expands too far."""
    detail = "The data set can't be read: " + "; ".join(item.message for item in faults[:3])
    if len(faults) > 3:
        detail += f"; and {len(faults) - 3} more"
    return Problem(413 if code == "expands_too_far" else 422, code, f"{detail}.", list(faults))
