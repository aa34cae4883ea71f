"""What each layer means, beside its derivative."""

from __future__ import annotations

import numpy as np
import pytest

from core import (
    BatchNorm,
    Dense,
    Dropout,
    LayerNorm,
    Maxout,
    Network,
    PRelu,
    Residual,
    Sgd,
    fit,
    get_backend,
    penalty,
)
from core.kernels.counter import GAMMA, folded, mixed
from core.layers import Passing

FLOAT64 = get_backend("numpy", "float64")
X = np.random.default_rng(0).standard_normal((40, 3)) * [1, 5, 0.1] + [0, 10, -1]


def test_the_counter_is_splitmix64() -> None:
    # The first outputs of Vigna's splitmix64.c for the seed 1234567, as published in its many test suites.
    i = np.arange(1, 6, dtype=np.uint64)
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert mixed(np.uint64(1234567) + i * np.uint64(GAMMA)).tolist() == expected
    assert len({folded([step, layer]) for step in range(100) for layer in range(100)}) == 10_000


def masks(rate: float, seed: int = 0, m: int = 400, n: int = 500) -> np.ndarray:
    kernels, shape = FLOAT64.kernels, (m, n)
    mask, bits, scratch = np.empty(shape), np.empty(shape, np.uint64), np.empty(shape, np.uint64)
    counter = np.arange(m * n, dtype=np.uint64).reshape(shape)
    kernels.dropout_mask(np.array([[seed]], np.uint64), folded([1, 0]), 1 - rate, counter, bits, scratch, mask)
    return mask


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_expectation(rate: float) -> None:
    mask = masks(rate)
    assert set(np.unique(mask)) == {0.0, 1 / (1 - rate)}
    n, deviation = mask.size, np.sqrt(rate * (1 - rate) / mask.size)
    assert abs((mask == 0).mean() - rate) < 5 * deviation
    dropped = (mask == 0) - rate
    for shift in (1, 500):  # neighbours in a row, and in a column, know nothing of each other
        pairs = (dropped.ravel()[shift:] * dropped.ravel()[:-shift]).mean() / (rate * (1 - rate))
        assert abs(pairs) < 5 / np.sqrt(n)
    agreement = (mask == masks(rate, seed=1)).mean()
    assert abs(agreement - (rate**2 + (1 - rate) ** 2)) < 10 * deviation


def test_dropout_is_there_in_training_only() -> None:
    with_it, without = (
        Network(3, [Dense(8, "tanh"), *layers, Dense(1)], backend=FLOAT64) for layers in ([Dropout(0.5)], [])
    )
    np.testing.assert_array_equal(with_it.predict(X), without.predict(X))
    curves = [fit(net, X, X[:, 0], loss="squared_error", epochs=2) for net in (with_it, without)]
    assert curves[0][0].loss != curves[1][0].loss


def test_each_step_drops_anew_and_predictions_drop_nothing() -> None:
    """With weights that stay as they are, the loss of an epoch changes from step to step through the mask alone."""
    net = Network(3, [Dropout(0.5), Dense(1)], backend=FLOAT64)
    curve = fit(net, X, X[:, 0], loss="squared_error", optimizer=Sgd(1e-300), epochs=4, batch_size=40, shuffle=False)
    assert len({float(record.loss) for record in curve}) == 4


def test_a_fleet_drops_what_its_networks_would_alone() -> None:
    def net(seed: int | list[int]) -> Network:
        return Network(3, [Dense(8, "tanh"), Dropout(0.5), Dense(1)], backend=FLOAT64, seed=seed)

    fleet = net([5, 9])
    fit(fleet, X, X[:, 0], loss="squared_error", epochs=3, batch_size=16)
    for k, seed in enumerate((5, 9)):
        alone = net(seed)
        fit(alone, X, X[:, 0], loss="squared_error", epochs=3, batch_size=16)
        np.testing.assert_allclose(fleet.parameters[k], alone.parameters, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(("initial", "activation"), [(0, "relu"), (0.01, "leaky_relu"), (1, "identity")])
def test_prelu_starts_as_a_rectifier_of_its_slope(initial: float, activation: str) -> None:
    one = Network(3, [Dense(8), PRelu(initial), Dense(1)], backend=FLOAT64)
    other = Network(3, [Dense(8, activation, initializer="glorot_uniform"), Dense(1)], backend=FLOAT64)
    assert list(one.state_dict()) == ["0.weight", "0.bias", "1.weight", "2.weight", "2.bias"]
    assert one.state_dict()["1.weight"].shape == (8,)
    # 0.01 z, and the sum of 8 products: some roundings of numbers up to 30.
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-14, atol=1e-13)


