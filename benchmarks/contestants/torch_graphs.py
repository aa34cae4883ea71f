"""PyTorch on a GPU with a whole step, the fused Adam's too, captured once as a CUDA graph and replayed."""

# pyright: reportMissingImports=false
from __future__ import annotations

import torch
from torch import nn

from benchmarks.contestants import torch_eager
from benchmarks.problem import Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import LEARNING_RATE

LIBRARIES = torch_eager.LIBRARIES
why_not = torch_eager.why_not
WARM_UP = 3
"""Steps before the capture, on a stream of their own, as PyTorch's notes on CUDA graphs ask for."""


def prepare(problem: Problem) -> Training:
    """Return a training that gathers each batch into the graph's own arrays and replays it."""
    shape, device = problem.shape, problem.device
    x, y = (torch.from_numpy(table).to(device) for table in (problem.x, problem.y))
    model, loss = torch_eager.network(shape).to(device), torch_eager.loss_function(problem)
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True, capturable=True)
    samples, targets, total = x[: shape.batch].clone(), y[: shape.batch].clone(), torch.zeros((), device=device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        value = loss(model(samples), targets)
        value.backward()
        optimizer.step()
        total.add_(value.detach())

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def train(epochs: int) -> Run:
        torch_eager.set_initial(linear, problem)
        for state in optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()
        run = Run()
        for epoch in range(1, epochs + 1):
            total.zero_()
            for index in torch.from_numpy(problem.order(epoch)).to(device).split(shape.batch):
                torch.index_select(x, 0, index, out=samples)
                torch.index_select(y, 0, index, out=targets)
                graph.replay()
            run.end_epoch(total.item() / shape.steps)
        run.layers = torch_eager.layers_of(linear)
        return run

    return train
