"""Fully connected neural networks with backpropagation written by hand, on NumPy and on CuPy from one text.

>>> import core
>>> net = core.Network(2, [core.Dense(8, "tanh"), core.Dense(1, "sigmoid")], seed=0)
>>> x, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
>>> curve = core.fit(net, x, y, loss="binary_cross_entropy", optimizer=core.Adam(0.05), epochs=200)
>>> net.predict(x).round().ravel()
array([0., 1., 1., 0.], dtype=float32)
"""

from __future__ import annotations

from core import metrics
from core.activations import ACTIVATIONS, Activation
from core.backend import Backend, BackendError, get_backend
from core.checkpoint import Checkpoint
from core.early_stopping import EarlyStopping
from core.estimate import Estimate, estimate
from core.fitting import fit, train
from core.gradient_check import GradientReport, check_adjoint, check_gradients, dot_test
from core.initializers import INITIALIZERS, Constant
from core.layers import LAYERS, BatchNorm, Dense, Dropout, Layer, LayerNorm, Maxout, PRelu, Residual
from core.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    BinaryFocal,
    Gamma,
    Hinge,
    Huber,
    LogCosh,
    Loss,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
    SoftmaxFocal,
    SquaredError,
    Tweedie,
)
from core.network import Network
from core.non_finite import NonFiniteError
from core.optimizers import (
    OPTIMIZERS,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    AmsGrad,
    Lbfgs,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RmsProp,
    Sgd,
)
from core.record import Record
from core.regularization import penalty
from core.saving import load, read_metadata, save
from core.schedules import (
    SCHEDULES,
    ConstantRate,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    PolynomialDecay,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    Warmup,
)
from core.split import split
from core.threads import threads
from core.training import Training

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "LAYERS",
    "LOSSES",
    "OPTIMIZERS",
    "SCHEDULES",
    "AbsoluteError",
    "Activation",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "AmsGrad",
    "Backend",
    "BackendError",
    "BatchNorm",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "Checkpoint",
    "Constant",
    "ConstantRate",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Estimate",
    "ExponentialDecay",
    "Gamma",
    "GradientReport",
    "Hinge",
    "Huber",
    "Layer",
    "LayerNorm",
    "Lbfgs",
    "Lion",
    "LogCosh",
    "Loss",
    "Maxout",
    "NAdam",
    "Network",
    "NonFiniteError",
    "OneCycle",
    "Optimizer",
    "PRelu",
    "Poisson",
    "PolynomialDecay",
    "Quantile",
    "RAdam",
    "Record",
    "ReduceOnPlateau",
    "Residual",
    "RmsProp",
    "Schedule",
    "Sgd",
    "SoftmaxCrossEntropy",
    "SoftmaxFocal",
    "SquaredError",
    "StepDecay",
    "Training",
    "Tweedie",
    "Warmup",
    "check_adjoint",
    "check_gradients",
    "dot_test",
    "estimate",
    "fit",
    "get_backend",
    "load",
    "metrics",
    "penalty",
    "read_metadata",
    "save",
    "split",
    "threads",
    "train",
]