def test_prelu_finds_the_slope_of_the_data() -> None:
    """Least squares in one unknown: plain gradient descent arrives at the slope that made the targets."""
    x = np.linspace(-1, 1, 41)[:, None]
    net = Network(1, [PRelu()], backend=FLOAT64)
    fit(net, x, np.where(x > 0, x, -1.5 * x), loss="squared_error", optimizer=Sgd(1.0), epochs=300, batch_size=41)
    # J'' = 1/m Σ min(x, 0)² = 0.175, so each step leaves 0.825 of the way: 0.825³⁰⁰ < 1e-24.
    np.testing.assert_allclose(net.state_dict()["0.weight"], -1.5, rtol=1e-12)


def test_prelu_takes_the_left_slope_at_its_kink_as_pytorch_does() -> None:
    net = Network(4, [PRelu(0.5)], backend=FLOAT64)
    x_bar, slope_bar = net.vjp([[-2.0, -0.0, 0.0, 3.0]], np.ones((1, 4)))
    assert x_bar.tolist() == [[0.5, 0.5, 0.5, 1.0]]
    assert slope_bar.tolist() == [-2.0, 0.0, 0.0, 0.0]


def test_no_penalty_touches_the_slope_of_prelu() -> None:
    net = Network(3, [Dense(8, bias=False), PRelu(), Dense(1, bias=False)], backend=FLOAT64)
    weights = [net.state_dict()[name] for name in ("0.weight", "2.weight")]
    expected = 0.5 * sum((each**2).sum() for each in weights)
    np.testing.assert_allclose(penalty(net, l2=1.0), expected, rtol=1e-13)


