"""The methods below `client.predictions`: whole data sets, predicted by a worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, cast

from service.client.files import saved
from service.client.methods import Resource, T, method, stream
from service.client.queued import Event, Live, followed, posted, waited
from service.client.steps import Ask, Steps, Telling
from service.jobs.schemas import Event as PastEvent
from service.predictions.schemas import FileFormat, Prediction
from service.schemas import Page


class LivePrediction(Live[T], Prediction, Generic[T]):
    """A prediction as it stood when it was asked for: `client.predictions.create(…).wait().download("file.csv")`."""

    @method
    def wait(self, timeout: float | None = None) -> Steps[LivePrediction[T]]:
        """Return the prediction once it has ended, as `client.predictions.wait` does."""
        return (yield from Predictions.wait.steps(self, self.id, timeout))

    @stream
    def events(self, after: int = 0) -> Telling[Event]:
        """Yield the prediction's events, as `client.predictions.events` does."""
        yield from Predictions.events.steps(self, self.id, after)

    @method
    def download(self, path: str | Path) -> Steps[Path]:
        """Write the file to `path`, as `client.predictions.download` does."""
        return (yield from Predictions.download.steps(self, self.id, path))

    @method
    def cancel(self) -> Steps[LivePrediction[T]]:
        """Ask for the prediction to be cancelled, as `client.predictions.cancel` does."""
        return (yield from Predictions.cancel.steps(self, self.id))


class Predictions(Resource[T]):
    """Jobs that predict the target of every row of a data set, and write a file."""

    @method
    def create(
        self,
        *,
        model_id: str,
        dataset_id: str,
        format: FileFormat = "csv",
        idempotency_key: str | None = None,
        **others: Any,
    ) -> Steps[LivePrediction[T]]:
        """Queue a prediction.

        Args:
            model_id: the model.
            dataset_id: the data set, which has the model's columns.
            format: of the file.
            idempotency_key: as `client.jobs.create` has it.
            others: what `POST /v1/predictions` takes besides, such as `priority=10`.
        """
        body = {"model_id": model_id, "dataset_id": dataset_id, "format": format, **others}
        return _live(self, (yield from posted("/v1/predictions", body, idempotency_key)))

    @method
    def get(self, prediction_id: str, wait: float = 0.0) -> Steps[LivePrediction[T]]:
        """Return a prediction as it stands, or as soon as it has ended, within `wait` seconds (up to 60)."""
        answer = yield Ask("GET", f"/v1/predictions/{prediction_id}", params={"wait": wait or None}, wait=wait)
        return _live(self, answer)

    @method
    def wait(self, prediction_id: str, timeout: float | None = None) -> Steps[LivePrediction[T]]:
        """Return the prediction once it has ended; raises `TimeoutError` if it hasn't within `timeout` seconds.

        Where the service doesn't answer, it is asked again, six times in a row at most.
        """

        def get(seconds: float) -> Steps[LivePrediction[T]]:
            return Predictions.get.steps(self, prediction_id, seconds)

        return (yield from waited(get, timeout, lambda found: f"with {found.rows_done} of {found.rows} rows"))

    @method
    def history(self, prediction_id: str, after: int = 0, limit: int = 1000) -> Steps[Page[PastEvent]]:
        """Return the events so far that follow the sequence `after`, oldest first, with the times when they came."""
        params = {"after": after, "limit": limit}
        answer = yield Ask("GET", f"/v1/predictions/{prediction_id}/events", params=params)
        return Page[PastEvent].model_validate_json(answer.content)

    @stream
    def events(self, prediction_id: str, after: int = 0) -> Telling[Event]:
        """Yield the events that follow the sequence `after`, as they happen, up to the one that ends the prediction.

        Those of the kind "rows" tell how many rows are done. A stream that breaks is taken up where it broke; raises
        `ConnectionError` when that fails six times in a row.
        """
        return followed(f"/v1/predictions/{prediction_id}", after)

    @method
    def download(self, prediction_id: str, path: str | Path) -> Steps[Path]:
        """Write the file to `path`; nothing stands there until it is complete."""
        return (yield from saved(f"/v1/predictions/{prediction_id}/content", Path(path)))

    @method
    def cancel(self, prediction_id: str) -> Steps[LivePrediction[T]]:
        """Ask for a prediction to be cancelled; `wait` then returns it when it is."""
        answer = yield Ask("POST", f"/v1/predictions/{prediction_id}/cancel")
        return _live(self, answer)

    @method
    def retry(self, prediction_id: str) -> Steps[LivePrediction[T]]:
        """Queue a failed or cancelled prediction again, to begin anew."""
        answer = yield Ask("POST", f"/v1/predictions/{prediction_id}/retry")
        return _live(self, answer)

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
    ) -> Steps[Page[LivePrediction[T]]]:
        """Return predictions, newest first; `after` goes on from an id, `state` is one or several."""
        params = {"limit": limit, "after": after, "state": state, "model_id": model_id, "dataset_id": dataset_id}
        answer = yield Ask("GET", "/v1/predictions", params=params)
        return cast(
            "Page[LivePrediction[T]]",
            Page[LivePrediction].model_validate_json(answer.content, context={"transport": self.transport}),
        )


def _live(of: Any, answer: Any) -> Any:
    return LivePrediction.model_validate_json(answer.content, context={"transport": of.transport})
