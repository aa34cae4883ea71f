"""What a network is made of, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from core import BatchNorm, Dense, Network, Residual, fit, get_backend


def test_parameters_are_one_buffer_with_views() -> None:
    net = Network(3, [Dense(4, "relu"), Dense(2, bias=False), Dense(1)])
    assert net.n_parameters == 3 * 4 + 4 + 4 * 2 + 2 * 1 + 1 == net.parameters.size
    assert net.parameters.flags.c_contiguous
    net.weights[1][...] = 7
    assert (net.parameters == 7).sum() == 8
    assert net.biases[1] is None
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "3.weight", "3.bias"]
    assert net.state_dict()["0.bias"].shape == (4,)


def test_a_fleet_has_a_leading_axis_everywhere() -> None:
    net = Network(3, [Dense(4), Dense(2)], seed=[0, 1, 2])
    assert net.leading == (3,)
    assert net.parameters.shape == (3, net.n_parameters)
    assert net.weights[0].shape == (3, 4, 3)
    assert np.shares_memory(net.weights[1], net.parameters)
    assert net.predict(np.zeros((5, 3))).shape == (3, 5, 2)


@pytest.mark.parametrize("again", [lambda net: pickle.loads(pickle.dumps(net)), copy.deepcopy])
@pytest.mark.parametrize("seed", [3, [0, 1]])
def test_a_pickle_and_a_copy_predict_the_same_and_have_their_own_buffers(
    again: Callable[[Network], Network], seed: int | list[int]
) -> None:
    layers = [Dense(4, "relu"), Residual([Dense(4, "tanh"), BatchNorm()]), Dense(1)]
    net = Network(3, layers, backend=get_backend("numpy", "float64"), seed=seed)
    x = np.random.default_rng(0).standard_normal((20, 3))
    fit(net, x, x[:, 0], loss="squared_error", epochs=2)
    other = again(net)
    np.testing.assert_array_equal(other.predict(x), net.predict(x))
    assert other.seed == net.seed
    before = net.predict(x)
    other.weights[0][...] = 0  # a view, as in the first
    assert not np.array_equal(other.predict(x), before)
    np.testing.assert_array_equal(net.predict(x), before)


def test_equal_seeds_start_equal_in_every_dtype() -> None:
    one, other = (Network(3, [Dense(4)], backend=get_backend("numpy", dtype)) for dtype in ("float32", "float64"))
    np.testing.assert_array_equal(one.parameters, other.parameters.astype(np.float32))
    assert not np.array_equal(one.parameters, Network(3, [Dense(4)], seed=1).parameters)


def test_many_samples_are_predicted_in_pieces_that_do_not_show() -> None:
    net = Network(3, [Dense(4, "tanh"), Dense(2)], backend=get_backend("numpy", "float64"))
    x = np.random.default_rng(0).standard_normal((9001, 3))
    np.testing.assert_allclose(net.predict(x)[5000:5010], net.predict(x[5000:5010]), rtol=1e-13)
    assert net.predict(x[:0]).shape == (0, 2)
    y = np.zeros((9001, 2))
    assert net.evaluate(x, y, "squared_error") == pytest.approx((net.predict(x) ** 2).sum() / 2 / 9001, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Dense(0), r"units: 0 is not allowed; it must be an integer ≥ 1"),
        (lambda: Dense(True), "units: True"),
        (
            lambda: Dense(3, "relux"),
            "activation: there is no 'relux'; allowed are identity, .*, softmax$",
        ),
        (lambda: Dense(3, initializer="xavier"), "initializer: there is no 'xavier'; allowed are glorot_uniform"),
        (lambda: Network(0, [Dense(1)]), "n_inputs: 0"),
        (lambda: Network(1, []), "layers: an empty list"),
        (lambda: Network(1, [Dense(1)], seed=-1), "seed: -1"),
        (lambda: Network(1, [Dense(1)], seed=[]), "seed: "),
        (lambda: Network(2, [Dense(1)]).predict([[1.0]]), r"x: the shape \(1, 1\) is not allowed; .*\(n_samples, 2\)"),
        (lambda: Network(1, [Dense(1)]).predict([["a"]]), "x: the dtype <U1 is not allowed"),
        (lambda: Network(1, [Dense(1)]).gradient([[1.0]], [[1.0], [2.0]], "squared_error"), "y: 2 targets"),
        (lambda: Network(1, [Dense(1)]).gradient([[1.0]], [[1.0]], "square"), "loss: there is no 'square'; allowed"),
        (
            lambda: Network(1, [Dense(2)]).gradient([[1.0]], [1], "softmax_cross_entropy"),
            "loss: softmax_cross_entropy goes with a last layer whose activation is softmax, but this network's is id",
        ),
        (lambda: get_backend("tensorflow"), "backend: there is no 'tensorflow'; allowed are numpy, cupy"),
        (lambda: get_backend("numpy", "int8"), "dtype: 'int8' is not allowed; it must be one of float32, float64"),
    ],
)
def test_bad_arguments_are_refused_by_name(make: type, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_set_parameters_changes_nothing_when_something_is_wrong() -> None:
    net = Network(3, [Dense(2)])
    before, named = net.parameters.copy(), net.state_dict()
    with pytest.raises(ValueError, match=r"0\.bias must have the shape \(2,\), not \(3,\)"):
        net.load_state_dict({**named, "0.bias": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match="names must be"):
        net.load_state_dict({"0.weight": named["0.weight"]})
    np.testing.assert_array_equal(net.parameters, before)