@pytest.mark.parametrize("pieces", [2, 3])
def test_maxout_is_the_largest_of_adjacent_features(pieces: int) -> None:
    net = Network(6, [Maxout(pieces)], backend=FLOAT64)
    x = np.random.default_rng(3).standard_normal((7, 6))
    units = range(6 // pieces)
    expected = [[max(row[j * pieces : (j + 1) * pieces]) for j in units] for row in x.tolist()]
    assert net.predict(x).tolist() == expected
    x_bar, _ = net.vjp(x, np.ones((7, len(units))))
    assert (x[x_bar != 0].reshape(7, -1) == expected).all()
    assert x_bar.sum() == 7 * len(units)


def test_the_first_of_equal_pieces_gets_the_adjoint() -> None:
    net = Network(6, [Maxout(3)], backend=FLOAT64)
    x_bar, _ = net.vjp(
        [[1.0, 1.0, 1.0, -5.0, 2.0, 2.0], [0.0, -0.0, -1.0, -np.inf, -np.inf, -np.inf]], [[3.0, 4.0]] * 2
    )
    assert x_bar.tolist() == [[3, 0, 0, 0, 4, 0], [3, 0, 0, 4, 0, 0]]


def test_maxout_of_x_and_minus_x_is_the_absolute_value() -> None:
    net = Network(1, [Dense(2, bias=False), Maxout()], backend=FLOAT64)
    net.weights[0][...] = [[1.0], [-1.0]]
    np.testing.assert_array_equal(net.predict(X[:, :1]), np.abs(X[:, :1]))


@pytest.mark.parametrize("layer", [PRelu(), Maxout()], ids=str)
def test_nan_stays_nan_forward_and_back(layer: PRelu | Maxout) -> None:
    net = Network(4, [layer], backend=FLOAT64)
    x = np.array([[np.nan, 1.0, 2.0, 3.0], [1.0, np.nan, -2.0, -3.0]])
    a, x_dot = net.predict(x), np.ones((2, 4))
    x_bar, _ = net.vjp(x, np.ones(a.shape))
    a_dot = net.jvp(x, x_dot, np.zeros(net.n_parameters))
    touched = np.isnan(x) if isinstance(layer, PRelu) else np.array([[True, True, False, False]] * 2)
    np.testing.assert_array_equal(np.isnan(x_bar), touched)
    for array in (a, a_dot):
        np.testing.assert_array_equal(np.isnan(array), np.isnan(x) if isinstance(layer, PRelu) else touched[:, ::2])


def test_batch_norm_of_no_samples_leaves_the_running_means() -> None:
    layer, (m, n) = BatchNorm(), (0, 3)
    memory, views = layer.memory(FLOAT64, (m,), n, (0,)), {"weight": np.ones((1, n)), "bias": np.zeros((1, n))}
    state = {"running_mean": np.full((1, n), 2.0), "running_var": np.full((1, n), 3.0)}
    layer.forward(FLOAT64.kernels, views, state, np.empty((m, n)), memory, Passing(training=True))
    assert {name: array.tolist() for name, array in state.items()} == {
        "running_mean": [[2.0] * n],
        "running_var": [[3.0] * n],
    }


def test_layer_norm_standardises_each_sample() -> None:
    a = Network(3, [LayerNorm()], backend=FLOAT64).predict(X)
    np.testing.assert_allclose(a.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(a.var(axis=1), X.var(axis=1) / (X.var(axis=1) + 1e-5), rtol=1e-12)


def test_batch_norm_runs_towards_the_moments_of_the_data() -> None:
    """With the whole data as the batch, each step takes a tenth of the way, the variance with m − 1 below the line."""
    net = Network(3, [BatchNorm(), Dense(1)], backend=FLOAT64)
    fit(net, X, X[:, 0], loss="squared_error", epochs=5, batch_size=40, shuffle=False)
    named, left = net.state_dict(), 0.9**5
    np.testing.assert_allclose(named["0.running_mean"], (1 - left) * X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(named["0.running_var"], left + (1 - left) * X.var(axis=0, ddof=1), rtol=1e-12)


def test_batch_norm_predicts_sample_by_sample() -> None:
    net = Network(3, [BatchNorm(), Dense(1)], backend=FLOAT64)
    fit(net, X, X[:, 0], loss="squared_error", epochs=5)
    before = net.state_dict()
    np.testing.assert_allclose(net.predict(X)[7:8], net.predict(X[7:8]), rtol=1e-13)
    np.testing.assert_array_equal(net.state_dict()["0.running_mean"], before["0.running_mean"])


def test_a_residual_block_of_zeros_is_the_identity() -> None:
    net = Network(3, [Residual([Dense(5, "relu"), Dense(3)])], backend=FLOAT64)
    net.parameters[...] = 0
    np.testing.assert_array_equal(net.predict(X), X)
    assert list(net.state_dict()) == ["0.0.weight", "0.0.bias", "0.2.weight", "0.2.bias"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PRelu(float("inf")), "initial: inf is not allowed; it must be a finite number"),
        (lambda: Maxout(1), "pieces: 1 is not allowed; it must be an integer ≥ 2"),
        (
            lambda: Network(5, [Maxout(3)]),
            "pieces: 3 is not allowed for 5 features, which it doesn't divide; make them 6",
        ),
        (
            lambda: Dense(8, "prelu"),
            r"activation: 'prelu' has parameters of its own, so it is a layer: Dense\(8\) and then PRelu\(\)",
        ),
        (
            lambda: Dense(8, "maxout"),
            r"activation: 'maxout' changes the number of features, .* Dense\(2 \* 8\) and then Maxout\(2\)",
        ),
        (lambda: Dropout(0.0), "rate: 0.0 is not allowed; it must be > 0 and < 1"),
        (lambda: LayerNorm(epsilon=0), "epsilon: 0 is not allowed"),
        (lambda: BatchNorm(momentum=2), "momentum: 2 is not allowed; it must be ≥ 0 and ≤ 1"),
        (lambda: Residual([]), "layers: an empty list is not allowed"),
        (lambda: Network(3, [Residual([Dense(4)])]), "layers: the block takes 3 features and its layers end with 4"),
    ],
)
def test_bad_values_are_refused_by_name(make: type, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
