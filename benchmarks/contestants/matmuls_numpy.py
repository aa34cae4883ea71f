"""The bound: a step's matrix products and nothing else, through NumPy's BLAS."""

from __future__ import annotations

import numpy as np

from benchmarks.problem import Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import Shape

LIBRARIES = ("numpy",)


def why_not(shape: Shape) -> None:
    """Return None: every shape has its products."""


def prepare(problem: Problem) -> Training:
    """Return a "training" that computes x Θᵀ, z̄ᵀ x and, but for the first layer, z̄ Θ, as often as an epoch does.

    The matrices are those of a step, in size, layout and type; what is in them doesn't matter for the time.
    """
    shape = problem.shape
    leading = (shape.networks,) if shape.networks > 1 else ()
    rng = np.random.default_rng(0)
    products: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for place, (theta, _) in enumerate(problem.initial):
        n_out, n_in = theta.shape[-2:]
        x, z_bar = (rng.standard_normal((*leading, shape.batch, n), dtype=np.float32) for n in (n_in, n_out))
        products += [(x, theta.mT, np.empty_like(z_bar)), (z_bar.mT, x, np.empty_like(theta))]
        products += [(z_bar, theta, np.empty_like(x))] if place else []

    def train(epochs: int) -> Run:
        run = Run()
        for _ in range(epochs):
            for _ in range(shape.steps):
                for left, right, out in products:
                    np.matmul(left, right, out=out)
            run.end_epoch()
        return run

    return train
