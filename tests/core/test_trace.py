"""`Network.trace`: every number against the textbook's formulas written out here, and the table that is printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core import BatchNorm, Dense, Dropout, LayerNorm, Network, Residual, get_backend
from core.backend import Backend
from core.trace import LayerTrace, Trace
from tests.core.test_the_learners_question import example

FLOAT64 = get_backend("numpy", "float64")
EPS = float(np.finfo(np.float64).eps)
RNG = np.random.default_rng(0)
M = 4
X, NUMBERS, LABELS = RNG.standard_normal((M, 3)), RNG.random((M, 2)), np.array([0, 1, 1, 0])
Z_TO_A: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "identity": (lambda z: z, np.ones_like),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "exp": (np.exp, np.exp),
}
"""f and f'."""


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def jacobian(a: np.ndarray) -> np.ndarray:
    """Return ∂a_j/∂z_i of a softmax for each sample: a_j (1 − a_j) on the diagonal, −a_j a_i elsewhere."""
    return np.array([[[p * ((i == j) - q) for i, q in enumerate(row)] for j, p in enumerate(row)] for row in a])


def assert_close(got: object, expected: object) -> None:
    """Allow for some dozens of roundings of numbers of the order of the largest, or of 1."""
    size = np.abs(np.asarray(expected)).max(initial=1)
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=0, atol=100 * EPS * size)


def assert_parameters(layer: LayerTrace, x: np.ndarray, z_bar: np.ndarray) -> None:
    """Check Θ̄ and b̄, the whole and each sample's part, against loops over samples, units and inputs."""
    m, n_out = z_bar.shape
    of_samples = np.array(
        [[[z_bar[k, j] * x[k, i] for i in range(x.shape[1])] for j in range(n_out)] for k in range(m)]
    )
    assert_close(layer.theta_bar_of_samples["weight"], of_samples)
    assert_close(layer.theta_bar["weight"], of_samples.sum(axis=0))
    if "bias" in layer.theta:
        assert_close(layer.theta_bar_of_samples["bias"], z_bar)
        assert_close(layer.theta_bar["bias"], z_bar.sum(axis=0))


def network(*layers: Any, seed: int | list[int] = 0, backend: Backend = FLOAT64) -> Network:
    net = Network(3, layers, backend=backend, seed=seed)
    net.parameters[...] = backend.asarray(np.random.default_rng(1).standard_normal(net.parameters.shape))
    return net


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("output", ["identity", "tanh", "relu", "exp"])
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("m", [1, M])
def test_elementwise_layers_are_the_textbooks(hidden: str, output: str, bias: bool, m: int) -> None:
    net, x, y = network(Dense(5, hidden, bias), Dense(2, output, bias)), X[:m], NUMBERS[:m]
    trace, named = net.trace(x, y, "squared_error"), net.state_dict()
    thetas = [array for name, array in named.items() if name.endswith("weight")]
    biases = [array for name, array in named.items() if name.endswith("bias")] or [0, 0]
    z1 = x @ thetas[0].T + biases[0]
    a1 = Z_TO_A[hidden][0](z1)
    z2 = a1 @ thetas[1].T + biases[1]
    a2 = Z_TO_A[output][0](z2)
    a2_bar = (a2 - y) / m
    z2_bar = a2_bar * Z_TO_A[output][1](z2)
    a1_bar = z2_bar @ thetas[1]
    z1_bar = a1_bar * Z_TO_A[hidden][1](z1)
    assert_close(trace.x, x)
    assert_close(trace.values, ((a2 - y) ** 2).sum(axis=1) / 2)
    assert_close(trace.x_bar, z1_bar @ thetas[0])
    expected = [(z1, a1, a1_bar, z1_bar, hidden), (z2, a2, a2_bar, z2_bar, output)]
    for layer, a_prev, (z, a, a_bar, z_bar, f) in zip(trace.layers, [x, a1], expected, strict=True):
        assert layer.z is not None
        assert layer.slope is not None
        for got, wanted in ((layer.z, z), (layer.a, a), (layer.a_bar, a_bar), (layer.slope, Z_TO_A[f][1](z))):
            assert_close(got, wanted)
        assert_close(layer.z_bar, z_bar)
        assert set(layer.theta) == set(layer.theta_bar) == set(layer.theta_bar_of_samples)
        assert_parameters(layer, a_prev, z_bar)
    assert_close(trace.layers[0].theta["weight"], thetas[0])


