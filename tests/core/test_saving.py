"""Saved networks come back bit for bit; what isn't one is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from core import Dense, Network, get_backend, load, read_metadata, save


@pytest.mark.parametrize("seed", [0, [1, 2]])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back_bit_for_bit(tmp_path: Path, seed: int, dtype: str) -> None:
    layers = [Dense(4, "relu"), Dense(3, bias=False), Dense(2, "softmax", initializer="he_normal")]
    net = Network(5, layers, backend=get_backend("numpy", dtype), seed=seed)
    save(net, tmp_path / "net.safetensors", {"made by": "a test"})
    back = load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(back.parameters, net.parameters)
    assert (back.layers, back.leading, back.backend.dtype) == (net.layers, net.leading, net.backend.dtype)
    assert read_metadata(tmp_path / "net.safetensors") == {"made by": "a test"}
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_tensors_are_named_and_shaped_as_in_a_torch_sequential(tmp_path: Path) -> None:
    save(Network(5, [Dense(4, "relu"), Dense(3), Dense(2, "softmax")]), tmp_path / "net.safetensors")
    # nn.Sequential(Linear(5, 4), ReLU(), Linear(4, 3), Linear(3, 2), Softmax(-1)).state_dict()
    shapes = {name: tensor.shape for name, tensor in load_file(tmp_path / "net.safetensors").items()}
    assert shapes == {
        "0.weight": (4, 5), "0.bias": (4,), "2.weight": (3, 4), "2.bias": (3,), "3.weight": (2, 3), "3.bias": (2,),
    }  # fmt: skip


def test_what_is_not_a_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load(tmp_path / "text")
    save_file({"a": np.zeros(3)}, tmp_path / "other")
    with pytest.raises(ValueError, match="is not a network saved by deltabar"):
        load(tmp_path / "other")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")
    with pytest.raises(OSError, match="missing"):
        save(Network(1, [Dense(1)]), tmp_path / "missing" / "net")


def test_equal_networks_give_equal_files(tmp_path: Path) -> None:
    notes = {f"note {k}": "…" for k in range(20)}
    for name in ("one", "other"):
        save(Network(3, [Dense(4, "tanh"), Dense(1)], seed=5), tmp_path / name, notes)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
