"""PyTorch for a fleet: stacked parameters, `vmap` over the gradient of one network, one fused Adam for all."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from benchmarks.contestants.torch_eager import LIBRARIES, loss_function, network
from benchmarks.problem import Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import LEARNING_RATE, Shape

__all__ = ["LIBRARIES", "prepare", "why_not"]


def why_not(shape: Shape) -> str | None:
    """Return a reason for a network alone, which `torch_eager` trains."""
    return None if shape.networks > 1 else "trains fleets"


def prepare(problem: Problem) -> Training:
    """Return a training of all networks in one call a step."""
    shape = problem.shape
    x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
    models, loss = [network(shape) for _ in range(shape.networks)], loss_function(problem)

    def batch_loss(parameters: dict[str, Any], samples: Any, targets: Any) -> Any:
        return loss(functional_call(models[0], parameters, (samples,)), targets)

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
        optimizer = torch.optim.Adam(parameters.values(), lr=LEARNING_RATE, fused=True)
        for epoch in range(1, epochs + 1):
            total = torch.zeros(shape.networks)
            for index in torch.from_numpy(problem.order(epoch)).split(shape.batch, dim=1):
                found, values = gradients(parameters, x[index], y[index])
                for name, parameter in parameters.items():
                    parameter.grad = found[name]
                optimizer.step()
                total += values.detach()
            run.end_epoch(total.numpy() / shape.steps)
        final = zip(weights, biases, strict=True)
        run.layers = [(weight.detach().numpy().copy(), bias.detach().numpy().copy()) for weight, bias in final]
        return run

    return train
