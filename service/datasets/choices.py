"""What a job may choose about the encoding of its features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Scaling = Literal["standard", "robust", "min_max", "none"]
MOST_CATEGORIES = 100


class EncodingChoices(BaseModel):
    """How columns become inputs. Everything is learned from the training rows."""

    model_config = ConfigDict(extra="forbid", strict=True)

    numbers: Scaling = Field(
        default="standard",
        description="standard: by mean and deviation; robust: by median and the range of the middle half; min_max: "
        "from 0 to 1; none: as they are",
    )
    max_categories: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=MOST_CATEGORIES,
        description="Of a column with more categories, the most frequent have an input each, the others share one",
    )
