"""JAX: a whole epoch is one compiled function, a `lax.scan` over its batches, which gives its buffers away."""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problem import Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import Shape

LIBRARIES = ("jax", "jaxlib")
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
}
PLATFORMS = {"cpu": "cpu", "cuda": "gpu"}
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def why_not(shape: Shape) -> str | None:
    """Return a reason for fleets, which `jax_vmap` trains."""
    return "trains one network" if shape.networks > 1 else None


def prepare(problem: Problem) -> Training:
    """Return a training with one compiled call an epoch."""
    return training(problem, epoch_function(problem))


def batch_loss(problem: Problem, layers: Any, x: Any, y: Any, key: Any) -> Any:
    """Return J of a batch."""
    shape, a = problem.shape, x
    for theta, b in layers[:-1]:
        a = ACTIVATIONS[shape.activation](a @ theta.T + b)
        if shape.dropout:
            key, here = jax.random.split(key)
            kept = jax.random.bernoulli(here, 1 - shape.dropout, a.shape)
            a = jnp.where(kept, a / (1 - shape.dropout), 0)
    z = a @ layers[-1][0].T + layers[-1][1]
    if problem.is_regression:
        return jnp.sum((z - y) ** 2) / (2 * len(y))
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))


def epoch_function(problem: Problem) -> Callable[[Any, Any, Any, Any, Any], Any]:
    """Return the epoch: from (layers, m, v, step), x, y, order and learning rate to the next state and mean loss."""
    gradient = jax.value_and_grad(lambda *arguments: batch_loss(problem, *arguments))
    each = jax.tree.map

    def epoch(state: Any, x: Any, y: Any, order: Any, learning_rate: Any) -> Any:
        def one_step(state: Any, index: Any) -> Any:
            layers, m, v, step = state
            step = step + 1
            value, g = gradient(layers, x[index], y[index], jax.random.key(step))
            m = each(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
            v = each(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
            rate, root = learning_rate / (1 - BETA1**step), 1 / jnp.sqrt(1 - BETA2**step)
            layers = each(lambda p, m, v: p - rate * m / (root * jnp.sqrt(v) + EPSILON), layers, m, v)
            return (layers, m, v, step), value

        state, values = jax.lax.scan(one_step, state, order.reshape(-1, problem.shape.batch))
        return state, values.mean()

    return epoch


def training(problem: Problem, epoch_of: Callable[[Any, Any, Any, Any, Any], Any]) -> Training:
    """Return a training that calls `epoch_of`, compiled, once an epoch."""
    jax.config.update("jax_default_device", jax.devices(PLATFORMS[problem.device])[0])
    if problem.device == "cuda":  # otherwise its products are in TF32, of 10 bits, and all others' in float32
        jax.config.update("jax_default_matmul_precision", "highest")
    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y, jnp.float32 if problem.is_regression else jnp.int32)
    rates = jnp.asarray(problem.learning_rates, jnp.float32)
    rates = rates if problem.shape.networks > 1 else rates[0]
    compiled = jax.jit(epoch_of, donate_argnums=0)

    def train(epochs: int) -> Run:
        run = Run()
        layers = [(jnp.array(theta), jnp.array(b)) for theta, b in problem.initial]
        m, v = (jax.tree.map(jnp.zeros_like, layers) for _ in range(2))
        state = (layers, m, v, jnp.zeros(problem.initial[0][0].shape[:-2], jnp.int32))
        for epoch in range(1, epochs + 1):
            state, mean = compiled(state, x, y, jnp.asarray(problem.order(epoch), jnp.int32), rates)
            run.end_epoch(np.asarray(mean))
        run.layers = [(np.array(theta), np.array(b)) for theta, b in state[0]]
        return run

    return train
