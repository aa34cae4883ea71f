"""What the API says of one pass forward and back, in the letters of `core.backpropagation`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from service.ids import CheckpointId, ModelId

# Nested lists of numbers, null where a number isn't finite; made from arrays, so there is nothing to check in them.
Array = Annotated[Any, WithJsonSchema({"type": "array", "items": {}})]


class LayerTrace(BaseModel):
    """What one layer computed; row k of z, f'(z), a and their adjoints is sample k."""

    name: str = Field(description="The layer's place, as the weights file has it")
    title: str = Field(description="The layer in words")
    activation: str | None = Field(description="f; null for a layer that has none")
    elementwise: bool = Field(description="Whether each a depends on its own z alone, so that f'(z) is a vector")
    from_z: bool = Field(description="Whether the loss starts from z, so that z̄ comes first and ā is found from it")
    a: Array = Field(description="(m, n_out)")
    a_bar: Array = Field(description="ā, (m, n_out)")
    z: Array | None = Field(description="(m, n_out); null where there is no f, as the next two")
    slope: Array | None = Field(description="f'(z), (m, n_out); its Jacobian (m, n_out, n_out) where not elementwise")
    z_bar: Array | None = Field(description="z̄, (m, n_out)")
    theta: dict[str, Array] = Field(description="Θ as weight (n_out, n_in), b as bias (n_out)")
    theta_bar: dict[str, Array] = Field(description="Their adjoints, summed over the samples")
    theta_bar_of_samples: dict[str, Array] = Field(description="Each sample's part of these, 1/m in it: (m, …)")


class Curve(BaseModel):
    """An f over a range of z."""

    z: list[float]
    a: Array


class Check(BaseModel):
    """The derivative along one random direction over all parameters and inputs, by differences and by the way back."""

    passed: bool
    expected: float | None = Field(description="By a central difference of J")
    got: float | None = Field(description="By the backward pass")
    error: float | None
    tolerance: float | None = Field(description="Derived from float64's precision and the size of J")
    step: float
    kink: bool = Field(description="Whether a kink of f lies within the step, so that differences say nothing")
    n_parameters: int
    n_inputs: int


class Trace(BaseModel):
    """A batch of m samples forward and back, computed in float64 from the weights as they are kept."""

    object: Literal["trace"] = "trace"
    of: ModelId | CheckpointId | None = Field(description="Whose weights these are; null for the example")
    epoch: int | None = Field(description="After which they were taken")
    rows: list[int] = Field(description="Of the data set, counted from 0; the samples in their order")
    inputs: list[str] = Field(description="What the columns of x are")
    outputs: list[str] = Field(description="What the columns of the last a are")
    loss: str
    loss_value: float | None = Field(description="J, the mean of `values`")
    values: Array = Field(description="Each sample's loss, (m)")
    x: Array = Field(description="(m, n_inputs)")
    x_bar: Array = Field(description="x̄, (m, n_inputs)")
    y: Array = Field(description="The targets, as the loss takes them")
    labels: list[str] | None = Field(description="The targets' labels; null for numbers")
    layers: list[LayerTrace]
    curves: dict[str, Curve] = Field(description="Each elementwise f of the layers by its name, to be drawn")
    check: Check
    text: str = Field(description="All of it to be read: what `print(Network.trace(…))` shows")
