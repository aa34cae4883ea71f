"""Models in memory: the network and the encoding of its table, kept for those that were used last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import core
from service.datasets.encoding import Encoding

WEIGHTS = "weights.safetensors"
ENCODING = "encoding.json"
MOST_MODELS = 32
MOST_PARAMETERS = 2**27  # 512 MiB in float32


@dataclass(frozen=True)
class Predictor:
    """A network with the encoding that it was trained on."""

    network: core.Network
    encoding: Encoding

    def predict(self, table: pl.DataFrame) -> list[dict[str, Any]]:
        """Return one prediction a row of `table`."""
        # Numbers far from those of the training rows may leave the range of the dtype; their predictions are null then.
        with np.errstate(over="ignore", invalid="ignore"):
            return self.encoding.decode(self.network.predict(self.encoding.features_of(table)))

    def predict_table(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the same predictions as a table, with the columns `encoding.target.columns`."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.encoding.target.table_of(self.network.predict(self.encoding.features_of(table)))


def load(folder: Path) -> Predictor:
    """Return the model that lies in `folder`; it computes on NumPy, whatever it was trained on."""
    encoding = Encoding.model_validate_json((folder / ENCODING).read_bytes())
    return Predictor(core.load(folder / WEIGHTS), encoding)


class Predictors:
    """The models used last, up to 32 of them or 512 MiB of weights; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, Predictor] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, folder: Path) -> Predictor:
        """Return the model that lies in `folder`, read from there if it isn't in memory."""
        with self._lock:
            if folder in self._kept:
                self._kept.move_to_end(folder)
                return self._kept[folder]
        # Read without the lock: a large model must not hold up calls to others. Two threads may read the same one.
        predictor = load(folder)
        with self._lock:
            self._kept[folder] = predictor
            self._kept.move_to_end(folder)
            while len(self._kept) > 1 and self._too_many():
                self._kept.popitem(last=False)
        return predictor

    def _too_many(self) -> bool:
        parameters = sum(predictor.network.n_parameters for predictor in self._kept.values())
        return len(self._kept) > MOST_MODELS or parameters > MOST_PARAMETERS
