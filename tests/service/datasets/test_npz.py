"""NPZ files: what is read, and what is said of the others before memory is taken for them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets.readers import read_table
from service.problems import Problem
from tests.service.datasets.conftest import MAX_BYTES, MAX_COLUMNS, App

X = np.array([[1.5, 2.0], [np.nan, 4.0], [0.25, -1.0]])
Y = np.array(["a", "b", "a"])


def npz(compress: bool = False, **arrays: Any) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(file, **arrays)
    return file.getvalue()


def npy(shape: tuple[int, ...], descr: str = "<f8", values: bytes = b"") -> bytes:
    """An array's file whose header claims what it likes."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": descr})
    return file.getvalue() + values


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("x", "y", "rows"),
    [
        (X, Y, [(1.5, 2, "a"), (None, 4, "b"), (0.25, -1, "a")]),
        (X.astype(np.float32), Y == "a", [(1.5, 2, True), (None, 4, False), (0.25, -1, True)]),
        (X.astype(np.float16), np.array([3, 1, 2], np.uint8), [(1.5, 2, 3), (None, 4, 1), (0.25, -1, 2)]),
        (X.astype(">f8"), np.array([3, 1, 2], ">i2"), [(1.5, 2, 3), (None, 4, 1), (0.25, -1, 2)]),
        (X.astype(np.longdouble), np.array([0.5, np.nan, 1]), [(1.5, 2, 0.5), (None, 4, None), (0.25, -1, 1)]),
        (X > 1, np.array(["é", "NA", " a "], ">U3"), [(True, True, "é"), (False, True, None), (False, False, "a")]),
        (np.array([[2**63], [1]], np.uint64), np.array([2**62, 5]), [(2.0**63, 2**62), (1, 5)]),
    ],
    ids=["float64", "float32", "float16", "big-endian", "longdouble", "bool", "uint64"],
)
def test_what_is_read(tmp_path: Path, x: Any, y: Any, rows: list[Any], order: Any, compress: bool):
    path = tmp_path / "data"
    path.write_bytes(npz(compress, x=np.asarray(x, order=order), y=y))
    table = read_table(path, "npz")
    assert table.columns == [*(f"x_{index}" for index in range(x.shape[1])), "y"]
    assert table.rows() == rows


