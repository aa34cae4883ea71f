"""Predictions of data sets, as the page of a model's job shows them: those that there are, and what may be next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.caller import Scope
from service.context import Context
from service.datasets import service as datasets
from service.datasets.schemas import Dataset
from service.jobs.states import ENDED
from service.models.schemas import Model
from service.predictions import service as predictions
from service.predictions.schemas import Prediction

SHOWN, DATASETS_OFFERED = 10, 20


@dataclass(frozen=True)
class PredictionsView:
    """What the template shows.

    Attributes:
        found: the model's predictions, newest first.
        names: of their data sets, by id, as far as these are there.
        offered: data sets that have the model's columns; none to whom may not start anything.
    """

    found: Sequence[Prediction]
    names: Mapping[str, str]
    offered: Sequence[Dataset]

    @staticmethod
    def goes_on(prediction: Prediction) -> bool:
        """Return whether the prediction hasn't ended."""
        return prediction.state not in ENDED


def view_of(context: Context, model: Model) -> PredictionsView:
    """Return the view of the predictions of `model`."""
    found, _ = predictions.list_predictions(context, SHOWN, None, states=[], model_id=model.id, dataset_id=None)
    recent, _ = (
        datasets.list_datasets(context, DATASETS_OFFERED, None) if context.caller.may(Scope.WRITE) else ([], False)
    )
    needed = {feature.name for feature in model.features}
    offered = [dataset for dataset in recent if needed <= {column.name for column in dataset.columns}]
    return PredictionsView(found, datasets.names(context, {each.dataset_id for each in found}), offered)
