"""Requests that schemathesis makes up from the application's own description: no 5xx, no answer outside of it.

Each test is bounded and repeatable; `make fuzz EXAMPLES=300` makes up more, and others each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service.app import create_app
from service.settings import Settings
from tests.service.live import live
from tests.service.workplace import PENGUINS

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = int(os.environ.get("TESTS_FUZZ_EXAMPLES", "6"))
REPEATABLE = "TESTS_FUZZ_EXAMPLES" not in os.environ
SECONDS = 60.0

# What these bytes are is found by looking at them, so any will do.
for media_type in ("application/x-ndjson", "application/vnd.apache.parquet"):
    schemathesis.serializer.alias(media_type, "application/octet-stream")
schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi())
bounded = settings(
    max_examples=EXAMPLES,
    derandomize=REPEATABLE,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@contextmanager
def furnished(folder: Path) -> Iterator[str]:
    """Serve with a data set and a job on it; yield the address."""
    with live(folder, poll_seconds=0.02) as (http, _):
        dataset = http.post("/v1/datasets", content=PENGUINS.read_bytes()).json()["id"]
        job = http.post("/v1/jobs", json={"dataset_id": dataset, "target": "species"}).json()["id"]
        http.post(f"/v1/jobs/{job}/cancel")
        yield str(http.base_url)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with furnished(tmp_path_factory.mktemp("fuzzed")) as url:
        yield url


@schema.parametrize()
@bounded
def test_no_answer_is_outside_the_description(url: str, case: Any):
    case.call_and_validate(base_url=url, checks=CHECKS, timeout=SECONDS)


def test_no_sequence_of_requests_leads_outside_the_description(tmp_path_factory: pytest.TempPathFactory):
    """Answers give the ids of the requests that follow: a data set's for its jobs, a job's for what is done with it."""
    answered: set[tuple[str, int]] = set()

    class Sequence(schema.as_state_machine()):
        # Each has a service of its own: Hypothesis goes through the same again, and wants to be answered the same.
        def setup(self) -> None:
            self._stack = ExitStack()
            self._url = self._stack.enter_context(furnished(tmp_path_factory.mktemp("sequence")))

        def teardown(self) -> None:
            self._stack.close()

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"base_url": self._url, "timeout": SECONDS}

        def validate_response(self, response: Any, case: Any, *_: Any, **__: Any) -> None:
            answered.add((case.operation.label, response.status_code))
            case.validate_response(response, checks=CHECKS)

    run_state_machine_as_test(Sequence, settings=settings(bounded, stateful_step_count=8))
    assert any("_id}" in label and status < 300 for label, status in answered), answered
