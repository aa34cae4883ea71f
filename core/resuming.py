"""What may differ when a training goes on from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from core.checkpoint import Checkpoint
from core.network import Network


class May(Enum):
    """When a hyperparameter may differ from the checkpoint's."""

    ALWAYS = "at any step"
    BETWEEN_EPOCHS = "at the end of an epoch"
    NEVER = "never"


DIFFER: dict[str, May] = {
    "network": May.NEVER,
    "x": May.BETWEEN_EPOCHS,
    "y": May.BETWEEN_EPOCHS,
    "loss": May.NEVER,
    "loss.delta": May.ALWAYS,
    "loss.level": May.ALWAYS,
    "loss.smoothing": May.ALWAYS,
    "loss.gamma": May.ALWAYS,
    "loss.power": May.ALWAYS,
    "optimizer": May.NEVER,
    "optimizer.learning_rate": May.ALWAYS,
    "optimizer.weight_decay": May.ALWAYS,
    "optimizer.momentum": May.ALWAYS,
    "optimizer.nesterov": May.ALWAYS,
    "optimizer.initial_accumulator": May.ALWAYS,
    "optimizer.epsilon": May.ALWAYS,
    "optimizer.rho": May.ALWAYS,
    "optimizer.alpha": May.ALWAYS,
    "optimizer.centered": May.ALWAYS,
    "optimizer.beta1": May.ALWAYS,
    "optimizer.beta2": May.ALWAYS,
    "optimizer.momentum_decay": May.ALWAYS,
    "optimizer.history": May.NEVER,
    "optimizer.decrease": May.ALWAYS,
    "optimizer.curvature": May.ALWAYS,
    "optimizer.evaluations": May.ALWAYS,
    "schedule": May.NEVER,
    "schedule.every": May.ALWAYS,
    "schedule.gamma": May.ALWAYS,
    "schedule.cycle": May.ALWAYS,
    "schedule.growth": May.ALWAYS,
    "schedule.rise": May.ALWAYS,
    "schedule.power": May.ALWAYS,
    "schedule.end": May.ALWAYS,
    "schedule.patience": May.ALWAYS,
    "schedule.threshold": May.ALWAYS,
    "schedule.duration": May.ALWAYS,
    "schedule.start": May.ALWAYS,
    "schedule.then": May.NEVER,
    "epochs": May.ALWAYS,
    "batch_size": May.BETWEEN_EPOCHS,
    "shuffle": May.BETWEEN_EPOCHS,
    "validation": May.ALWAYS,
    "metrics": May.ALWAYS,
    "early_stopping": May.NEVER,
    "early_stopping.monitor": May.NEVER,
    "early_stopping.patience": May.ALWAYS,
    "early_stopping.minimum_change": May.ALWAYS,
    "early_stopping.restore_best": May.NEVER,
    "early_stopping.higher_is_better": May.NEVER,
    "sample_weight": May.BETWEEN_EPOCHS,
    "class_weight": May.BETWEEN_EPOCHS,
    "seed": May.BETWEEN_EPOCHS,
    "l1": May.ALWAYS,
    "l2": May.ALWAYS,
    "clip_value": May.ALWAYS,
    "clip_norm": May.ALWAYS,
    "max_norm": May.ALWAYS,
    "average": May.NEVER,
    "resume": May.ALWAYS,
}
"""For each argument of `train`, and each field of what may be given as an object there, when it may differ.

What may never differ is what the saved arrays belong to, or what the state of a listener was made of.
"""


def choices(network: Network, **given: object) -> dict[str, Any]:
    """Return the hyperparameters of a training as plain data, as JSON has them.

    An object is told by its class under its argument's name, and by each field under name.field; a list of objects of
    one class in the same way, with lists of the fields; the network by its layers, and by what sizes its arrays.

    >>> from core import Dense, Sgd
    >>> choices(Network(2, [Dense(1)]), optimizer=Sgd(0.5), epochs=3)["optimizer.learning_rate"]
    0.5
    """
    shape = f"{network.n_inputs} inputs, {network.backend.dtype}, leading axes {network.leading}"
    found: dict[str, Any] = {"network": [shape, *map(str, network.layers)]}
    for name, value in given.items():
        found |= _told(name, value)
    return found


def _told(name: str, value: object) -> dict[str, Any]:
    if isinstance(value, list | tuple):
        each = [_told(name, one) for one in value]
        return {key: [one[key] for one in each] for key in each[0]}
    if value is None or isinstance(value, bool | int | float | str):
        return {name: value}
    inner = {field.name: getattr(value, field.name) for field in fields(value)} if is_dataclass(value) else {}
    # A schedule within a schedule is told whole, as its fields may have the same names.
    plain = {key: repr(part) if is_dataclass(part) else part for key, part in inner.items()}
    return {name: type(value).__name__} | {f"{name}.{key}": part for key, part in plain.items()}


def check(checkpoint: Checkpoint, chosen: Mapping[str, Any], samples: int) -> None:
    """Refuse to go on from `checkpoint` where a choice differs that may not.

    Args:
        checkpoint: of an earlier training.
        chosen: the choices of this training.
        samples: the fingerprint of this training's samples, targets and weights.

    Raises:
        ValueError: naming the hyperparameter, its value, the checkpoint's, and when it may differ.
    """
    between, before = checkpoint.data["position"] == 0, checkpoint.data["choices"]
    for name, value in chosen.items():
        may = DIFFER[name]
        if value == before.get(name) or may is May.ALWAYS or (may is May.BETWEEN_EPOCHS and between):
            continue
        raise ValueError(
            f"{name}: {value!r} is not allowed, as the checkpoint has {before.get(name)!r}; it may differ {may.value}"
        )
    if not between and samples != checkpoint.data["samples"]:
        raise ValueError(
            "x: other samples, targets or weights than the checkpoint's are not allowed, as it was taken in the midst "
            f"of an epoch; they may differ {May.BETWEEN_EPOCHS.value}"
        )
    if checkpoint.data["epoch"] > chosen["epochs"]:
        raise ValueError(
            f"epochs: {chosen['epochs']} is not allowed, as the checkpoint has {checkpoint.data['epoch']} behind it"
        )
