"""What our CUDA kernels compute, in NumPy: the reference formulas on the kernels' own, flat, arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from core.activations import ACTIVATIONS, Elementwise
from core.averaging import RunningAverage
from core.kernels import cuda
from core.losses import LOSSES, SoftmaxCrossEntropy
from core.optimizers import ELEMENTWISE, WeightDecay
from core.regularization import ClipValue, Penalty
from core.rule import Rule
from tests.core.gpu.raw_kernels import Launch

RULES: list[type[Rule]] = [*ELEMENTWISE.values(), WeightDecay, Penalty, ClipValue, RunningAverage]
"""Every rule that is applied to flat buffers."""
MANY_STEPS = (
    *("squared_error", "absolute_error", "huber", "log_cosh", "quantile", "hinge"),
    *("binary_cross_entropy", "softmax_cross_entropy"),
)
"""Losses with which there are many steps in one launch."""


def compute_by_formulas(code: str, name: str) -> Launch:
    """Return what computes the kernel `name` of `code`, a source from `core.kernels.cuda`."""
    formula = _formula_of(code)
    compute = partial({
        "bias_activation": _bias_activation,
        "activation_pullback": _activation_pullback,
        "of_rows": _softmax_cross_entropy,
        "elementwise_step": _elementwise_step,
        "step_each": _step_each,
    }[name], formula)  # fmt: skip

    def launch(_blocks: int, _threads: int, args: list[Any], _shared: int = 0) -> None:
        compute(*args)

    return launch


def sources() -> list[tuple[Callable[[Any, str], str], Any]]:
    """Return every pair of a source of `core.kernels.cuda` and the formula that it is made for."""
    elementwise = [f for f in ACTIVATIONS.values() if isinstance(f, Elementwise)]
    fused_losses = [loss for loss in LOSSES.values() if isinstance(loss, SoftmaxCrossEntropy)]
    return [
        *((cuda.activation_source, f) for f in elementwise),
        *((cuda.softmax_cross_entropy_source, loss) for loss in fused_losses),
        *((cuda.rule_source, rule) for rule in RULES),
    ]


def _formula_of(code: str) -> Any:
    if code in (known := _by_source()):
        formula = known[code]
        return formula() if isinstance(formula, type) else formula
    raise NotImplementedError("this source isn't one of core.kernels.cuda's, so its formula isn't known")


@cache
def _by_source() -> dict[str, Any]:
    return {source(formula, dtype): formula for source, formula in sources() for dtype in cuda.CTYPES}


def _bias_activation(
    f: Elementwise, z: Any, bias: Any, a: Any, size: int, network_size: int, n: int, stride: int
) -> None:
    z = z.reshape(-1)[:size].reshape(-1, network_size // n, n)
    if bias is not None:
        z += as_strided(bias, (len(z), 1, n), (stride * bias.itemsize, 0, bias.itemsize))
    a.reshape(z.shape)[...] = f.value(np, z)


def _activation_pullback(f: Elementwise, a_bar: Any, z: Any, a: Any, z_bar: Any, size: int) -> None:
    z_bar.reshape(-1)[:size] = f.pullback(np, *(array.reshape(-1)[:size] for array in (a_bar, z, a)))


def _softmax_cross_entropy(
    _: SoftmaxCrossEntropy, z: Any, y: Any, j_bar: Any, smoothing: float, values: Any, z_bar: Any, rows: int, n: int
) -> None:
    loss, z, y, j_bar = (
        SoftmaxCrossEntropy(float(smoothing)),
        z.reshape(rows, n),
        y.reshape(rows),
        j_bar.reshape(rows, 1),
    )
    values.reshape(rows)[...] = loss.value(np, z, y)
    z_bar.reshape(rows, n)[...] = loss.gradient(np, z, y, j_bar)


def _elementwise_step(rule: Rule, p: Any, g: Any, *rest: Any) -> None:
    slots, numbers, size = rest[: len(rule.slots)], rest[len(rule.slots) : -1], rest[-1]
    changed = [array.reshape(-1)[:size] for array in (p, *slots)]
    new = rule.formula(np, changed[0], g.reshape(-1)[:size], tuple(changed[1:]), *numbers)
    for array, value in zip(changed, new, strict=True):
        array[...] = value


def _step_each(rule: Rule, p: Any, g: Any, *rest: Any) -> None:
    slots, numbers, network_size = rest[: len(rule.slots)], rest[len(rule.slots) : -2], rest[-1]
    changed = [array.reshape(-1, network_size) for array in (p, *slots)]
    own = (number.reshape(-1, 1) for number in numbers)
    new = rule.formula(np, changed[0], g.reshape(-1, network_size), tuple(changed[1:]), *own)
    for array, value in zip(changed, new, strict=True):
        array[...] = value
