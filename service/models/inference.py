"""Predictions by the Open Inference Protocol: each column is a tensor, and so is what the model predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from service.context import Context
from service.datasets.targets import LabelTarget, NumberTarget
from service.models import service, tensors
from service.models.inference_schemas import (
    Datatype,
    InferRequest,
    InferResponse,
    InputTensor,
    ModelMetadata,
    OutputTensor,
    TensorMetadata,
)
from service.models.rows import table_of_columns
from service.models.schemas import Feature
from service.problems import echo, field_errors, invalid
from service.schemas import FieldError

DATATYPES: Mapping[str, tuple[Datatype, ...]] = {
    "numeric": ("FP64", *(name for name in tensors.NUMBERS if name != "FP64")),
    "boolean": ("BOOL",),
    "categorical": ("BYTES",),
    "date": ("BYTES",),
}
"""What a column may come as; the metadata name the first."""


def metadata(context: Context, model_id: str) -> ModelMetadata:
    """Return what the model takes and gives; 404 when there is none."""
    model, predictor = service.loaded(context, model_id)
    inputs = [TensorMetadata(name=f.name, datatype=DATATYPES[f.kind][0], shape=[-1, 1]) for f in model.features]
    return ModelMetadata(name=model_id, inputs=inputs, outputs=_outputs(predictor.encoding.target))


def infer(context: Context, model_id: str, body: bytes, json_length: str | None) -> tuple[InferResponse, list[bytes]]:
    """Return the answer to a request, and the tensors of it that are to follow in binary.

    Args:
        context: of the caller.
        model_id: the model.
        body: of the HTTP request.
        json_length: how many of its bytes are JSON, as the header says; all of them if None.
    """
    request, binary = _parse(body, json_length)
    model, predictor = service.loaded(context, model_id)
    columns = _columns(request, {feature.name: feature for feature in model.features}, binary)
    service.check_rows(context, max(map(len, columns.values())), "inputs")
    wanted = _wanted(request, _outputs(predictor.encoding.target))
    rows = predictor.predict(table_of_columns(columns, model.features, model.target, "inputs"))
    outputs: list[OutputTensor] = []
    buffers: list[bytes] = []
    for tensor, in_binary in wanted:
        values = [row[tensor.name] for row in rows]
        if tensor.name == "probabilities":
            values = [probability for each in values for probability in each.values()]
        output = OutputTensor(name=tensor.name, datatype=tensor.datatype, shape=[len(rows), *tensor.shape[1:]])
        if in_binary:
            buffers.append(tensors.to_bytes(values, tensor.datatype))
            output.parameters = {"binary_data_size": len(buffers[-1])}
        else:
            output.data = values
        outputs.append(output)
    return InferResponse(model_name=model_id, id=request.id, outputs=outputs), buffers


def _outputs(target: LabelTarget | NumberTarget) -> list[TensorMetadata]:
    if isinstance(target, NumberTarget):
        return [TensorMetadata(name="value", datatype="FP64", shape=[-1])]
    label = TensorMetadata(name="label", datatype="BYTES", shape=[-1])
    if target.margin:  # its network gives no probabilities
        return [label]
    return [label, TensorMetadata(name="probabilities", datatype="FP64", shape=[-1, len(target.classes)])]


def _parse(body: bytes, json_length: str | None) -> tuple[InferRequest, bytes]:
    length = len(body)
    if json_length is not None:
        if not json_length.isdecimal() or int(json_length) > len(body):
            message = "it isn't a number of bytes that the body has"
            field = "header.inference-header-content-length"
            raise invalid([FieldError(field=field, value=echo(json_length), message=message)])
        length = int(json_length)
    try:
        return InferRequest.model_validate(from_json(body[:length])), body[length:]
    except ValidationError as error:
        errors: list[Any] = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise invalid(field_errors(errors, InferRequest)) from error
    except ValueError as error:
        raise invalid([FieldError(field="body", message=f"it isn't valid JSON: {error}")]) from error


def _columns(request: InferRequest, known: Mapping[str, Feature], binary: bytes) -> dict[str, list[Any]]:
    """Return the values of each input; raises `Problem` with all that is wrong with the tensors as such."""
    columns: dict[str, list[Any]] = {}
    errors: list[FieldError] = []
    start = 0
    for tensor in request.inputs:
        size = _binary_size(tensor)
        try:
            if tensor.name in columns:
                raise ValueError("there is a second input of this name")
            if tensor.name in known and tensor.datatype not in (allowed := DATATYPES[known[tensor.name].kind]):
                expected = f"expected {', '.join(allowed)}"
                raise ValueError(f"a {known[tensor.name].kind} column can't come as {tensor.datatype}; {expected}")
            columns[tensor.name] = _values(tensor, binary[start : start + size])
        except ValueError as error:
            columns.setdefault(tensor.name, [None])
            errors.append(FieldError(field=f"inputs.{echo(tensor.name)}", message=str(error)))
        start += size
    if start != len(binary):
        message = f"{len(binary)} bytes follow the JSON, and the inputs' binary_data_size add up to {start}"
        errors.append(FieldError(field="body", value=len(binary), message=message))
    if errors:
        raise invalid(errors)
    return columns


def _binary_size(tensor: InputTensor) -> int:
    size = tensor.parameters.get("binary_data_size")
    return size if isinstance(size, int) and size > 0 else 0


def _values(tensor: InputTensor, binary: bytes) -> list[Any]:
    if (tensor.data is None) == ("binary_data_size" not in tensor.parameters):
        raise ValueError("its values are expected either in data, or in binary with the parameter binary_data_size")
    values = tensors.of_bytes(binary, tensor.datatype) if tensor.data is None else tensors.of_json(tensor.data)
    rows = tensor.shape[0]
    if tensor.shape[1:] not in ([], [1]) or rows < 1:
        raise ValueError(f"its shape is {tensor.shape}; expected [n] or [n, 1] for n rows")
    if len(values) != rows:
        raise ValueError(f"its shape is {tensor.shape}, and there are {len(values)} values")
    return values


def _wanted(request: InferRequest, outputs: list[TensorMetadata]) -> list[tuple[TensorMetadata, bool]]:
    """Return the outputs to give, and whether in binary."""
    binary = request.parameters.get("binary_data_output") is True
    if not request.outputs:
        return [(tensor, binary) for tensor in outputs]
    by_name = {tensor.name: tensor for tensor in outputs}
    errors = [
        FieldError(
            field=f"outputs.{place}.name",
            value=echo(output.name),
            message=f"the model gives no {echo(output.name)!r}",
            allowed=f"one of: {', '.join(by_name)}",
        )
        for place, output in enumerate(request.outputs)
        if output.name not in by_name
    ]
    if errors:
        raise invalid(errors)
    return [(by_name[output.name], output.parameters.get("binary_data", binary) is True) for output in request.outputs]
