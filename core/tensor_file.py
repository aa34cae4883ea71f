"""safetensors files with a header of ours: plain data as JSON beside the arrays.

safetensors is imported where a file is written or read: training needs NumPy and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

KEY = "deltabar"
FORMAT = 1


def write(path: str | Path, kind: str, data: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write `data` and `arrays` to `path`, whole or not at all; equal ones give equal files, byte for byte.

    Raises:
        OSError: where the file can't be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # Under one key, as safetensors writes several in a random order.
    header = json.dumps({"format": FORMAT, "kind": kind, **data}, sort_keys=True)
    path = Path(path)
    draft = path.with_name(path.name + ".draft")
    try:
        save_file(dict(arrays), draft, {KEY: header})
        draft.replace(path)
    except SafetensorError as error:
        raise OSError(f"{path} can't be written: {error}") from error
    finally:
        draft.unlink(missing_ok=True)


def read(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the data and arrays that `write` wrote to `path`.

    Raises:
        ValueError: where the file isn't one of this kind.
        OSError: where it can't be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            header = json.loads((file.metadata() or {}).get(KEY, "null"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- not a mapping
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if not isinstance(header, dict) or header.pop("format", None) != FORMAT or header.pop("kind", None) != kind:
        raise ValueError(
            f"{path} is not a {kind} saved by deltabar: its header has no {KEY!r} of this kind and format {FORMAT}"
        )
    return header, arrays
