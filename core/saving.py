"""Networks as safetensors files: the parameters under PyTorch's names, the architecture as JSON in the header."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.backend import Backend, get_backend
from core.layers import from_data
from core.network import Network
from core.tensor_file import read, write

KIND = "network"


def save(network: Network, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write `network` to `path`, whole or not at all; `metadata` goes along in the file's header.

    The tensors are named as in the `state_dict` of PyTorch's `nn.Sequential` of the same layers, so PyTorch can load
    them with `safetensors.torch`. Equal networks with equal metadata give equal files, byte for byte.

    Raises:
        OSError: where the file can't be written.
    """
    header = {
        "n_inputs": network.n_inputs,
        "layers": [layer.as_data() for layer in network.layers],
        "seed": network.seed,
        "dtype": str(network.backend.dtype),
        "metadata": dict(metadata or {}),
    }
    write(path, KIND, header, network.state_dict())


def load(path: str | Path, backend: Backend | None = None) -> Network:
    """Return the network that `save` wrote to `path`, on `backend`; on NumPy in its own dtype where not given.

    Raises:
        ValueError: where the file isn't a network of ours.
        OSError: where it can't be read.

    >>> import tempfile
    >>> from core import Dense
    >>> path = Path(tempfile.mkdtemp()) / "net.safetensors"
    >>> save(Network(2, [Dense(1)]), path)
    >>> load(path).layers
    (Dense(units=1, activation='identity', bias=True, initializer='glorot_uniform'),)
    """
    header, named = read(path, KIND)
    network = Network(
        header["n_inputs"],
        [from_data(layer) for layer in header["layers"]],
        backend=backend or get_backend("numpy", header["dtype"]),
        seed=header["seed"],
    )
    network.load_state_dict(named)
    return network


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the metadata that was given to `save`; raises as `load` does."""
    return read(path, KIND)[0]["metadata"]