def test_softmax_has_a_jacobian_for_each_sample() -> None:
    net = network(Dense(2, "softmax"))
    (layer,), a = net.trace(X, NUMBERS, "squared_error").layers, net.predict(X)
    a_bar = (a - NUMBERS) / M
    assert layer.slope is not None
    assert layer.slope.shape == (M, 2, 2)
    assert_close(layer.slope, jacobian(a))
    assert_close(layer.z_bar, [bar @ matrix for bar, matrix in zip(a_bar, jacobian(a), strict=True)])
    assert_parameters(layer, X, np.array(layer.z_bar))


FROM_Z: dict[str, tuple[str, np.ndarray, Callable[..., Any]]] = {
    "binary_cross_entropy": ("sigmoid", NUMBERS, lambda a: a - NUMBERS),
    "poisson": ("exp", NUMBERS, lambda a: a - NUMBERS),
    "gamma": ("exp", NUMBERS, lambda a: 1 - NUMBERS / a),
    "softmax_cross_entropy": ("softmax", LABELS, lambda a: a - np.eye(2)[LABELS]),
}
"""The output's activation, targets, and m z̄ in terms of a, as the textbook has it."""


@pytest.mark.parametrize("loss", FROM_Z)
def test_where_the_loss_starts_from_z_the_table_does_too(loss: str) -> None:
    output, y, m_z_bar = FROM_Z[loss]
    net = network(Dense(5, "tanh"), Dense(2, output))
    trace, a = net.trace(X, y, loss), net.predict(X)
    last = trace.layers[-1]
    assert last.from_z
    assert not trace.layers[0].from_z
    assert last.slope is not None
    assert last.z_bar is not None
    assert_close(last.a, a)
    assert_close(last.z_bar, m_z_bar(a) / M)
    assert_parameters(last, trace.layers[0].a, last.z_bar)
    # ā is what f'(z) takes to z̄; of those that softmax does that to, the one with ⟨a, ā⟩ = 0.
    if output == "softmax":
        assert_close(np.einsum("kj,kji->ki", last.a_bar, last.slope), last.z_bar)
        assert_close((a * last.a_bar).sum(axis=1), 0)
    else:
        assert_close(last.slope, a * (1 - a) if output == "sigmoid" else a)
        assert_close(last.a_bar * last.slope, last.z_bar)
    assert_close(trace.values.mean(), net.evaluate(X, y, loss))


def test_where_f_is_flat_there_is_no_a_bar_and_no_warning() -> None:
    net = Network(1, [Dense(1, "sigmoid", bias=False)], backend=FLOAT64)
    net.weights[0][...] = 1e3  # σ(1000) is 1 to the last bit, so σ' is 0
    (layer,) = net.trace([[1.0]], [[0.0]], "binary_cross_entropy").layers
    assert layer.z_bar == 1
    assert layer.slope == 0
    assert np.isinf(layer.a_bar)


def test_layers_without_an_f_have_their_output_and_its_adjoint() -> None:
    net = network(Dense(3, "tanh"), Dropout(0.5), LayerNorm(epsilon=0.1), BatchNorm(epsilon=0.2), Dense(2))
    net.state[...] = [1.0, -1.0, 0.5, 2.0, 0.3, 4.0]  # running means, then running variances
    trace, named = net.trace(X, NUMBERS, "squared_error"), net.state_dict()
    dense, dropout, layer_norm, batch_norm, last = trace.layers
    assert all(layer.z is layer.z_bar is layer.slope is None for layer in (dropout, layer_norm, batch_norm))
    assert not dropout.theta
    assert_close(dropout.a, dense.a)  # as in predictions, nothing is dropped
    assert_close(dropout.a_bar, dense.a_bar)
    mean, variance = dense.a.mean(axis=1, keepdims=True), dense.a.var(axis=1, keepdims=True)
    gamma, beta = named["3.weight"], named["3.bias"]
    x_hat = (dense.a - mean) / np.sqrt(variance + 0.1)
    assert_close(layer_norm.a, gamma * x_hat + beta)
    assert_close(layer_norm.theta_bar["weight"], (layer_norm.a_bar * x_hat).sum(axis=0))
    assert_close(layer_norm.theta_bar_of_samples["bias"], layer_norm.a_bar)
    x_hat = (layer_norm.a - [1.0, -1.0, 0.5]) / np.sqrt(np.array([2.0, 0.3, 4.0]) + 0.2)
    assert_close(batch_norm.a, named["4.weight"] * x_hat + named["4.bias"])
    assert_close(batch_norm.theta_bar_of_samples["weight"], batch_norm.a_bar * x_hat)
    assert_close(batch_norm.a_bar, last.z_bar @ last.theta["weight"])
    assert_close(layer_norm.a_bar, batch_norm.a_bar * named["4.weight"] / np.sqrt(np.array([2.0, 0.3, 4.0]) + 0.2))
    assert [layer.name for layer in trace.layers] == ["0", "2", "3", "4", "5"]


