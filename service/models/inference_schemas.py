"""What the Open Inference Protocol says over HTTP (https://github.com/kserve/open-inference-protocol)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
# Cells are checked against the model's features.
Data = Annotated[list[Any], WithJsonSchema({"type": "array", "items": {}})]


class InferenceError(BaseModel):
    """The body of every error below /v2."""

    error: str


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = True


class Ready(BaseModel):
    """The service can do its work."""

    ready: Literal[True] = True


class ModelReady(BaseModel):
    """The model can be asked."""

    name: str
    ready: Literal[True] = True


class Server(BaseModel):
    """What answers."""

    name: Literal["deltabar"] = "deltabar"
    version: str
    extensions: list[str] = ["binary_tensor_data"]


class TensorMetadata(BaseModel):
    """A tensor that a model takes or gives; −1 stands for the number of rows."""

    name: str
    datatype: Datatype
    shape: list[int]


class ModelMetadata(BaseModel):
    """What a model takes and gives."""

    name: str
    platform: str = "deltabar_safetensors"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InputTensor(BaseModel):
    """The values of one column."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="The column")
    datatype: Datatype
    shape: list[int] = Field(description="[n] or [n, 1] for n rows", min_length=1, max_length=2)
    data: Data | None = Field(default=None, description="Left out where the values follow in binary")
    parameters: dict[str, Any] = {}


class RequestedOutput(BaseModel):
    """A tensor that is asked for."""

    model_config = ConfigDict(extra="forbid")

    name: str
    parameters: dict[str, Any] = Field(default={}, description="`binary_data: true` asks for it in binary")


class InferRequest(BaseModel):
    """Rows to predict, column by column; parameters that the service doesn't know have no effect."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(default=None, description="Comes back in the answer")
    parameters: dict[str, Any] = Field(default={}, description="`binary_data_output: true`: all outputs in binary")
    inputs: list[InputTensor] = Field(min_length=1)
    outputs: list[RequestedOutput] | None = Field(default=None, description="All that the model gives, if left out")


class OutputTensor(BaseModel):
    """A tensor of the answer; `data` is flat, in row-major order, with null for what is no number."""

    name: str
    datatype: Datatype
    shape: list[int]
    data: Data | None = None
    parameters: dict[str, Any] | None = Field(
        default=None, description="`binary_data_size`, where it follows in binary"
    )


class InferResponse(BaseModel):
    """What a model predicts for the rows."""

    model_name: str
    id: str | None = None
    outputs: list[OutputTensor]
