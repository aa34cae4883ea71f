"""On a real GPU, a training that is repeated gives the same bits, in each of the ways in which steps are taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("cupy", exc_type=ImportError)

from core import Dense, Dropout, Network, cupy_backend, get_backend, train
from core.backend import BackendError

pytestmark = pytest.mark.gpu

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((3000, 40)), RNG.integers(0, 10, 3000)
TINY = [Dense(16, "tanh"), Dropout(0.1), Dense(10, "softmax")]
WIDE = [Dense(700, "relu"), Dropout(0.1), Dense(300, "gelu"), Dense(10, "softmax")]


def trained(layers: list[Any], seed: int | list[int]) -> tuple[np.ndarray, np.ndarray]:
    try:
        backend = get_backend("cupy")
    except BackendError as error:
        pytest.skip(str(error))
    net = Network(40, layers, backend=backend, seed=seed)
    records = list(train(net, X, Y, loss="softmax_cross_entropy", epochs=3, batch_size=100))
    return backend.to_host(net.parameters), np.array([record.loss for record in records])


@pytest.mark.parametrize("share", [0.0, 0.5], ids=["from the host", "on the device"])
@pytest.mark.parametrize("seed", [0, [0, 1, 2]], ids=["alone", "a fleet"])
@pytest.mark.parametrize("layers", [TINY, WIDE], ids=["tiny", "wide"])
def test_the_same_bits_again(
    layers: list[Any], seed: int | list[int], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cupy_backend, "SHARE", share)
    first = trained(layers, seed)
    for _ in range(3):
        for got, wanted in zip(trained(layers, seed), first, strict=True):
            np.testing.assert_array_equal(got, wanted)
