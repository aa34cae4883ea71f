"""Initial weights: each distribution's bounds and variance, where it is used, and what comes back from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core import ACTIVATIONS, INITIALIZERS, Constant, Dense, Network, get_backend, load, save
from core.randomness import Purpose, generator

N_OUT, N_IN = 400, 300
LIMITS = {
    "glorot_uniform": np.sqrt(6 / (N_IN + N_OUT)),
    "he_uniform": np.sqrt(6 / N_IN),
    "lecun_uniform": np.sqrt(3 / N_IN),
}
VARIANCES = {"glorot_normal": 2 / (N_IN + N_OUT), "he_normal": 2 / N_IN, "lecun_normal": 1 / N_IN}
EPS = float(np.finfo(np.float64).eps)


def drawn(name: str, n_out: int = N_OUT, n_in: int = N_IN, seed: int = 0) -> np.ndarray:
    return INITIALIZERS[name](np.random.default_rng(seed), n_out, n_in)


def moment(weights: np.ndarray, order: int) -> float:
    """Return the mean of wⁿ in units of the standard deviation."""
    return float(np.mean((weights / weights.std()) ** order))


def test_every_initializer_is_tested() -> None:
    assert LIMITS.keys() | VARIANCES.keys() | {"orthogonal", "zeros"} == INITIALIZERS.keys()


@pytest.mark.parametrize("name", LIMITS)
def test_uniform_weights_fill_their_interval(name: str) -> None:
    weights, limit, n = drawn(name), LIMITS[name], N_OUT * N_IN
    assert weights.shape == (N_OUT, N_IN)
    # The largest of n numbers misses the bound by limit/n on average; by twenty times that once in e²⁰.
    assert limit * (1 - 20 / n) < weights.max() <= limit
    assert limit * (1 - 20 / n) < -weights.min() <= limit
    # Six standard deviations of the mean, limit/√(3n); of the variance, √(4/5n) of itself; of the fourth moment, 9/5.
    assert abs(weights.mean()) < 6 * limit / np.sqrt(3 * n)
    assert weights.var() == pytest.approx(limit**2 / 3, rel=6 * np.sqrt(0.8 / n))
    assert moment(weights, 4) == pytest.approx(9 / 5, abs=6 * np.sqrt(9 / n))


@pytest.mark.parametrize("name", VARIANCES)
def test_normal_weights_have_their_variance_and_tails(name: str) -> None:
    weights, variance, n = drawn(name), VARIANCES[name], N_OUT * N_IN
    assert weights.shape == (N_OUT, N_IN)
    # Six standard deviations of the mean, of the variance, √(2/n) of itself, and of the fourth moment, 3, of √(96/n).
    assert abs(weights.mean()) < 6 * np.sqrt(variance / n)
    assert weights.var() == pytest.approx(variance, rel=6 * np.sqrt(2 / n))
    assert moment(weights, 4) == pytest.approx(3, abs=6 * np.sqrt(96 / n))


@pytest.mark.parametrize(("n_out", "n_in"), [(5, 5), (7, 3), (3, 7), (1, 4), (200, 100)])
def test_orthogonal_weights_have_orthonormal_rows_or_columns(n_out: int, n_in: int) -> None:
    weights, few = drawn("orthogonal", n_out, n_in), min(n_out, n_in)
    assert weights.shape == (n_out, n_in)
    product = weights @ weights.T if n_out <= n_in else weights.T @ weights
    # Householder's QR is orthogonal to a few dozen roundings of columns of the length 1.
    np.testing.assert_allclose(product, np.eye(few), rtol=0, atol=100 * EPS)


def test_any_orthogonal_matrix_is_as_likely() -> None:
    """Each element has the mean 0 and the variance 1/n; the plain Q of a QR has a diagonal of one sign."""
    weights = np.array([drawn("orthogonal", 3, 3, seed) for seed in range(3000)])
    # Six standard deviations: of the mean √(1/3n); of the mean square, whose own variance is 2/15 − 1/45 = 4/45.
    np.testing.assert_allclose(weights.mean(axis=0), 0, atol=6 * np.sqrt(1 / 3 / 3000))
    np.testing.assert_allclose((weights**2).mean(axis=0), 1 / 3, atol=6 * np.sqrt(4 / 45 / 3000))
    # As many of them reflect as don't.
    assert np.linalg.det(weights).mean() == pytest.approx(0, abs=6 / np.sqrt(3000))


def test_zeros_and_constants() -> None:
    assert not drawn("zeros", 2, 3).any()
    net = Network(3, [Dense(2, initializer=Constant(0.25)), Dense(1, initializer="zeros")])
    assert (net.weights[0] == 0.25).all()
    assert not net.weights[1].any()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_layer_draws_from_the_networks_seed(name: str) -> None:
    net = Network(3, [Dense(4, initializer=name)], backend=get_backend("numpy", "float64"), seed=5)
    expected = INITIALIZERS[name](generator(5, Purpose.INITIAL_WEIGHTS), 4, 3)
    np.testing.assert_array_equal(net.weights[0], expected)
    assert not net.state_dict()["0.bias"].any()


def test_each_activation_has_the_one_that_suits_it() -> None:
    he = {"relu", "leaky_relu", "elu", "softplus", "gelu", "gelu_tanh", "silu", "mish"}
    for name in ACTIVATIONS:
        expected = "he_uniform" if name in he else "lecun_normal" if name == "selu" else "glorot_uniform"
        assert Dense(2, name).initializer == expected
    assert Dense(2, "relu", initializer="orthogonal").initializer == "orthogonal"


def test_selu_keeps_mean_0_and_variance_1_through_many_layers() -> None:
    """The paper's fixed point, which needs lecun_normal: He's variance would double, from layer to layer."""
    net = Network(200, [Dense(200, "selu") for _ in range(10)], backend=get_backend("numpy", "float64"))
    a = net.predict(np.random.default_rng(0).standard_normal((500, 200)))
    assert abs(a.mean()) < 0.1
    assert a.var() == pytest.approx(1, abs=0.2)


def test_a_constant_comes_back_from_a_file(tmp_path: Path) -> None:
    net = Network(3, [Dense(2, initializer=Constant(-1.5))])
    save(net, tmp_path / "net")
    assert load(tmp_path / "net").layers == net.layers


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True, None])
def test_a_constant_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=f"value: {value!r} is not allowed; it must be a finite number"):
        Constant(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("initializer", ["xavier", 0.1, ["zeros"]])
def test_what_is_no_initializer_is_refused(initializer: object) -> None:
    with pytest.raises(ValueError, match=r"initializer: there is no .*; allowed are glorot_uniform, .* class Constant"):
        Dense(2, initializer=initializer)  # type: ignore[arg-type]
