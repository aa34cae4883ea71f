"""PyTorch with `torch.compile` around forward pass and loss, which compiles the way back too; the fused Adam."""

# pyright: reportMissingImports=false
from __future__ import annotations

import torch

from benchmarks.contestants import torch_eager
from benchmarks.problem import Problem
from benchmarks.run import Training

LIBRARIES = torch_eager.LIBRARIES
why_not = torch_eager.why_not


def prepare(problem: Problem) -> Training:
    """Return a training whose first epoch compiles."""
    torch.compiler.reset()
    return torch_eager.training(problem, torch.compile)
