"""The text of the loops that Numba compiles around a formula. Nothing here imports Numba."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from typing import Any

from core.activations import Elementwise
from core.kernels.translation import UntranslatableError, translated
from core.losses import Loss, SoftmaxCrossEntropy
from core.rule import Rule

OUTER = '@njit(error_model="numpy", nogil=True, cache=True)'


def head(dtype: str) -> str:
    """Return how a module begins in which translated formulas stand: what they may call, and T, the elements' type."""
    return f"""\"\"\"Made by deltabar; it is made again when it is missing.\"\"\"
import numpy as np
from numba import njit

from core.kernels.vector_math import FUNCTIONS

T = np.{dtype}
inner = njit(error_model="numpy", forceinline=True)
globals().update(FUNCTIONS["{dtype}"])


"""


def rule_loops(rule: type[Rule], dtype: str) -> str:
    """Return a module with `step(p, g, *slots, *numbers)` on flat arrays, the numbers floats; and `step_each`.

    There, p, g and the slots are `(N, P)`, and each number is an array `(N, 1)`.
    """
    slots, numbers = [f"slot_{name}" for name in rule.slots], [f"number_{name}" for name in rule.numbers]
    arguments = ", ".join(["p", "g", *slots, *numbers])

    def change(at: str) -> str:
        left, inner = "".join(f"{array}[{at}], " for array in ["p", *slots]), "".join(f"{s}[{at}], " for s in slots)
        return f"{left}= formula(p[{at}], g[{at}], ({inner}), {', '.join(f'T_{n}' for n in numbers)})"

    def take(index: str) -> str:
        return "; ".join(f"T_{number} = T({number}{index})" for number in numbers) or "pass"

    return f"""{head(dtype)}{translated(rule.formula, "formula", {})}
{OUTER}
def step({arguments}):
    {take("")}
    for i in range(p.size):
        {change("i")}


{OUTER}
def step_each({arguments}):
    for k in range(p.shape[0]):
        {take("[k, 0]")}
        for i in range(p.shape[1]):
            {change("k, i")}
"""


def activation_loops(activation: type[Elementwise], dtype: str) -> str:
    """Return a module with `bias_activation` for arrays `(K, m, n)`, a bias `(K, 1, n)`, and `pullback` for flat."""
    return f"""{head(dtype)}{translated_activation(activation)}
{OUTER}
def bias_activation(z, bias, a):
    for k in range(z.shape[0]):
        for i in range(z.shape[1]):
            for j in range(z.shape[2]):
                z[k, i, j] += bias[k, 0, j]
                a[k, i, j] = value(z[k, i, j])


{OUTER}
def pullback(a_bar, z, a, z_bar):
    for i in range(z.size):
        z_bar[i] = a_bar[i] * derivative(z[i], a[i])
"""


def translated_activation(activation: type[Elementwise]) -> str:
    """Return the text of `value(z)` and `derivative(z, a)`, and those that they call, for one element."""
    known: dict[str, Any] = {}
    return f"""{translated(activation.value, "value", known)}
{translated(activation.derivative, "derivative", known)}"""


def can_be_translated(activations: frozenset[type[Elementwise]], loss: Loss, rule: type[Rule], dtype: str) -> bool:
    """Return whether the formulas of all of these are such as there can be loops around."""
    # A loss that a user brought along, and that can't be told from others, would get the loops of another.
    return isinstance(loss, Hashable) and _are_translated(activations, loss, rule, dtype)


@cache
def _are_translated(activations: frozenset[type[Elementwise]], loss: Any, rule: type[Rule], dtype: str) -> bool:
    try:
        texts = [activation_loops(activation, dtype) for activation in activations]
        return all([*texts, loss_loops(loss, dtype), rule_loops(rule, dtype)])
    except UntranslatableError:
        return False


def loss_loops(loss: Loss, dtype: str) -> str:
    """Return a module with `loss(u, y, j_bar, values, u_bar)` for arrays `(rows, n)` and `(rows,)`.

    For softmax cross-entropy y is labels, `(rows,)`; for other losses numbers like u.
    """
    return head(dtype) + loss_text(loss, {})


def loss_text(loss: Loss, known: dict[str, Any]) -> str:
    """Return the text of the function `loss`, and those that it calls, for a module that begins with `head`."""
    if type(loss) is SoftmaxCrossEntropy:
        return _SOFTMAX_CROSS_ENTROPY.format(outer=OUTER, smoothing=loss.smoothing)
    kind = type(loss)
    return f"""{translated(kind.value, "loss_value", known, loss)}
{translated(kind.gradient, "loss_gradient", known, loss)}
{OUTER}
def loss(u, y, j_bar, values, u_bar):
    for i in range(u.shape[0]):
        total = T(0)
        for j in range(u.shape[1]):
            total += loss_value(u[i, j], y[i, j])
            u_bar[i, j] = loss_gradient(u[i, j], y[i, j], j_bar[i])
        values[i] = total
"""


_SOFTMAX_CROSS_ENTROPY = """
{outer}
def loss(u, y, j_bar, values, u_bar):
    m, n = u.shape
    keep, rest = T(1 - {smoothing!r}), T({smoothing!r} / n)
    for i in range(m):
        top = u[i, 0]
        for j in range(n):
            top = maximum(top, u[i, j])
        shifted = T(0)
        for j in range(n):
            u_bar[i, j] = u[i, j] - top
            shifted += u_bar[i, j]
        known = keep * u_bar[i, y[i]]
        if rest > 0:
            known += rest * shifted
        values[i] = -known
    # All rows at once, as those of a few classes alone would make no vectors.
    flat = u_bar.reshape(-1)
    for k in range(flat.size):
        flat[k] = exp(flat[k])
    for i in range(m):
        total = T(0)
        for j in range(n):
            total += u_bar[i, j]
        values[i] += np.log(total)
        factor = j_bar[i] / total
        for j in range(n):
            u_bar[i, j] = factor * u_bar[i, j] - j_bar[i] * rest
        u_bar[i, y[i]] -= j_bar[i] * keep
"""
"""ln Σ exp(u) − Σ t u and J̄ (softmax(u) − t), t = (1 − smoothing)·onehot(y) + smoothing/n, the maximum taken off."""
