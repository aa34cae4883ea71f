"""A job as it is put together in a shell: a JSON file, and fields that are set one by one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.cli.options import WRONG_ARGUMENTS, fail, pair


def document(target: str | None, spec: Path | None, sets: Sequence[str] | None) -> dict[str, Any]:
    """Return the fields of the job, checked by nobody yet; ends the program where they can't be put together.

    Args:
        target: the column to predict.
        spec: a file with a JSON object.
        sets: texts such as "optimizer.learning_rate=0.01", the later ones on top of the earlier.
    """
    fields = _read(spec) if spec else {}
    for text in sets or ():
        name, value = pair("--set", text)
        put(fields, name.split("."), _value(value), text)
    if target is not None:
        fields["target"] = target
    if "target" not in fields:
        fail("--target is missing: the name of the column to predict", WRONG_ARGUMENTS)
    return fields


def put(fields: dict[str, Any], path: Sequence[str], value: Any, text: str) -> None:
    """Put `value` where `path` leads.

    What is chosen by its name keeps it when a number of it is set: "optimizer=adamw", then "optimizer.weight_decay=0".
    A number in the path is a place in a list; where there is none yet, it is the one that jobs have by default.
    """
    here: Any = fields
    for depth, step in enumerate(path[:-1]):
        key: Any = _place(here, step, path, text)
        there = here.get(key) if isinstance(here, dict) else here[key]
        if isinstance(there, str):
            there = {"name": there}
        if not isinstance(there, dict | list):
            default = _default(path[: depth + 1]) if path[depth + 1].isdecimal() else None
            there = default if isinstance(default, list) else {}
        here[key] = there
        here = there
    last: Any = _place(here, path[-1], path, text)
    here[last] = value


def _place(of: Any, step: str, path: Sequence[str], text: str) -> str | int:
    if isinstance(of, dict):
        return step
    if not step.isdecimal() or int(step) >= len(of):
        allowed = f"from 0 to {len(of) - 1}" if of else "none, as the list is empty"
        where = ".".join(path)
        fail(f"--set = {text!r}: {step!r} is no place in the list of {where}; allowed: {allowed}", WRONG_ARGUMENTS)
    return int(step)


def _default(path: Sequence[str]) -> Any:
    from service.jobs.request import JobRequest  # takes its time, and is seldom needed

    here: Any = {
        name: field.get_default(call_default_factory=True) for name, field in JobRequest.model_fields.items()
    }.get(path[0])
    here = here.model_dump(mode="json") if hasattr(here, "model_dump") else here
    for step in path[1:]:
        if isinstance(here, list):
            here = here[int(step)] if step.isdecimal() and int(step) < len(here) else None
        else:
            here = here.get(step) if isinstance(here, dict) else None
    return here


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_bytes())
    except OSError as error:
        fail(f"--spec = {str(path)!r}: {error.strerror}", WRONG_ARGUMENTS)
    except ValueError as error:
        fail(f"--spec = {str(path)!r}: it isn't JSON: {error}", WRONG_ARGUMENTS)
    if not isinstance(fields, dict):
        fail(f"--spec = {str(path)!r}: expected an object with the fields of a job", WRONG_ARGUMENTS)
    return fields