def test_layers_within_layers_are_traced_too() -> None:
    net = network(Residual([Dense(4, "tanh"), Residual([Dense(4, "sigmoid")]), Dense(3)]), Dense(2))
    trace = net.trace(X, NUMBERS, "squared_error")
    block, last = trace.layers
    first, nested, third = block.inner
    (innermost,) = nested.inner
    assert [each.name for each in (first, nested, innermost, third)] == ["0.0", "0.2", "0.2.0", "0.3"]
    assert not block.theta
    assert_close(block.a, X + third.a)
    assert_close(nested.a, first.a + innermost.a)
    assert_close(innermost.z, first.a @ innermost.theta["weight"].T + innermost.theta["bias"])
    # The adjoint goes through the layers and around them.
    assert_close(block.a_bar, last.z_bar @ last.theta["weight"])
    assert_close(third.a_bar, block.a_bar)
    assert_close(nested.a_bar, third.z_bar @ third.theta["weight"])
    assert_close(innermost.a_bar, nested.a_bar)
    assert_close(first.a_bar, nested.a_bar + innermost.z_bar @ innermost.theta["weight"])
    assert_close(trace.x_bar, block.a_bar + first.z_bar @ first.theta["weight"])
    for layer, a_prev in ((first, X), (innermost, first.a), (third, nested.a), (last, block.a)):
        assert layer.z_bar is not None
        assert_parameters(layer, a_prev, layer.z_bar)
    text = str(trace)
    assert text.count("layer 0.2.0: Dense(units=4, activation='sigmoid', bias=True)") == 2
    assert "layer 0, after its layers" in text


@pytest.mark.parametrize("loss", ["squared_error", "softmax_cross_entropy"])
def test_a_fleet_has_the_numbers_of_its_networks(loss: str) -> None:
    output, y = ("softmax", LABELS) if loss.startswith("softmax") else ("tanh", NUMBERS)
    layers = [Dense(4, "tanh"), Residual([Dense(4, "sigmoid")]), Dense(2, output)]
    fleet = network(*layers, seed=[0, 1, 2])
    together = fleet.trace(X, y, loss)
    for k in range(3):
        one = network(*layers)
        one.parameters[...] = fleet.parameters[k]
        alone = one.trace(X, y, loss)
        assert_close(together.values[k], alone.values)
        assert_close(together.x_bar[k], alone.x_bar)
        for of_fleet, of_one in zip(flat(together), flat(alone), strict=True):
            for name in ("z", "a", "slope", "z_bar", "a_bar"):
                if getattr(of_one, name) is not None:
                    assert_close(getattr(of_fleet, name)[k], getattr(of_one, name))
            for name in ("theta", "theta_bar", "theta_bar_of_samples"):
                for parameter, array in getattr(of_one, name).items():
                    assert_close(getattr(of_fleet, name)[parameter][k], array)
    assert str(together).startswith("forward, 4 samples in rows of each of 3 networks\n")


def flat(trace: Trace) -> list[LayerTrace]:
    return [each for layer in trace.layers for each in (layer, *layer.inner)]


def test_every_backend_gives_the_same(backend: Backend) -> None:
    layers = [Dense(4, "tanh"), LayerNorm(), Residual([Dense(4, "gelu")]), Dense(2, "softmax")]
    got, expected = (
        network(*layers, backend=each).trace(X, LABELS, "softmax_cross_entropy") for each in (backend, FLOAT64)
    )
    eps = float(np.finfo(backend.dtype).eps)
    for one, other in zip(flat(got), flat(expected), strict=True):
        for name in ("a", "a_bar", "z", "z_bar", "slope"):
            wanted = getattr(other, name)
            if wanted is not None:
                assert isinstance(getattr(one, name), np.ndarray)
                # Some hundred roundings.
                atol = 200 * eps * max(1, np.abs(wanted).max())
                np.testing.assert_allclose(getattr(one, name), wanted, rtol=0, atol=atol)


def test_the_gradient_is_that_of_the_network() -> None:
    net = network(Dense(5, "gelu"), Residual([Dense(5, "tanh")]), Dense(2))
    trace, named = net.trace(X, NUMBERS, "huber"), net.by_name(net.gradient(X, NUMBERS, "huber")[1])
    found = {f"{layer.name}.{name}": array for layer in flat(trace) for name, array in layer.theta_bar.items()}
    assert found.keys() == named.keys()
    for name, array in named.items():
        assert_close(found[name], array)


