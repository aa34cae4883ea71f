"""The methods below `client.models`: what came of the jobs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from service.client.files import saved
from service.client.methods import Resource, T, method
from service.client.steps import Ask, Steps
from service.client.tables import body_of
from service.models.schemas import Evaluation, Model, ModelCard, Predictions, WeightsFormat
from service.schemas import Page

if TYPE_CHECKING:
    import core
    from service.client.tables import Rows


class Models(Resource[T]):
    """What came of the jobs."""

    @method
    def get(self, model_id: str) -> Steps[Model]:
        """Return a model: what it predicts, from which columns, and how well."""
        answer = yield Ask("GET", f"/v1/models/{model_id}")
        return Model.model_validate_json(answer.content)

    @method
    def card(self, model_id: str) -> Steps[ModelCard]:
        """Return all that is known of how a model came to be: its job, data, scores, and gradient certificates."""
        answer = yield Ask("GET", f"/v1/models/{model_id}/card")
        return ModelCard.model_validate_json(answer.content)

    @method
    def predict(self, model_id: str, rows: Rows) -> Steps[Predictions]:
        """Predict the target of raw rows; a cell that is None, or a column that is left out, is a missing value.

        Args:
            model_id: the model.
            rows: one mapping a row, from columns to cells; one from columns to all their cells; or a frame of pandas
                (whose index is left out) or polars, with no other columns than the model's.
        """
        answer = yield Ask("POST", f"/v1/models/{model_id}/predict", json=body_of(rows))
        return Predictions.model_validate_json(answer.content)

    @method
    def evaluate(self, model_id: str, dataset_id: str) -> Steps[Evaluation]:
        """Compare the model's predictions with the targets of another data set."""
        answer = yield Ask("POST", f"/v1/models/{model_id}/evaluate", json={"dataset_id": dataset_id})
        return Evaluation.model_validate_json(answer.content)

    @method
    def network(self, model_id: str) -> Steps[core.Network]:
        """Return the network itself, on NumPy, ready to predict, to trace or to train on.

        It takes the numbers that rows become, not the rows: what it stands behind is in `client.models.get`.
        """
        with TemporaryDirectory(prefix="deltabar-") as folder:
            path = yield from saved(_weights(model_id), Path(folder) / "weights.safetensors")
            import core

            return core.load(path)

    @method
    def download_weights(self, model_id: str, path: str | Path, format: WeightsFormat = "safetensors") -> Steps[Path]:
        """Write the weights to `path`, or with "onnx" the whole model; nothing stands there until they are complete."""
        return (yield from saved(_weights(model_id), Path(path), {"format": format}))

    @method
    def delete(self, model_id: str) -> Steps[None]:
        """Delete a model and its files, unless a job is about to start with it; the job that made it stays."""
        yield Ask("DELETE", f"/v1/models/{model_id}")

    @method
    def list(self, limit: int = 20, after: str | None = None) -> Steps[Page[Model]]:
        """Return models, newest first; `after` goes on from an id."""
        params: dict[str, Any] = {"limit": limit, "after": after}
        answer = yield Ask("GET", "/v1/models", params=params)
        return Page[Model].model_validate_json(answer.content)


def _weights(model_id: str) -> str:
    return f"/v1/models/{model_id}/weights"
