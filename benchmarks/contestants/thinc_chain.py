"""Thinc: a `chain` of its layers, `begin_update`, the callback, `finish_update` with its Adam."""

# pyright: reportMissingImports=false
from __future__ import annotations

from itertools import pairwise

import numpy as np
from thinc.api import Adam, CategoricalCrossentropy, Dropout, NumpyOps, Relu, Softmax, chain, use_ops

from benchmarks.problem import Problem
from benchmarks.run import Run, Training
from benchmarks.shapes import LEARNING_RATE, Shape

LIBRARIES = ("thinc", "blis")


def why_not(shape: Shape) -> str | None:
    """Return a reason for what Thinc has no layer or no matching loss for."""
    if shape.networks > 1:
        return "trains one network"
    if shape.loss != "softmax_cross_entropy":
        return "its squared error has another factor"
    if len(shape.widths) == 2:
        return None
    return None if shape.activation == "relu" else f"has no {shape.activation} that is ours"


def prepare(problem: Problem) -> Training:
    """Return a training of Thinc's usual loop."""
    shape = problem.shape
    labels = np.eye(shape.widths[-1], dtype=np.float32)

    def train(epochs: int) -> Run:
        with use_ops("numpy"):
            *hidden, (n_last, n_outputs) = pairwise(shape.widths)
            layers = []
            for n_in, n_out in hidden:
                layers.append(Relu(n_out, n_in))
                layers += [Dropout(shape.dropout)] if shape.dropout else []
            layers.append(Softmax(n_outputs, n_last))
            model = chain(*layers) if hidden else layers[0]
            model.initialize()
        assert isinstance(model.ops, NumpyOps)
        dense = [node for node in model.walk() if node.has_param("W")]
        for node, (theta, b) in zip(dense, problem.initial, strict=True):
            node.set_param("W", theta.copy())
            node.set_param("b", b.copy())
        loss = CategoricalCrossentropy()
        optimizer = Adam(LEARNING_RATE, L2=0.0, grad_clip=0.0, use_averages=False)
        run = Run()
        for epoch in range(1, epochs + 1):
            order = problem.order(epoch)
            for start in range(0, shape.samples, shape.batch):
                index = order[start : start + shape.batch]
                guesses, backpropagate = model.begin_update(problem.x[index])
                backpropagate(loss.get_grad(guesses, labels[problem.y[index]]))
                model.finish_update(optimizer)
            run.end_epoch()
        run.layers = [(node.get_param("W").copy(), node.get_param("b").copy()) for node in dense]
        return run

    return train
