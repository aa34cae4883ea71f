"""The strict backend catches what it is there to catch: host and device mixed, in a call or inside a formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from core.activations import Identity, Relu
from core.arrays import Array, Namespace
from core.losses import BinaryCrossEntropy
from core.optimizers import Sgd
from tests.core.gpu.strict_backend import StrictBackend

pytest.importorskip("array_api_strict")


@pytest.fixture
def strict() -> StrictBackend:
    return StrictBackend("float32")


HOST = np.ones((2, 3), np.float32)
CALLS: dict[str, Callable[[StrictBackend, Array], object]] = {
    "assignment": lambda strict, z: z.__setitem__(..., HOST),
    "operator": lambda strict, z: z + HOST,
    "add_bias": lambda strict, z: strict.kernels.add_bias(z, HOST),
    "activation_pullback": lambda strict, z: strict.kernels.activation_pullback(Relu(), HOST, z, z, z, z),
    "gather": lambda strict, z: strict.kernels.gather(z, np.array([0, 1]), out=z),
    "out": lambda strict, z: strict.kernels.matmul(z, z.mT, out=HOST[:, :2]),
    "elementwise_step": lambda strict, z: strict.kernels.elementwise_step(Sgd(), z, HOST, (z,), (0.9, 0.1, 0.0)),
}


@pytest.mark.filterwarnings("ignore:You are comparing a array_api_strict dtype:UserWarning")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_array_of_the_host_is_refused(strict: StrictBackend, call: Callable[[StrictBackend, Array], object]) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError, AttributeError, IndexError)):
        call(strict, strict.asarray(HOST))


def test_a_formula_that_makes_an_array_on_the_default_device_is_refused(strict: StrictBackend) -> None:
    class Forgetful(Identity):
        def value(self, xp: Namespace, z: Array) -> Array:
            return z + xp.zeros(z.shape, dtype=z.dtype)

    class ForgetfulLoss(BinaryCrossEntropy):
        def gradient(self, xp: Namespace, u: Array, y: Array, j_bar: float) -> Array:
            return super().gradient(xp, u, y, j_bar) * xp.asarray(j_bar, dtype=u.dtype)

    z, values = strict.asarray(HOST), strict.empty((2,))
    with pytest.raises(ValueError, match="different devices"):
        strict.kernels.bias_activation(Forgetful(), z, None, z, z)
    with pytest.raises(ValueError, match="different devices"):
        strict.kernels.loss(ForgetfulLoss(), z, z, 1.0, values, z, None)  # type: ignore[arg-type]


def test_a_function_beyond_the_standard_is_refused(strict: StrictBackend) -> None:
    with pytest.raises(AttributeError):
        strict.xp.reciprocal_sqrt(strict.asarray(HOST))


def test_what_is_read_before_it_is_written_is_nan(strict: StrictBackend) -> None:
    assert np.isnan(strict.to_host(strict.empty((2, 3)))).all()
