"""The bound through PyTorch's BLAS: on the CPU where that is the faster one, and on a GPU."""

# pyright: reportMissingImports=false
from __future__ import annotations

import torch

from benchmarks.problem import Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import Shape

LIBRARIES = ("torch",)


def why_not(shape: Shape) -> None:
    """Return None: every shape has its products."""


@torch.no_grad()
def prepare(problem: Problem) -> Training:
    """Return a "training" of the products that `matmuls_numpy` lists."""
    shape = problem.shape
    leading = (shape.networks,) if shape.networks > 1 else ()
    products = []
    for place, (weights, _) in enumerate(problem.initial):
        theta = torch.from_numpy(weights).to(problem.device)
        n_out, n_in = theta.shape[-2:]
        x, z_bar = (torch.randn(*leading, shape.batch, n, device=problem.device) for n in (n_in, n_out))
        products += [(x, theta.mT, torch.empty_like(z_bar)), (z_bar.mT, x, torch.empty_like(theta))]
        products += [(z_bar, theta, torch.empty_like(x))] if place else []

    def train(epochs: int) -> Run:
        run = Run()
        for _ in range(epochs):
            for _ in range(shape.steps):
                for left, right, out in products:
                    torch.matmul(left, right, out=out)
            if problem.device == "cuda":
                torch.cuda.synchronize()
            run.end_epoch()
        return run

    return train
