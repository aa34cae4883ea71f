"""Models in other formats than our own: made when they are first asked for, and kept beside the weights.

`write` runs in a process of its own (`service.aside`): importing onnx and writing a large network would hold up the
web process. Whatever several processes do at once, a file is visible when it is whole.
"""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import IO

import numpy as np
from safetensors.numpy import load_file

from service.models.predictor import WEIGHTS, load
from service.models.schemas import WeightsFormat
from service.storage import Storage

MEDIA_TYPES = {"safetensors": "application/octet-stream", "npz": "application/zip", "onnx": "application/octet-stream"}


def key_of(folder: str, format: WeightsFormat) -> str:
    """Return the storage key of the file in `format` of the model below `folder`.

    What another version of deltabar has written isn't looked at: this one may do it better.
    """
    return f"{folder}/{WEIGHTS}" if format == "safetensors" else f"{folder}/exported-{version('deltabar')}.{format}"


def write(storage: Storage, folder: str, format: WeightsFormat, metadata: dict[str, str]) -> None:
    """Write the file, unless it is there.

    Args:
        storage: where models are.
        folder: the storage key of the model.
        format: "npz" or "onnx"; weights are there as safetensors anyway.
        metadata: what an ONNX file tells of itself.

    Raises:
        ValueError: the model can't be written in this format.
        FileNotFoundError: the model isn't there any more.
    """
    key, model = key_of(folder, format), storage.path(folder)
    if storage.path(key).is_file():
        return
    with storage.draft() as draft:
        with draft.open("xb") as file:
            write_to(file, model, format, metadata)
        storage.publish(draft, key)
    if not (model / WEIGHTS).is_file():  # it was deleted meanwhile
        storage.delete(folder)
        raise FileNotFoundError(model)


def write_to(file: IO[bytes], model: Path, format: WeightsFormat, metadata: dict[str, str]) -> None:
    """Write the model in the folder `model` to `file`; raises ValueError where it can't be written in this format."""
    match format:
        case "safetensors":
            with (model / WEIGHTS).open("rb") as weights:
                shutil.copyfileobj(weights, file)
        case "npz":
            np.savez(file, allow_pickle=False, **load_file(model / WEIGHTS))
        case "onnx":
            from service.models.onnx_export.export import to_onnx

            file.write(to_onnx(load(model), metadata))
