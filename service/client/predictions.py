"""The methods below `client.predictions`: whole data sets, predicted by a worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.client.files import saved
from service.client.methods import Resource, T, method
from service.client.steps import Ask, Steps
from service.predictions.schemas import FileFormat, Prediction
from service.schemas import Page

LONGEST_WAIT = 30.0
ENDED = ("succeeded", "failed", "cancelled")


class Predictions(Resource[T]):
    """Jobs that predict the target of every row of a data set, and write a file."""

    @method
    def create(self, *, model_id: str, dataset_id: str, format: FileFormat = "csv", **others: Any) -> Steps[Prediction]:
        """Queue a prediction.

        Args:
            model_id: the model.
            dataset_id: the data set, which has the model's columns.
            format: of the file.
            others: what `POST /v1/predictions` takes besides, such as `priority=10`.
        """
        body = {"model_id": model_id, "dataset_id": dataset_id, "format": format, **others}
        answer = yield Ask("POST", "/v1/predictions", json=body)
        return _read(answer)

    @method
    def get(self, prediction_id: str, wait: float = 0.0) -> Steps[Prediction]:
        """Return a prediction as it stands, or as soon as it has ended, within `wait` seconds (up to 60)."""
        answer = yield Ask("GET", f"/v1/predictions/{prediction_id}", params={"wait": wait or None}, wait=wait)
        return _read(answer)

    @method
    def wait(self, prediction_id: str, timeout: float | None = None) -> Steps[Prediction]:
        """Return the prediction once it has ended; raises `TimeoutError` if it hasn't within `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LONGEST_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
            found = yield from Predictions.get.steps(self, prediction_id, min(left, LONGEST_WAIT))
            if found.state in ENDED:
                return found
            if left <= 0:
                done = f"with {found.rows_done} of {found.rows} rows"
                raise TimeoutError(f"{prediction_id} is {found.state} after {timeout} s, {done}")

    @method
    def download(self, prediction_id: str, path: str | Path) -> Steps[Path]:
        """Write the file to `path`; nothing stands there until it is complete."""
        return (yield from saved(f"/v1/predictions/{prediction_id}/content", Path(path)))

    @method
    def cancel(self, prediction_id: str) -> Steps[Prediction]:
        """Ask for a prediction to be cancelled; `wait` then returns it when it is."""
        answer = yield Ask("POST", f"/v1/predictions/{prediction_id}/cancel")
        return _read(answer)

    @method
    def retry(self, prediction_id: str) -> Steps[Prediction]:
        """Queue a failed or cancelled prediction again, to begin anew."""
        answer = yield Ask("POST", f"/v1/predictions/{prediction_id}/retry")
        return _read(answer)

    @method
    def delete(self, prediction_id: str) -> Steps[None]:
        """Delete an ended prediction and its file."""
        yield Ask("DELETE", f"/v1/predictions/{prediction_id}")

    @method
    def list(
        self,
        limit: int = 20,
        after: str | None = None,
        state: str | Sequence[str] | None = None,
        model_id: str | None = None,
        dataset_id: str | None = None,
    ) -> Steps[Page[Prediction]]:
        """Return predictions, newest first; `after` goes on from an id, `state` is one or several."""
        params = {"limit": limit, "after": after, "state": state, "model_id": model_id, "dataset_id": dataset_id}
        answer = yield Ask("GET", "/v1/predictions", params=params)
        return Page[Prediction].model_validate_json(answer.content)


def _read(answer: Any) -> Prediction:
    return Prediction.model_validate_json(answer.content)
