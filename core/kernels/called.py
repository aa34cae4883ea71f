"""The text of what the steps of `core.kernels.epochs` call by its address: loops around one formula each.

Nothing here imports Numba. A matrix lies row by row in memory; a part of it begins at `corner` and every `row`
elements.
"""

from __future__ import annotations

from core.activations import Elementwise
from core.kernels.loops import head, translated_activation
from core.rule import Rule


def _head(dtype: str) -> str:
    return f"""{head(dtype)}from numba import carray, cfunc, types

from core.kernels.addresses import pointer

REAL, SIZE = types.CPointer(types.{dtype}), types.intp


"""


def _outer(*kinds: str) -> str:
    return f'@cfunc(types.void({", ".join(kinds)}), error_model="numpy", cache=True)'


def activation_called(activation: type[Elementwise], dtype: str) -> str:
    """Return a module with `activate`, which adds a bias to a part of z and writes a = f(z), and `pull_back`.

    ā and z̄ are one array there: told so, LLVM makes vectors of it.
    """
    return f"""{_head(dtype)}{translated_activation(activation)}
{_outer("REAL", "REAL", "SIZE", "SIZE", "SIZE", "SIZE", "REAL")}
def activate(z_at, a_at, corner, row, m, n, bias_at):
    end = corner + (m - 1) * row + n
    z, a, bias = carray(z_at, end), carray(a_at, end), carray(bias_at, n)
    for i in range(m):
        start = corner + i * row
        z_i, a_i = z[start : start + n], a[start : start + n]
        for j in range(n):
            z_i[j] += bias[j]
            a_i[j] = value(z_i[j])


{_outer("REAL", "REAL", "REAL", "SIZE", "SIZE", "SIZE", "SIZE")}
def pull_back(bar_at, z_at, a_at, corner, row, m, n):
    end = corner + (m - 1) * row + n
    bar, z, a = carray(bar_at, end), carray(z_at, end), carray(a_at, end)
    if n == row:
        m, n = 1, m * n
    for i in range(m):
        start = corner + i * row
        bar_i, z_i, a_i = bar[start : start + n], z[start : start + n], a[start : start + n]
        for j in range(n):
            bar_i[j] *= derivative(z_i[j], a_i[j])
"""


def loss_called(loss_module: str, dtype: str, y_dtype: str, *, labels: bool) -> str:
    """Return a module with `judge`: the losses of the rows from `low` to `high` of u, `(…, n)`, and ū from `corner` on.

    Args:
        loss_module: `core.kernels.loops.loss_loops`, by name.
        dtype: of u.
        y_dtype: of the targets.
        labels: whether there is one target a row, and not n.
    """
    targets = "high" if labels else "(high, n)"
    return f"""{_head(dtype)}from {loss_module} import loss


{_outer("REAL", f"types.CPointer(types.{y_dtype})", "REAL", "REAL", "REAL", "SIZE", "SIZE", "SIZE", "SIZE")}
def judge(u_at, y_at, j_bar_at, values_at, bar_at, corner, low, high, n):
    u, y = carray(u_at, (high, n)), carray(y_at, {targets})
    j_bar, values, bar = carray(j_bar_at, high), carray(values_at, high), carray(bar_at, corner + high * n)
    u_bar = bar[corner + low * n :].reshape(high - low, n)
    loss(u[low:], y[low:], j_bar[low:], values[low:], u_bar)
"""


def rule_called(rule: type[Rule], rule_module: str, dtype: str) -> str:
    """Return a module with `update`: the rule's step on the elements from `start` to `stop` of p, g and each slot.

    Args:
        rule: of an optimizer.
        rule_module: `core.kernels.loops.rule_loops`, by name.
        dtype: of p.
    """
    slots = "".join(f"carray(pointer(slots[{index}], p), stop)[start:], " for index in range(len(rule.slots)))
    numbers = ", ".join(f"numbers[{index}]" for index in range(len(rule.numbers)))
    return f"""{_head(dtype)}from {rule_module} import step


{_outer("REAL", "REAL", "types.CPointer(types.intp)", "SIZE", "SIZE", "types.CPointer(types.float64)")}
def update(p_at, g_at, slots_at, start, stop, numbers_at):
    p, g = carray(p_at, stop)[start:], carray(g_at, stop)[start:]
    slots, numbers = carray(slots_at, {max(1, len(rule.slots))}), carray(numbers_at, {max(1, len(rule.numbers))})
    step(p, g, {slots}{numbers})
"""
