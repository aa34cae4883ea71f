"""JAX for a fleet: `vmap` over the networks of the compiled epoch."""

# pyright: reportMissingImports=false
from __future__ import annotations

import jax

from benchmarks.contestants import jax_scan
from benchmarks.problem import Problem
from benchmarks.run import Training
from benchmarks.shapes import Shape

LIBRARIES = jax_scan.LIBRARIES


def why_not(shape: Shape) -> str | None:
    """Return a reason for a network alone, which `jax_scan` trains."""
    return None if shape.networks > 1 else "trains fleets"


def prepare(problem: Problem) -> Training:
    """Return a training with one compiled call an epoch for all networks."""
    return jax_scan.training(problem, jax.vmap(jax_scan.epoch_function(problem), in_axes=(0, None, None, 0, 0)))
