"""PyTorch for a fleet: stacked parameters, `vmap` over the gradient of one network, one fused Adam for all.

PyTorch's Adam has one learning rate for a tensor. So it makes steps from zero with the rate 1, and these are scaled.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from benchmarks.contestants.torch_eager import LIBRARIES, loss_function, network
from benchmarks.problem import Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import Shape

__all__ = ["LIBRARIES", "prepare", "why_not"]


def why_not(shape: Shape) -> str | None:
    """Return a reason for a network alone, which `torch_eager` trains."""
    return None if shape.networks > 1 else "trains fleets"


def prepare(problem: Problem) -> Training:
    """Return a training of all networks in one call a step."""
    shape = problem.shape
    x, y = (torch.from_numpy(table).to(problem.device) for table in (problem.x, problem.y))
    models, loss = [network(shape).to(problem.device) for _ in range(shape.networks)], loss_function(problem)

    def batch_loss(parameters: dict[str, Any], samples: Any, targets: Any) -> Any:
        return loss(functional_call(models[0], parameters, (samples,)), targets)

    rates = torch.from_numpy(problem.learning_rates).float().to(problem.device)
    gradients = vmap(grad_and_value(batch_loss), randomness="different")

    def train(epochs: int) -> Run:
        parameters, _ = stack_module_state(models)
        weights = [p for name, p in parameters.items() if name.endswith("weight")]
        biases = [p for name, p in parameters.items() if name.endswith("bias")]
        with torch.no_grad():
            for weight, bias, (theta, b) in zip(weights, biases, problem.initial, strict=True):
                weight.copy_(torch.from_numpy(theta))
                bias.copy_(torch.from_numpy(b))
        run = Run()
        steps = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
        optimizer = torch.optim.Adam(steps.values(), lr=1.0, fused=True)
        scales = [rates.reshape(-1, *(1,) * (parameter.dim() - 1)) for parameter in parameters.values()]
        for epoch in range(1, epochs + 1):
            total = torch.zeros(shape.networks, device=problem.device)
            for index in torch.from_numpy(problem.order(epoch)).to(problem.device).split(shape.batch, dim=1):
                found, values = gradients(parameters, x[index], y[index])
                for name, step in steps.items():
                    step.grad = found[name]
                optimizer.step()
                with torch.no_grad():
                    torch._foreach_addcmul_(list(parameters.values()), list(steps.values()), scales)
                    torch._foreach_zero_(list(steps.values()))
                total += values.detach()
            run.end_epoch(total.cpu().numpy() / shape.steps)
        final = [(weight.detach().cpu(), bias.detach().cpu()) for weight, bias in zip(weights, biases, strict=True)]
        run.layers = [(weight.numpy().copy(), bias.numpy().copy()) for weight, bias in final]
        return run

    return train
