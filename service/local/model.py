"""A model as a folder: the weights and the encoding, as the service keeps them, and a card that tells of both."""

from __future__ import annotations

import json
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from service.jobs.schemas import Spec
from service.jobs.starting import Source, of_card
from service.models.card import CARD, read_card
from service.models.predictor import ENCODING, WEIGHTS, Predictor, load

CURVE = "loss-curve.csv"


class NoModel(Exception):  # noqa: N818 -- it reads as the sentence that it is
    """There is no model where one was expected."""


class LocalModel:
    """The model in a folder.

    Raises:
        NoModel: when there is none, or what is there can't be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        missing = [name for name in (WEIGHTS, ENCODING) if not (folder / name).is_file()]
        if missing:
            why = f"it has no {' and no '.join(missing)}" if folder.is_dir() else "there is no such folder"
            raise NoModel(f"{folder} is no model: {why}. Expected: a folder that `deltabar train` has written")

    @cached_property
    def predictor(self) -> Predictor:
        """The network and the encoding."""
        try:
            return load(self.folder)
        except (ValueError, OSError) as error:
            raise NoModel(f"the model in {self.folder} can't be read: {error}") from error

    @cached_property
    def card(self) -> dict[str, Any]:
        """What its training has told of it; nothing where the folder comes from elsewhere."""
        try:
            return read_card(self.folder) or {}
        except ValueError as error:
            raise NoModel(f"{self.folder / CARD} can't be read: {error}") from error

    @property
    def source(self) -> Source:
        """What a training that starts with it has to agree with."""
        if "spec" not in self.card:
            raise NoModel(
                f"{self.folder / CARD} doesn't tell how the model was trained, so no training can start with it"
            )
        return of_card(f"the model in {self.folder}", self.card, Spec.model_validate(self.card["spec"]))

    def metadata(self) -> dict[str, str]:
        """Return what an exported file tells of itself."""
        told = {"deltabar_version": version("deltabar")}
        if "task" in self.card:
            told |= {"task": self.card["task"], "dataset_sha256": self.card["dataset"]["sha256"]}
        if classes := getattr(self.predictor.encoding.target, "classes", None):
            told["classes"] = json.dumps(classes, ensure_ascii=False)
        return told
