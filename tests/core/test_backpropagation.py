"""The passes through whole networks: adjoint to each other, and the derivative of J, for every activation and loss."""

from __future__ import annotations

import numpy as np
import pytest

from core import ACTIVATIONS, LOSSES, Dense, Network, check_adjoint, check_gradients, get_backend
from tests.core.losses.targets import targets_for

FLOAT64 = get_backend("numpy", "float64")


def build(activation: str, output: str, seed: int | list[int] = 0, bias: bool = True) -> Network:
    layers = [Dense(5, activation, bias=bias), Dense(4, activation, bias=bias), Dense(3, output, bias=bias)]
    return Network(6, layers, backend=FLOAT64, seed=seed)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("output", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_the_way_back_is_adjoint_to_the_way_forward(activation: str, output: str, bias: bool) -> None:
    """⟨ā, ȧ⟩ = ⟨x̄, ẋ⟩ + ⟨θ̄, θ̇⟩; for each Θ the last pairing is the trace Tr(Θ̄ᵀ Θ̇)."""
    report = check_adjoint(build(activation, output, bias=bias), np.random.default_rng(1).standard_normal((7, 6)))
    assert report.passed, report


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_the_directional_derivative(activation: str, loss: str) -> None:
    rule, rng = LOSSES[loss], np.random.default_rng(2)
    net = build(activation, rule.output_activation or "identity")
    # Biases too: with all at 0, a sample whose relus are all off puts the next layer's z on the kink itself.
    # Small ones for exp, as exp(exp(z)) soon passes every bound.
    net.parameters[...] = rng.standard_normal(net.n_parameters) * (0.3 if activation == "exp" else 1)
    x = rng.standard_normal((8, 6))
    y = targets_for(rule, rng, (8, 3))
    report = check_gradients(net, x, y, loss)
    assert not report.kink
    assert report.passed, report


def test_the_tangent_is_the_directional_derivative() -> None:
    net, rng = build("tanh", "sigmoid"), np.random.default_rng(3)
    x, x_dot = rng.standard_normal((2, 7, 6))
    start, direction = net.parameters.copy(), rng.standard_normal(net.n_parameters)
    tangent = net.jvp(x, x_dot, direction)
    step = float(np.finfo(np.float64).eps) ** (1 / 3)
    net.parameters[...] = start + step * direction
    ahead = net.predict(x + step * x_dot)
    net.parameters[...] = start - step * direction
    behind = net.predict(x - step * x_dot)
    # Directions of length √n, and third derivatives that multiply through three layers: step² times their size.
    size = float(np.linalg.norm(direction) ** 3)
    np.testing.assert_allclose((ahead - behind) / (2 * step), tangent, rtol=0, atol=size * step**2)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_fleet_gives_what_its_networks_give_alone(loss: str) -> None:
    rule, rng = LOSSES[loss], np.random.default_rng(4)
    output = rule.output_activation or "tanh"
    x = rng.standard_normal((8, 6))
    y = targets_for(rule, rng, (8, 3))
    fleet = build("tanh", output, seed=[3, 5])
    values, gradients = fleet.gradient(x, y, loss)
    for k, seed in enumerate((3, 5)):
        alone = build("tanh", output, seed=seed)
        np.testing.assert_array_equal(fleet.parameters[k], alone.parameters)
        value, gradient = alone.gradient(x, y, loss)
        np.testing.assert_allclose(values[k], value, rtol=1e-14)
        np.testing.assert_allclose(gradients[k], gradient, rtol=1e-12, atol=1e-16)
        np.testing.assert_allclose(fleet.predict(x)[k], alone.predict(x), rtol=1e-13)
