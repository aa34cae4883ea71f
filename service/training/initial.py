"""Starting with the weights of a model or a checkpoint, whose encoding is taken too, so that inputs mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import core
from service.datasets.encoding import Encoding
from service.datasets.schemas import Column
from service.datasets.targets import LabelTarget
from service.jobs.schemas import Spec
from service.models.predictor import WEIGHTS
from service.training.cannot_train import CannotTrain
from service.training.folders import read_encoding


def encoding_from(folder: Path, columns: Sequence[Column], spec: Spec, loss: core.Loss) -> Encoding:
    """Return the encoding that lies in `folder`, for the target of this job.

    Raises:
        CannotTrain: `cannot_init`, when it isn't there any more, or isn't one of a table with these columns.
    """
    try:
        encoding = read_encoding(folder)
    except OSError as error:
        raise _cannot("it isn't there any more") from error
    kinds = {column.name: column.kind for column in columns}
    for feature in encoding.features:
        if feature.name not in kinds:
            raise _cannot(f"it reads the column {feature.name!r}, which the data set doesn't have")
        if kinds[feature.name] != feature.kind:
            there = kinds[feature.name]
            raise _cannot(f"its column {feature.name!r} is {feature.kind}, and {there} in the data set")
    target = encoding.target
    if target.name != spec.target:
        raise _cannot(f"it predicts {target.name!r}, and this job {spec.target!r}")
    if isinstance(target, LabelTarget) != loss.tells_classes:
        does = "tells classes apart" if isinstance(target, LabelTarget) else "predicts a number"
        raise _cannot(f"it {does}, which {loss.name} doesn't")
    if isinstance(target, LabelTarget):
        column = next(column for column in columns if column.name == spec.target)
        if sorted(column.classes or {}) != sorted(target.classes):
            raise _cannot(f"its classes are {', '.join(target.classes)}, and those of the data set differ")
        target = target.model_copy(update={"margin": loss.output_activation is None})
    return encoding.model_copy(update={"target": target})


def take_weights(network: core.Network, folder: Path) -> None:
    """Give `network` the weights that lie in `folder`.

    Raises:
        CannotTrain: `cannot_init`, when they aren't there any more, or are those of another network.
    """
    try:
        source = core.load(folder / WEIGHTS)
    except OSError as error:
        raise _cannot("it isn't there any more") from error
    try:
        network.load_state_dict(source.state_dict())
    except ValueError as error:
        raise _cannot(f"it has {_told(source)}, and this job's network has {_told(network)}") from error


def _told(network: core.Network) -> str:
    layers = ", ".join(
        f"{layer.units} {layer.activation}" if isinstance(layer, core.Dense) else layer.kind for layer in network.layers
    )
    return f"{network.n_inputs} inputs and the layers {layers}"


def _cannot(why: str) -> CannotTrain:
    return CannotTrain("cannot_init", f"the model or checkpoint that init_from names doesn't fit the job: {why}")
