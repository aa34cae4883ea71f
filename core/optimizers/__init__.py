"""Optimizers: one a file. A new one is added to `OPTIMIZERS`, and every test of the ladder then runs on it."""

from __future__ import annotations

from core.optimizers.adadelta import Adadelta
from core.optimizers.adagrad import Adagrad
from core.optimizers.adam import Adam
from core.optimizers.adamw import AdamW
from core.optimizers.amsgrad import AmsGrad
from core.optimizers.elementwise import ElementwiseOptimizer
from core.optimizers.lbfgs import Lbfgs
from core.optimizers.lion import Lion
from core.optimizers.nadam import NAdam
from core.optimizers.optimizer import Objective, Optimizer, OptimizerState
from core.optimizers.per_network import PerNetwork
from core.optimizers.radam import RAdam
from core.optimizers.rmsprop import RmsProp
from core.optimizers.sgd import Sgd
from core.optimizers.weight_decay import WeightDecay

ELEMENTWISE: dict[str, type[ElementwiseOptimizer]] = {
    optimizer.name: optimizer
    for optimizer in (Sgd, Adagrad, Adadelta, RmsProp, Adam, AdamW, AmsGrad, NAdam, RAdam, Lion)
}
"""The class of every optimizer that changes each parameter by itself, by its name."""

OPTIMIZERS: dict[str, type[ElementwiseOptimizer] | type[Lbfgs]] = {**ELEMENTWISE, Lbfgs.name: Lbfgs}
"""Every optimizer's class by its name."""

__all__ = [
    "ELEMENTWISE",
    "OPTIMIZERS",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "AmsGrad",
    "ElementwiseOptimizer",
    "Lbfgs",
    "Lion",
    "NAdam",
    "Objective",
    "Optimizer",
    "OptimizerState",
    "PerNetwork",
    "RAdam",
    "RmsProp",
    "Sgd",
    "WeightDecay",
]