TABLE = """\
forward, 3 samples in rows
  x                     (3, 2)          1.  0.
                                        0.  1.
                                       -1.  0.
layer 0: Dense(units=2, activation='sigmoid', bias=False)
  Θ                     (2, 2)          1.0986 -1.0986
                                        1.0986  1.0986
  z = x Θᵀ              (3, 2)          1.0986  1.0986
                                       -1.0986  1.0986
                                       -1.0986 -1.0986
  a = f(z)              (3, 2)          0.75  0.75
                                        0.25  0.75
                                        0.25  0.25
layer 2: Dense(units=2, activation='sigmoid', bias=False)
  Θ                     (2, 2)          2.1972 -2.1972
                                        4.3944  0.
  z = a_prev Θᵀ         (3, 2)          0.      3.2958
                                       -1.0986  1.0986
                                        0.      1.0986
  a = f(z)              (3, 2)          0.5     0.9643
                                        0.25    0.75
                                        0.5     0.75
loss: squared_error
  value                 (3,)            0.1256  0.0625  0.4062
  J, the mean           ()              0.1981
backward, J̄ = 1/m = 1/3
layer 2: Dense(units=2, activation='sigmoid', bias=False)
  ā = ∂J/∂a             (3, 2)         -0.1667 -0.0119
                                        0.0833 -0.0833
                                        0.1667  0.25
  f'(z)                 (3, 2)          0.25    0.0344
                                        0.1875  0.1875
                                        0.25    0.1875
  z̄ = ā ∘ f'(z)         (3, 2)         -0.0417 -0.0004
                                        0.0156 -0.0156
                                        0.0417  0.0469
  Θ̄ = z̄ᵀ a_prev         (2, 2)         -0.0169 -0.0091
                                        0.0075 -0.0003
    of each sample      (3, 2, 2)      -0.0312 -0.0312
                                       -0.0003 -0.0003

                                        0.0039  0.0117
                                       -0.0039 -0.0117

                                        0.0104  0.0104
                                        0.0117  0.0117
layer 0: Dense(units=2, activation='sigmoid', bias=False)
  ā = z̄ Θ of layer 2    (3, 2)         -0.0934  0.0916
                                       -0.0343 -0.0343
                                        0.2975 -0.0916
  f'(z)                 (3, 2)          0.1875  0.1875
                                        0.1875  0.1875
                                        0.1875  0.1875
  z̄ = ā ∘ f'(z)         (3, 2)         -0.0175  0.0172
                                       -0.0064 -0.0064
                                        0.0558 -0.0172
  Θ̄ = z̄ᵀ x              (2, 2)         -0.0733 -0.0064
                                        0.0343 -0.0064
    of each sample      (3, 2, 2)      -0.0175  0.
                                        0.0172  0.

                                        0.     -0.0064
                                        0.     -0.0064

                                       -0.0558  0.
                                        0.0172  0.
  x̄ = z̄ Θ of layer 0    (3, 2)         -0.0004  0.0381
                                       -0.0141  0.
                                        0.0424 -0.0801
"""


def test_the_table_of_the_example_reads_from_x_to_j_and_back_to_x_bar() -> None:
    assert str(example()[0].trace(*example()[1:], "squared_error")) == TABLE.rstrip("\n")


def test_one_sample_a_bias_and_a_loss_from_z_are_named_in_the_table() -> None:
    net = network(Dense(2, "softmax"))
    lines = str(net.trace(X[:1], LABELS[:1], "softmax_cross_entropy")).splitlines()
    assert lines[0] == "forward, 1 sample in rows"
    starts = [line[2:24].strip() for line in lines if line.startswith("  ") and line[2] != " "]
    wanted = ["x", "Θ", "b", "z = x Θᵀ + b", "a = f(z)", "value", "J, the mean", "z̄ = ∂J/∂z", "f'(z)"]
    assert starts == [*wanted, "ā with ā f'(z) = z̄", "Θ̄ = z̄ᵀ x", "b̄ = Σ z̄", "x̄ = z̄ Θ of layer 0"]


def test_numbers_are_shown_as_they_are_and_large_arrays_in_part() -> None:
    net = Network(200, [Dense(100, "tanh"), Dense(1, bias=False)], backend=FLOAT64)
    net.parameters[...] *= 1e-9
    lines = str(net.trace(np.ones((50, 200)), np.zeros((50, 1)), "squared_error")).splitlines()
    assert len(lines) < 120
    assert max(map(len, lines)) < 140
    (theta,) = (line for line in lines if "(1, 100)" in line and line.startswith("  Θ  "))
    assert "..." in theta
    assert "e-1" in theta
    assert {line.strip() for line in lines if set(line.strip()) == {"."}} == {"..."}
