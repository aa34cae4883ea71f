"""Activations: one a file. A new one is added to `ACTIVATIONS`, and every test of the ladder then runs on it."""

from __future__ import annotations

from core.activations.activation import Activation, Elementwise
from core.activations.elu import Elu
from core.activations.exp import Exp
from core.activations.gelu import Gelu
from core.activations.gelu_tanh import GeluTanh
from core.activations.hard_tanh import HardTanh
from core.activations.identity import Identity
from core.activations.leaky_relu import LeakyRelu
from core.activations.mish import Mish
from core.activations.relu import Relu
from core.activations.selu import Selu
from core.activations.sigmoid import Sigmoid
from core.activations.silu import Silu
from core.activations.softmax import Softmax
from core.activations.softplus import Softplus
from core.activations.softsign import Softsign
from core.activations.tanh import Tanh

_EVERY: list[Activation] = [
    *(Identity(), Sigmoid(), Tanh(), HardTanh(), Softsign()),
    *(Relu(), LeakyRelu(), Elu(), Selu(), Softplus()),
    *(Gelu(), GeluTanh(), Silu(), Mish(), Exp(), Softmax()),
]

ACTIVATIONS: dict[str, Activation] = {activation.name: activation for activation in _EVERY}
"""Every activation by its name."""

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Elementwise",
    "Elu",
    "Exp",
    "Gelu",
    "GeluTanh",
    "HardTanh",
    "Identity",
    "LeakyRelu",
    "Mish",
    "Relu",
    "Selu",
    "Sigmoid",
    "Silu",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
]
