"""What the client raises: the service's problem documents, as exceptions that read well."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from service.schemas import FieldError, ProblemDocument


class DeltabarError(Exception):
    """The service refused a request, or failed at it.

    Attributes:
        status: HTTP status.
        code: a stable word for programs, such as `dataset_not_found`.
        detail: one sentence for people.
        errors: the fields at fault, with the value given and what is allowed.

    >>> print(DeltabarError(422, "invalid_request", "epochs: must be at least 1", [
    ...     FieldError(field="epochs", value=0, message="must be at least 1", allowed="≥ 1")]))
    422 invalid_request: epochs: must be at least 1
      epochs: must be at least 1 (given: 0; allowed: ≥ 1)
    """

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(status, code, detail, errors)
        self.status, self.code, self.detail, self.errors = status, code, detail, list(errors)

    def __str__(self) -> str:
        lines = [f"{self.status} {self.code}: {self.detail}"]
        for error in self.errors:
            allowed = f"; allowed: {error.allowed}" if error.allowed else ""
            lines.append(f"  {error.field}: {error.message} (given: {error.value!r}{allowed})")
        return "\n".join(lines)


def error_of(response: httpx.Response) -> DeltabarError:
    """Return the error that `response`, read to its end, tells of."""
    try:
        document = ProblemDocument.model_validate_json(response.content)
    except ValueError:  # not from the service itself, but from something in between
        detail = response.text[:200] or response.reason_phrase
        return DeltabarError(response.status_code, f"http_{response.status_code}", detail)
    return DeltabarError(document.status, document.code, document.detail, document.errors)
