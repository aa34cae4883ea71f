"""The stand-in for CuPy refuses what CuPy or a GPU would not bear."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cupy", exc_type=ImportError)

import core
from core.activations import Relu
from core.arrays import Array
from core.cupy_backend import CupyBackend
from core.kernels import ReferenceKernels, cuda
from core.kernels.inplace import NumpyKernels
from core.optimizers import Sgd
from tests.core.gpu import cupy_stand_in, stand_in_streams
from tests.core.gpu.cupy_stand_in import CupyStandIn
from tests.core.gpu.stand_in_array import StandInArray, cupy

CP = CupyStandIn()
HOST = np.ones((4, 6), np.float32)


def on_device(host: np.ndarray = HOST, dtype: str = "float32") -> Array:
    return CP.asarray(host.astype(dtype))


REFUSED: dict[str, tuple[Callable[[Array], object], type[Exception], str]] = {
    "ufunc with where": (lambda a: CP.add(a, a, where=a > 0), TypeError, "Wrong arguments"),
    "ufunc without its second operand": (CP.add, TypeError, "Wrong number"),
    "ufunc on an array of the host": (lambda a: CP.add(a, HOST), TypeError, "Unsupported type"),
    "ufunc with an out of the host": (lambda a: CP.add(a, a, out=HOST.copy()), TypeError, "Unsupported type"),
    "ufunc on a list": (lambda a: CP.add(a, [1.0]), TypeError, "Unsupported type"),
    "ufunc that would round its result": (lambda a: CP.exp(a, out=on_device(dtype="int64")), TypeError, "cast"),
    "argument that the function lacks": (lambda a: CP.take(a, 0, mode="clip"), TypeError, "unexpected keyword"),
    "argument that matmul lacks": (lambda a: CP.matmul(a, a, where=True), TypeError, "unexpected keyword"),
    "argument that the method lacks": (lambda a: a.reshape(-1, order="C", out=a), TypeError, "unexpected keyword"),
    "out of another dtype": (lambda a: CP.take(a, 0, axis=0, out=on_device(dtype="float64")[0]), TypeError, "mismatch"),
    "function on an array of the host": (lambda a: CP.sum(HOST), TypeError, "Unsupported type"),
    "function that CuPy lacks": (lambda a: CP.unstack(a, axis=0), AttributeError, "unstack"),
    "attribute that CuPy lacks": (lambda a: a.to_device("cpu"), AttributeError, "to_device"),
    "conversion by NumPy": (np.asarray, TypeError, "Implicit conversion"),
    "function of NumPy": (np.exp, TypeError, "does not support ufuncs"),
    "operator with an array of the host": (lambda a: a * HOST, TypeError, "Unsupported type"),
    "array of the host on the left": (lambda a: HOST * a, TypeError, "Unsupported type"),
    "array of the host assigned": (lambda a: a.__setitem__(..., HOST), ValueError, "non-scalar numpy.ndarray"),
    "reshape that would have to copy": (lambda a: CP.reshape(a.T, (-1,), copy=False), ValueError, "copy"),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_a_call_that_cupy_refuses(call: Callable[[Array], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(on_device())


def test_scalars_of_python_and_numpy_are_taken() -> None:
    for scalar in (2, 2.0, np.float32(2)):
        for calculate in (operator.add, operator.mul, operator.sub, operator.truediv, operator.pow):
            for got in (calculate(on_device(), scalar), calculate(scalar, on_device())):
                assert isinstance(got, StandInArray)
                assert got.dtype == np.float32


def test_what_the_stand_in_writes_out_itself_is_there_in_cupy() -> None:
    for name in vars(CupyStandIn):
        assert name.startswith("_") or hasattr(cupy, name), name
    for name in vars(StandInArray):
        assert name.startswith("__") or name in {"host", "reads"} or hasattr(cupy.ndarray, name), name
    for name in vars(cupy_stand_in.Device):
        assert name.startswith("__") or hasattr(cupy.cuda.Device, name), name
    assert hasattr(cupy.cuda.runtime, "getDeviceCount")
    for pool in ("MemoryPool", "PinnedMemoryPool"):
        for name in vars(getattr(cupy_stand_in, pool)):
            assert name.startswith("__") or name == "limit" or hasattr(getattr(cupy.cuda, pool), name), name


def test_streams_and_events_have_the_signatures_of_cupys() -> None:
    for name in ("Stream", "Event"):
        own, real = getattr(stand_in_streams, name), getattr(cupy.cuda, name)
        for method in ("__init__", "record", "synchronize", "wait_event"):
            if method in vars(own):
                wanted = inspect.signature(getattr(real, method))
                got = inspect.signature(getattr(own, method))
                shape = [[(p.name, p.default) for p in each.parameters.values()] for each in (got, wanted)]
                assert shape[0] == shape[1], (name, method)
    assert "set(self, arr, stream=None)" in str(cupy.ndarray.set.__doc__)
    assert "alloc_pinned_memory(size_t size)" in str(cupy.cuda.alloc_pinned_memory.__doc__)
    assert "get_current_stream(int device_id=-1)" in str(cupy.cuda.get_current_stream.__doc__)


def pair() -> tuple[StandInArray, np.ndarray, Any, Any]:
    """Return an array on the device, memory of the host, a stream of its own, and an event."""
    return on_device(), np.full_like(HOST, 7), CP.cuda.Stream(non_blocking=True), CP.cuda.Event()


def test_a_copy_that_nobody_waits_for_is_not_there() -> None:
    array, host, stream, copied = pair()
    array.set(host, stream=stream)
    copied.record(stream)
    np.testing.assert_array_equal(array.get(), HOST)
    CP.cuda.get_current_stream().wait_event(copied)
    np.testing.assert_array_equal(array.get(), host)


def test_memory_that_may_still_be_copied_from_is_refused() -> None:
    array, host, stream, copied = pair()
    array.set(host, stream=stream)
    copied.record(stream)
    CP.cuda.get_current_stream().wait_event(copied)
    with pytest.raises(RuntimeError, match="the host didn't wait"):
        on_device().set(host, stream=stream)
    copied.synchronize()
    on_device().set(host, stream=stream)


def test_memory_that_may_still_be_read_is_refused() -> None:
    array, host, stream, copied = pair()
    array.set(host, stream=stream)
    copied.record(stream)
    CP.cuda.get_current_stream().wait_event(copied)
    with pytest.raises(RuntimeError, match="may still be reading"):
        array.set(host.copy(), stream=stream)
    taken = CP.cuda.Event()
    taken.record(CP.cuda.get_current_stream())
    stream.wait_event(taken)
    array.set(host.copy(), stream=stream)


WRONG_COPIES: dict[str, tuple[Any, type[Exception], str]] = {
    "another dtype": (np.ones((4, 6)), TypeError, "float64 array cannot be set to float32"),
    "another shape": (np.ones((6, 4), np.float32), ValueError, "Shape mismatch"),
    "an array of the device": (on_device(), TypeError, "Only numpy.ndarray"),
    "gaps": (np.ones((4, 12), np.float32)[:, ::2], RuntimeError, "CuPy would copy it"),
}


@pytest.mark.parametrize(("host", "error", "message"), WRONG_COPIES.values(), ids=WRONG_COPIES)
def test_a_copy_that_cupy_refuses(host: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        on_device().set(host, stream=CP.cuda.Stream())


def launch_pullback(*, grid: Any = (1,), block: Any = (cuda.THREADS,), drop: int = 0, **replaced: Any) -> None:
    """Launch `activation_pullback` of relu rightly, but for what is asked otherwise."""
    kernel = CP.RawModule(code=cuda.activation_source(Relu(), "float32")).get_function("activation_pullback")
    args = {name: on_device() for name in ("a_bar", "z", "a", "z_bar")} | {"size": np.int64(HOST.size)} | replaced
    kernel(grid, block, tuple(args.values())[drop:])


WRONG_LAUNCHES: dict[str, tuple[dict[str, Any], str]] = {
    "an argument is missing": ({"drop": 1}, "takes 5 arguments, but 4"),
    "float64 for float32": ({"z": on_device(dtype="float64")}, "needs elements of float32, not float64"),
    "not contiguous": ({"z": on_device(np.ones((6, 4))).T}, "needs a C-contiguous array"),
    "an array of the host": ({"z": HOST}, "needs an array on the device, not ndarray"),
    "a null pointer that isn't looked for": ({"z": np.intp(0)}, "needs an array on the device"),
    "a Python int": ({"size": 24}, "needs a NumPy scalar of int64, not int"),
    "a short integer": ({"size": np.int32(24)}, "needs a NumPy scalar of int64"),
    "a grid that isn't a tuple": ({"grid": 1}, "not a tuple of one to three ints"),
    "a grid of floats": ({"grid": (1.0,)}, "not a tuple of one to three ints"),
    "an empty grid": ({"grid": (0,)}, "not within"),
    "too large a block": ({"block": (2048,)}, "not within"),
    "too large a block in all": ({"block": (64, 32)}, "more than 1024 threads"),
}


@pytest.mark.parametrize(("fault", "message"), WRONG_LAUNCHES.values(), ids=WRONG_LAUNCHES)
def test_a_launch_that_a_gpu_would_not_bear(fault: dict[str, Any], message: str) -> None:
    launch_pullback()
    with pytest.raises((TypeError, ValueError), match=message):
        launch_pullback(**fault)


def test_shared_memory_is_asked_for() -> None:
    kernel = CP.RawModule(code=cuda.activation_source(Relu(), "float32")).get_function("activation_pullback")
    arrays, size = [on_device() for _ in range(4)], np.int64(HOST.size)
    kernel((1,), (32,), (*arrays, size), shared_mem=48 * 1024)
    with pytest.raises(ValueError, match="can't share 49153 bytes"):
        kernel((1,), (32,), (*arrays, size), shared_mem=48 * 1024 + 1)
    kernel.max_dynamic_shared_size_bytes = 64 * 1024
    kernel((1,), (32,), (*arrays, size), shared_mem=48 * 1024 + 1)
    assert hasattr(cupy.RawKernel, "max_dynamic_shared_size_bytes")
    assert "shared_mem=0" in str(cupy.RawKernel.__call__.__doc__)


def test_a_python_float_for_a_number_of_the_optimizer_is_refused() -> None:
    kernel = CP.RawModule(code=cuda.rule_source(Sgd, "float32")).get_function("elementwise_step")
    numbers, size = map(np.float32, (0.9, 0.1, 0.0)), np.int64(HOST.size)
    kernel((1,), (32,), (on_device(), on_device(), on_device(), *numbers, size))
    with pytest.raises(TypeError, match="momentum needs a NumPy scalar of float32, not float"):
        kernel((1,), (32,), (on_device(), on_device(), on_device(), 0.9, np.float32(0.1), np.float32(0), size))


def test_a_kernel_or_an_option_that_is_not_there() -> None:
    with pytest.raises(RuntimeError, match="symbol not found: forward"):
        CP.RawModule(code=cuda.rule_source(Sgd, "float32")).get_function("forward")
    with pytest.raises(TypeError, match="expected tuple"):
        CP.RawModule(code="", options=["--std=c++14"])  # type: ignore[arg-type]


def test_kernels_made_for_another_namespace_are_refused() -> None:
    backend = CupyBackend(CP, 0, "float32")
    table, index, out = on_device(), CP.asarray(np.array([1, 0])), backend.empty((2, 6))
    for gather in (NumpyKernels().gather, ReferenceKernels(np).gather):
        with pytest.raises(TypeError):
            gather(table, index, out)


def test_biases_that_lie_unequally_far_apart_are_refused() -> None:
    """The kernel finds them by one stride; anything else it would read wrongly and say nothing."""
    backend = CupyBackend(CP, 0, "float32")
    biases, z, a = backend.zeros((2, 4, 1, 5)), backend.zeros((2, 3, 7, 5)), backend.empty((2, 3, 7, 5))
    with pytest.raises(ValueError, match="copy"):
        backend.kernels.bias_activation(Relu(), z, biases[:, :3], a, a)


def test_an_epoch_reads_from_the_device_once() -> None:
    net = core.Network(3, [core.Dense(5, "relu"), core.Dense(2, "softmax")], backend=CupyBackend(CP, 0, "float32"))
    x, y = np.ones((40, 3)), np.arange(40) % 2
    before = StandInArray.reads
    core.fit(net, x, y, loss="softmax_cross_entropy", epochs=3, batch_size=4)
    assert StandInArray.reads == before + 3
