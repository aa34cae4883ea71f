"""Every kernel's source compiles for the GPUs that we support, without a warning."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest

pytest.importorskip("cupy", exc_type=ImportError)

from core.activations import ACTIVATIONS, Elementwise
from core.kernels import cuda
from core.kernels.cuda_steps import MOST_THREADS, Formulas, steps_source
from core.losses import LOSSES
from core.optimizers import ELEMENTWISE, Adam
from tests.core.gpu.kernel_formulas import MANY_STEPS, sources
from tests.core.gpu.nvrtc import CudaError, compile_cuda, supports
from tests.core.gpu.raw_kernels import parameters_of_kernels

ATOMIC = r"\b(?:atom|red)\."
"""Instructions whose order, and so the rounding of a sum, is another in each run."""


# The oldest and the newest, as one between has all that the oldest has; nothing is particular to one and a dtype.
@pytest.mark.parametrize(("dtype", "architecture"), [("float32", "sm_70"), ("float32", "sm_90"), ("float64", "sm_70")])
@pytest.mark.parametrize(("source", "formula"), sources(), ids=[formula.name for _, formula in sources()])
def test_source_compiles(source: Callable[[Any, str], str], formula: Any, dtype: str, architecture: str) -> None:
    if not supports(architecture):
        pytest.skip(f"this version of NVRTC no longer compiles for {architecture}")
    code = source(formula, dtype)
    ptx = compile_cuda(code, architecture)
    assert all(f".entry {kernel}(" in ptx for kernel in parameters_of_kernels(code))
    assert not re.search(ATOMIC, ptx)
    # A literal like 1.0, or a function without a float version, would compute in double, 64 times slower on many GPUs.
    assert dtype == "float64" or not re.search(r"\.f64\b", ptx)


def test_an_atomic_addition_shows_in_the_code() -> None:
    code = cuda.rule_source(Adam, "float32").replace("p_[i] = p;", "p_[i] = p; atomicAdd(p_, p);")
    assert re.search(ATOMIC, compile_cuda(code, "sm_80"))


def every_formula() -> list[Formulas]:
    """Return combinations such that each optimizer, activation and loss for which there is a text is in one of them."""
    rules, elementwise = list(ELEMENTWISE.values()), [f for f in ACTIVATIONS.values() if isinstance(f, Elementwise)]
    losses = [loss for loss in LOSSES.values() if loss.name in MANY_STEPS]
    some = [tuple(elementwise[place :: len(rules)]) for place in range(len(rules))]  # as each takes its time to compile
    return [Formulas(*each) for each in zip(rules, some, cycle(losses), strict=False)]


@pytest.mark.parametrize(
    ("dtype", "architecture"),
    [("float32", "sm_70"), ("float32", "sm_90"), ("float64", "sm_80")],
)
@pytest.mark.parametrize("formulas", every_formula(), ids=lambda formulas: formulas.name)
def test_many_steps_compile(formulas: Formulas, dtype: str, architecture: str) -> None:
    if not supports(architecture):
        pytest.skip(f"this version of NVRTC no longer compiles for {architecture}")
    ptx = compile_cuda(steps_source(formulas, dtype), architecture)
    assert ".entry steps(" in ptx
    assert f".maxntid {MOST_THREADS}" in ptx
    assert not re.search(ATOMIC, ptx)
    # In double are Σ of the losses, once a step, and nothing else.
    in_double = set(re.findall(r"\b(?:add|sub|mul|div|fma|ex2|sqrt)\.[a-z.]*f64\b", ptx))
    assert dtype == "float64" or in_double == {"add.f64"}


def test_the_combinations_have_every_formula() -> None:
    found = every_formula()
    assert {formulas.rule for formulas in found} == set(ELEMENTWISE.values())
    assert {formulas.loss.name for formulas in found} == set(MANY_STEPS)
    with_text = {f for formulas in found for f in formulas.activations}
    assert with_text == {f for f in ACTIVATIONS.values() if isinstance(f, Elementwise)}


def test_syntax_error_is_reported_with_the_compilers_log() -> None:
    code = cuda.rule_source(Adam, "float32").replace("p -= ", "p -= -= ")
    with pytest.raises(CudaError, match=r"kernels\.cu\(\d+\): error: expected an expression"):
        compile_cuda(code, "sm_80")


def test_warning_is_an_error() -> None:
    code = cuda.rule_source(Adam, "float32").replace("T p = p_[i];", "T p = p_[i]; T unused = p;")
    with pytest.raises(CudaError, match="never referenced"):
        compile_cuda(code, "sm_80")


def test_arithmetic_in_double_shows_in_the_float32_code() -> None:
    code = cuda.rule_source(Adam, "float32").replace("p -= ", "p -= 0.1 * ")
    assert re.search(r"\.f64\b", compile_cuda(code, "sm_80"))
