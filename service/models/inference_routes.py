"""Routes below /v2: the Open Inference Protocol, which clients of KServe and Triton speak."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Header, Request, Response

from service import health
from service.context import OpenContext, ReadContext
from service.models import inference
from service.models.inference_schemas import (
    InferenceError,
    InferRequest,
    InferResponse,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    Server,
)
from service.problem_answers import INFERENCE

BINARY, JSON_LENGTH = "application/octet-stream", "Inference-Header-Content-Length"
_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": InferenceError, "description": "What is wrong with the request"}
}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a JSON schema with its definitions in the places that refer to them."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(item, definitions) for key, item in schema.items() if key != "$defs"}


# The body is read by hand, so that FastAPI knows nothing of its schema.
_SCHEMA = InferRequest.model_json_schema()
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _inlined(_SCHEMA, _SCHEMA["$defs"])}, BINARY: {}},
    }
}
router = APIRouter(prefix=INFERENCE, tags=["inference"], responses=_RESPONSES)


@router.get("")
def server_metadata() -> Server:
    """Say what answers, and which extensions it has."""
    return Server(version=version("deltabar"))


@router.get("/health/live")
def server_live() -> Live:
    """Answer as long as the process lives."""
    return Live()


@router.get("/health/ready", responses={503: {"model": InferenceError}})
async def server_ready(context: OpenContext) -> Ready:
    """Answer while the service can do its work, as /readyz does; 503 while it can't."""
    await health.readyz(context)
    return Ready()


@router.get("/models/{model_id}")
def model_metadata(context: ReadContext, model_id: str) -> ModelMetadata:
    """Say which tensors a model takes and gives: an input for each column, of shape [n] or [n, 1] for n rows.

    A numeric column takes every type of numbers, a boolean one BOOL, others BYTES; a date is ISO 8601 text. NaN, null
    in JSON, "" and an input that is left out are missing values. `probabilities` are in the order of the `classes` of
    GET /v1/models/{model_id}.
    """
    return inference.metadata(context, model_id)


@router.get("/models/{model_id}/ready")
def model_ready(context: ReadContext, model_id: str) -> ModelReady:
    """Answer when the model can be asked; it is loaded by then."""
    inference.metadata(context, model_id)
    return ModelReady(name=model_id)


@router.post(
    "/models/{model_id}/infer",
    response_model=InferResponse,
    response_model_exclude_none=True,
    responses={200: {"content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}},
    openapi_extra=_BODY,
)
async def infer(
    context: ReadContext,
    model_id: str,
    request: Request,
    json_length: Annotated[
        str | None, Header(alias=JSON_LENGTH, description="Bytes of the body that are JSON; binary tensors follow")
    ] = None,
) -> Response:
    """Predict the target of raw rows, given column by column.

    Tensors are in JSON, or in binary behind it, as the extension `binary_tensor_data` has it.
    """
    # The protocol's clients send no content type, and binary tensors are no JSON: the body is taken as it comes.
    body = await request.body()
    answer, buffers = await to_thread.run_sync(inference.infer, context, model_id, body, json_length)
    content = answer.model_dump_json(exclude_none=True).encode()
    if not buffers:
        return Response(content, media_type="application/json")
    return Response(b"".join([content, *buffers]), media_type=BINARY, headers={JSON_LENGTH: str(len(content))})
