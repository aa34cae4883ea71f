"""Tensors of the Open Inference Protocol as lists of values, and back: in JSON, and in the binary extension.

In binary, numbers are little-endian and stand one after the other in row-major order; each value of BYTES stands behind
its length, four bytes. (https://github.com/triton-inference-server/server/blob/main/docs/protocol, binary data)
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.models.inference_schemas import Datatype

NUMBERS: Mapping[Datatype, str] = {
    **{"UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8"},
    **{"INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8"},
    **{"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"},
}
_BOOL = "?"
_LENGTH = struct.Struct("<I")


def of_json(data: list[Any]) -> list[Any]:
    """Return the values of a tensor of shape (n,) or (n, 1), which may be nested; NaN and "" are missing: None.

    >>> of_json([[1.5], [float("nan")]]), of_json(["a", ""])
    ([1.5, None], ['a', None])
    """
    flat = [each[0] if isinstance(each, list) and len(each) == 1 else each for each in data]
    return [None if value == "" or (isinstance(value, float) and math.isnan(value)) else value for value in flat]


def of_bytes(data: bytes, datatype: Datatype) -> list[Any]:
    """Return the values of a tensor in binary; raises ValueError where it isn't one.

    >>> of_bytes(b"\\x01\\x00\\x00\\x00a", "BYTES")
    ['a']
    """
    if datatype != "BYTES":
        return of_json(np.frombuffer(data, NUMBERS.get(datatype, _BOOL)).tolist())
    values, start = [], 0
    while start < len(data):
        if start + _LENGTH.size > len(data):
            raise ValueError("a length of four bytes is cut off")
        end = start + _LENGTH.size + _LENGTH.unpack_from(data, start)[0]
        if end > len(data):
            raise ValueError("a value is cut off")
        values.append(data[start + _LENGTH.size : end].decode())  # UnicodeDecodeError is a ValueError
        start = end
    return of_json(values)


def to_bytes(values: Sequence[Any], datatype: Datatype) -> bytes:
    """Return a tensor in binary; a missing number is NaN, a missing text "".

    >>> to_bytes(["a", None], "BYTES")
    b'\\x01\\x00\\x00\\x00a\\x00\\x00\\x00\\x00'
    """
    if datatype != "BYTES":
        return np.array(values, NUMBERS.get(datatype, _BOOL)).tobytes()
    encoded = [(text or "").encode() for text in values]
    return b"".join(_LENGTH.pack(len(text)) + text for text in encoded)
