"""Losses: one a file. A new one is added to `LOSSES`, and every test of the ladder then runs on it."""

from __future__ import annotations

from core.losses.absolute_error import AbsoluteError
from core.losses.binary_cross_entropy import BinaryCrossEntropy
from core.losses.binary_focal import BinaryFocal
from core.losses.gamma import Gamma
from core.losses.hinge import Hinge
from core.losses.huber import Huber
from core.losses.log_cosh import LogCosh
from core.losses.loss import Loss, LossScratch, device_dtype
from core.losses.poisson import Poisson
from core.losses.quantile import Quantile
from core.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from core.losses.softmax_focal import SoftmaxFocal
from core.losses.squared_error import SquaredError
from core.losses.tweedie import Tweedie

LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        SquaredError(),
        AbsoluteError(),
        Huber(),
        LogCosh(),
        Quantile(),
        SoftmaxCrossEntropy(),
        BinaryCrossEntropy(),
        SoftmaxFocal(),
        BinaryFocal(),
        Hinge(),
        Poisson(),
        Gamma(),
        Tweedie(),
    )
}
"""Every loss by its name."""

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "Gamma",
    "Hinge",
    "Huber",
    "LogCosh",
    "Loss",
    "LossScratch",
    "Poisson",
    "Quantile",
    "SoftmaxCrossEntropy",
    "SoftmaxFocal",
    "SquaredError",
    "Tweedie",
    "device_dtype",
]
