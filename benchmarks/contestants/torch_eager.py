"""PyTorch as most people write it: `nn.Sequential`, autograd, and the fused Adam."""

# pyright: reportMissingImports=false
# The peers are installed in the benchmark's own environment only.
from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from benchmarks.problem import Layers, Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import LEARNING_RATE, Shape

LIBRARIES = ("torch",)
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


def why_not(shape: Shape) -> str | None:
    """Return a reason for fleets, which `torch_vmap` trains."""
    return "trains one network" if shape.networks > 1 else None


def prepare(problem: Problem) -> Training:
    """Return a training that runs each operation as it comes."""
    return training(problem, lambda function: function)


def network(shape: Shape) -> nn.Sequential:
    """Return the network, with weights of its own drawing."""
    layers: list[nn.Module] = []
    pairs = list(pairwise(shape.widths))
    for n_in, n_out in pairs[:-1]:
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[shape.activation]()]
        layers += [nn.Dropout(shape.dropout)] if shape.dropout else []
    return nn.Sequential(*layers, nn.Linear(*pairs[-1]))


def loss_function(problem: Problem) -> Callable[[Any, Any], Any]:
    """Return J of outputs and targets."""
    if problem.is_regression:
        return lambda a, y: nn.functional.mse_loss(a, y, reduction="sum") / (2 * len(y))
    return nn.functional.cross_entropy


def set_initial(linear: list[nn.Linear], problem: Problem) -> None:
    """Give the layers the problem's weights."""
    with torch.no_grad():
        for layer, (theta, b) in zip(linear, problem.initial, strict=True):
            layer.weight.copy_(torch.from_numpy(theta))
            layer.bias.copy_(torch.from_numpy(b))


def layers_of(linear: list[nn.Linear]) -> Layers:
    """Return copies of the weights on the host."""
    both = [(layer.weight.detach().cpu(), layer.bias.detach().cpu()) for layer in linear]
    return [(weight.numpy().copy(), bias.numpy().copy()) for weight, bias in both]


def training(problem: Problem, compiled: Callable[[Any], Any]) -> Training:
    """Return a training in which the loss of a batch is the function that `compiled` makes of the eager one."""
    shape = problem.shape
    x, y = (torch.from_numpy(table).to(problem.device) for table in (problem.x, problem.y))
    model, loss = network(shape).to(problem.device), loss_function(problem)
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    batch_loss = compiled(lambda samples, targets: loss(model(samples), targets))

    def train(epochs: int) -> Run:
        set_initial(linear, problem)
        model.zero_grad()
        run = Run()
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
        for epoch in range(1, epochs + 1):
            total = torch.zeros((), device=problem.device)
            for index in torch.from_numpy(problem.order(epoch)).to(problem.device).split(shape.batch):
                value = batch_loss(x[index], y[index])
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                total += value.detach()
            run.end_epoch(total.item() / shape.steps)
        run.layers = layers_of(linear)
        return run

    return train