OBJECTS = np.array(["a", 1, None], object)
NUMBERS = "numbers, booleans or text, as from y.astype(float) or y.astype(str)"
FAULTS: dict[str, tuple[bytes, Any, str, str]] = {
    "y of objects": (npz(x=X, y=OBJECTS), "object", "y has the dtype object: objects can only be read", NUMBERS),
    "x of objects": (npz(x=np.array([[1, "a"]], object), y=[1]), "object", "x has the dtype object", "x.astype(float)"),
    "x of texts": (npz(x=np.array([["a"]]), y=[1]), "<U1", "x has the dtype <U1", "numbers, as from x.astype(float)"),
    "x complex": (npz(x=X * 1j, y=Y), "complex128", "x has the dtype complex128: complex numbers have", "numbers, as"),
    "y of bytes": (npz(x=X, y=Y.astype("S")), "|S1", "y has the dtype |S1: bytes have no encoding", NUMBERS),
    "y of dates": (npz(x=X, y=np.zeros(3, "M8[s]")), "datetime64[s]", "y has the dtype datetime64[s]", NUMBERS),
    "y with fields": (npz(x=X, y=np.zeros(3, "f8,f8")), "[('f0', '<f8'), ('f1', '<f8')]", "y has the dtype", NUMBERS),
    "x flat": (npz(x=X[:, 0], y=Y), "(3,)", "x has the shape (3,)", "the shape (n_samples, n_features)"),
    "y a column": (npz(x=X, y=Y[:, None]), "(3, 1)", "y has the shape (3, 1)", "the shape (n_samples,)"),
    "y a number": (npz(x=X, y=1), "()", "y has the shape ()", "the shape (n_samples,)"),
    "no rows": (npz(x=X[:0], y=Y), "(0, 2)", "x has the shape (0, 2)", "with at least one value"),
    "no columns": (npz(x=X[:, :0], y=Y), "(3, 0)", "x has the shape (3, 0)", "with at least one value"),
    "lengths": (
        npz(x=X, y=Y[:2]), "x has the shape (3, 2) and y (2,)", "their numbers of rows differ", "y (n_samples,)",
    ),
    "infinity": (
        npz(x=np.where(X == 1.5, np.inf, X), y=Y), "inf", "column 'x_0' has the number inf in row 1", "within ±1e+100",
    ),
    "infinite y": (npz(x=X, y=[1, -np.inf, 2]), "-inf", "column 'y' has the number -inf in row 2", "within ±1e+100"),
    "columns": (
        npz(x=np.zeros((2, MAX_COLUMNS)), y=[1, 2]), MAX_COLUMNS + 1, "there are 21 columns", "up to 20 columns",
    ),
    "no y": (npz(x=X), "x", "the NPZ file holds: x", "exactly x and y: numpy.savez(file, x=x, y=y)"),
    "other names": (npz(X=X, y=Y), "X, y", "the NPZ file holds: X, y", "exactly x and y"),
    "more": (npz(x=X, y=Y, z=Y), "x, y, z", "the NPZ file holds: x, y, z", "exactly x and y"),
    "another zip": (zipped(mimetype=b"text"), "mimetype", "the NPZ file holds: mimetype", "exactly x and y"),
    "cut off": (npz(x=X, y=Y)[:-30], None, "the NPZ file is damaged or cut off (", "numpy.savez(file, x=x, y=y)"),
    "only a magic number": (b"PK\x03\x04", None, "the NPZ file is damaged or cut off (", "numpy.savez"),
    "no array within": (zipped(x=b"text", y=b"text"), None, "the NPZ file is damaged or cut off (", "numpy.savez"),
    "header cut off": (zipped(x=npy((3, 2))[:20], y=b""), None, "the NPZ file is damaged or cut off (", "numpy.savez"),
    "header that is code": (
        zipped(x=b"\x93NUMPY\x01\x00\x10\x00__import__('os')", y=b""), None, "damaged or cut off (", "numpy.savez",
    ),
    "nested header": (
        zipped(x=b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 8192, y=b""), None, "damaged or cut off (", "numpy.savez",
    ),
    "claims more than there is": (
        zipped(x=npy((10**9, 10**9), values=b"12345678"), y=npy((10**9,))), 8 * 10**18,
        "the header of x declares 8000000000000000000 bytes of values, but 8 follow", "numpy.savez",
    ),
    "claims less than there is": (
        zipped(x=npy((1, 1), values=bytes(16)), y=npy((1,), values=bytes(8))), 8,
        "the header of x declares 8 bytes of values, but 16 follow", "numpy.savez",
    ),
    "a bomb": (
        npz(compress=True, x=np.zeros((MAX_BYTES // 16, 2)), y=np.zeros(MAX_BYTES // 16)), None,
        "the file is too large when uncompressed", f"up to {MAX_BYTES} bytes (the setting DELTABAR_MAX_EXPANDED_BYTES)",
    ),
    "half of a surrogate pair": (
        zipped(x=npy((1, 1), values=bytes(8)), y=npy((1,), "<U1", b"\x00\xd8\x00\x00")), None,
        "surrogates not allowed", "numpy.savez",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_said_and_nothing_is_kept(app: App, name: str):
    body, value, message, allowed = FAULTS[name]
    before = app.kept()
    answer = app.post(body)
    expected = (413, "expands_too_far") if name == "a bomb" else (422, "unreadable_dataset")
    assert (answer.status_code, answer.json()["code"]) == expected
    first, *more = answer.json()["errors"]
    assert (first["field"], first["value"]) == ("body", value)
    assert message in first["message"]
    assert allowed in first["allowed"]
    assert not more or name == "claims more than there is"
    assert app.kept() == before


def test_faults_of_both_arrays_are_said_at_once(tmp_path: Path):
    path = tmp_path / "data"
    path.write_bytes(npz(x=X[0], y=OBJECTS))
    with pytest.raises(Problem) as caught:
        read_table(path, "npz")
    assert [error.message.split(":")[0] for error in caught.value.errors] == [
        "x has the shape (2,)",
        "y has the dtype object",
    ]


def test_values_that_were_changed_on_the_way_are_noticed(tmp_path: Path):
    body = bytearray(npz(x=np.arange(20.0).reshape(10, 2), y=np.arange(10)))
    body[body.index(b"\x00\xf0\x3f") + 1] ^= 1  # in 1.0
    path = tmp_path / "data"
    path.write_bytes(body)
    with pytest.raises(Problem, match="damaged or cut off"):
        read_table(path, "npz")


WHOLE = npz(compress=True, x=X, y=Y)


@given(st.integers(4, len(WHOLE) - 1), st.integers(0, 255), st.booleans())
def test_any_damage_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int, cut: bool
):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(WHOLE[:position] if cut else WHOLE[:position] + bytes([byte]) + WHOLE[position + 1 :])
    try:
        table = read_table(path, "npz")
    except Problem as problem:
        outcome = problem.code
    else:
        outcome = table.rows()
    assert outcome in ("unreadable_dataset", "expands_too_far", [(1.5, 2, "a"), (None, 4, "b"), (0.25, -1, "a")])
