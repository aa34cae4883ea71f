"""What a job fails with where no further attempt would go better."""

from __future__ import annotations


class CannotTrain(Exception):  # noqa: N818 -- it reads as the sentence that it is
    """The job can't be trained, for a reason that its user can understand; `code` is for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
