"""Routes below /v1/models."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Response, status

from service.context import ReadContext, WriteContext
from service.download import Download
from service.models import evaluation, service
from service.models.formats import MEDIA_TYPES
from service.models.schemas import (
    EvaluateRequest,
    Evaluation,
    Model,
    ModelCard,
    Predictions,
    PredictRequest,
    WeightsFormat,
)
from service.pages import After, Limit, page
from service.problems import RESPONSES
from service.schemas import Page

router = APIRouter(prefix="/v1/models", tags=["models"], responses=RESPONSES)

_FILE = {"schema": {"type": "string", "format": "binary"}}
WEIGHTS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": dict.fromkeys(sorted(set(MEDIA_TYPES.values())), _FILE),
        "description": "The file",
    },
    304: {"description": "The weights are those that the caller has"},
}


@router.get("")
def list_models(context: ReadContext, limit: Limit = 20, after: After = None) -> Page[Model]:
    """List the models, newest first."""
    return page(*service.list_models(context, limit, after))


@router.get("/{model_id}")
def get_model(context: ReadContext, model_id: str) -> Model:
    """Return one model: what it predicts, from which columns, and how well."""
    return service.get_model(context, model_id)


@router.get("/{model_id}/card")
def get_card(context: ReadContext, model_id: str) -> ModelCard:
    """Return all that is known of how the model came to be.

    That is the job, the data with their hashes, scores on all parts of the rows, versions, what it started from, and
    the gradient certificates: that the gradients were right.
    """
    return service.get_card(context, model_id)


@router.delete("/{model_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_model(context: WriteContext, model_id: str) -> None:
    """Delete a model and its files; the job that made it stays. 409 while a job is about to start with it."""
    service.delete_model(context, model_id)


@router.get("/{model_id}/weights", response_class=Download, responses=WEIGHTS_RESPONSES)
async def get_weights(
    context: ReadContext,
    model_id: str,
    format: Annotated[WeightsFormat, Query(description="File format")] = "safetensors",
    if_none_match: Annotated[str | None, Header(description="ETag of the file that the caller has")] = None,
) -> Response:
    """Download the weights, or with `format=onnx` all that it takes to predict.

    `safetensors` and `npz` have the tensors under the names that they have in a `torch.nn.Sequential` of the same
    layers: `0.weight` of shape (n_out, n_in), `0.bias`, …. An ONNX file takes the raw columns, the encoding is inside:
    each is an input of shape (rows, 1) under its name; a number is float64, NaN where it is missing; a date is float64,
    in seconds since 1970; a text, or a boolean as "true" or "false", is a string, "" where it is missing. It gives
    `label` and `probabilities` (in the order of the metadata's `classes`), or `value`. npz and ONNX files are made when
    they are first asked for; 422 where a model is too large for ONNX.
    """
    path = await service.weights(context, model_id, format)
    etag = f'"{model_id}.{path.name}"'  # a model never changes, so its name is enough
    if if_none_match and (etag in if_none_match or if_none_match == "*"):
        return Response(status_code=304, headers={"etag": etag})
    name = f"{model_id}.{format}"
    return Download(path, media_type=MEDIA_TYPES[format], filename=name, headers={"etag": etag})


@router.post("/{model_id}/predict", response_model=Predictions)
def predict(context: ReadContext, model_id: str, request: PredictRequest) -> Response:
    """Predict the target of raw rows."""
    # Written here, as FastAPI would check it once more, and change threads for that.
    return Response(service.predict(context, model_id, request).model_dump_json(), media_type="application/json")


@router.post("/{model_id}/evaluate")
async def evaluate(context: ReadContext, model_id: str, request: EvaluateRequest) -> Evaluation:
    """Predict the targets of another data set, and compare.

    A missing value and a category that training didn't see count as in a predict call; a column that is left out
    doesn't: every column at fault is told of at once. 422 where the data set is too large for one call.
    """
    return await to_thread.run_sync(
        evaluation.evaluate, context, model_id, request.dataset_id, limiter=context.evaluations
    )
