"""Things that a user may give by name or as an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Thing = TypeVar("Thing")


def by_name(kind: str, choice: object, known: Mapping[str, Thing], family: type[Thing]) -> Thing:
    """Return the `kind` called `choice`, or `choice` itself where it is a `family` already.

    Raises:
        ValueError: for a name that isn't in `known`, and for any other object; the message lists the known names.

    >>> by_name("activation", "relux", {"relu": 1, "tanh": 2}, int)
    Traceback (most recent call last):
    ...
    ValueError: activation: there is no 'relux'; allowed are relu, tanh, or an object of the class int
    """
    if isinstance(choice, family):
        return choice
    if isinstance(choice, str) and choice in known:
        return known[choice]
    names = ", ".join(known)
    raise ValueError(
        f"{kind}: there is no {choice!r}; allowed are {names}, or an object of the class {family.__name__}"
    )
