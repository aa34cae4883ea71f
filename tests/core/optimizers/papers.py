"""Every optimizer as its paper has it, for vectors: written out apart from core, step by step with all its state.

Each function returns a step, from the parameters p and the gradient g to the new p. Where a paper takes a decay, it is
that of AdamW; an array decays each element by its own.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, TypeAlias

import numpy as np

Step: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]


def sgd(rate: float, momentum: float = 0.0) -> Step:
    v: Any = 0.0

    def step(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal v
        v = momentum * v + g
        return p - rate * v

    return step


def nesterov(rate: float, momentum: float) -> Step:
    """Sutskever's equations 3 and 4 move θ and take the gradient at θ + μv; p is that point."""
    v: Any = 0.0

    def step(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal v
        theta = p - momentum * v
        v = momentum * v - rate * g
        return theta + v + momentum * v

    return step


def adagrad(rate: float, start: float = 0.0, epsilon: float = 1e-10) -> Step:
    s: Any = start

    def step(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal s
        s = s + g**2
        return p - rate * g / (np.sqrt(s) + epsilon)

    return step


def adadelta(rate: float = 1.0, rho: float = 0.95, epsilon: float = 1e-6) -> Step:
    s: Any = 0.0
    u: Any = 0.0

    def step(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal s, u
        s = rho * s + (1 - rho) * g**2
        delta = -np.sqrt(u + epsilon) / np.sqrt(s + epsilon) * g
        u = rho * u + (1 - rho) * delta**2
        return p + rate * delta

    return step


def rmsprop(
    rate: float, alpha: float = 0.99, momentum: float = 0.0, centered: bool = False, epsilon: float = 1e-8
) -> Step:
    s: Any = 0.0
    mean: Any = 0.0
    v: Any = 0.0

    def step(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal s, mean, v
        s = alpha * s + (1 - alpha) * g**2
        mean = alpha * mean + (1 - alpha) * g
        v = momentum * v + g / (np.sqrt(s - mean**2 if centered else s) + epsilon)
        return p - rate * v

    return step


def adam(
    rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, decay: Any = 0.0, ams: bool = False
) -> Step:
    m: Any = 0.0
    v: Any = 0.0
    largest: Any = 0.0
    steps = count(1)

    def step(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal m, v, largest
        t = next(steps)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        largest = np.maximum(largest, v) if ams else v
        m_hat, v_hat = m / (1 - beta1**t), largest / (1 - beta2**t)
        return p - rate * (m_hat / (np.sqrt(v_hat) + epsilon) + decay * p)

    return step


def nadam(rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, psi: float = 0.004) -> Step:
    m: Any = 0.0
    v: Any = 0.0
    product = 1.0
    steps = count(1)

    def step(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal m, v, product
        t = next(steps)
        now = beta1 * (1 - 0.5 * 0.96 ** (t * psi))
        ahead = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * psi))
        product *= now
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = ahead * m / (1 - product * ahead) + (1 - now) * g / (1 - product)
        return p - rate * m_hat / (np.sqrt(v / (1 - beta2**t)) + epsilon)

    return step


def radam(rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Step:
    m: Any = 0.0
    v: Any = 0.0
    limit = 2 / (1 - beta2) - 1
    steps = count(1)

    def step(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal m, v
        t = next(steps)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat, rho = m / (1 - beta1**t), limit - 2 * t * beta2**t / (1 - beta2**t)
        if rho <= 5:
            return p - rate * m_hat
        r = ((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)) ** 0.5
        return p - rate * r * m_hat / (np.sqrt(v / (1 - beta2**t)) + epsilon)

    return step


def lion(rate: float, beta1: float = 0.9, beta2: float = 0.99, decay: Any = 0.0) -> Step:
    m: Any = 0.0

    def step(p: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal m
        update = np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        return p - rate * (update + decay * p)

    return step
