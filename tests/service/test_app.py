"""The application as a whole: its description, and what the web process must never import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.settings import Settings

LIGHT_CLIENT = """
import sys
import service.client
heavy = {"numpy", "polars", "sqlalchemy", "alembic", "fastapi", "uvicorn", "core", "typer"}
print(sorted(heavy & set(sys.modules)))
"""

LIGHT_COMMAND_LINE = """
import sys
import service.cli
heavy = {"numpy", "polars", "sqlalchemy", "alembic", "fastapi", "uvicorn", "core", "httpx", "pydantic"}
print(sorted(heavy & set(sys.modules)))
"""

WEB_PROCESS = """
import sys
from pathlib import Path
from tests.service.live import live
with live(Path(sys.argv[1])) as (http, _):
    assert http.get("/v1/jobs").status_code == 200
    made = http.post("/v1/datasets?name=t", content="x,y\\n" + "1,a\\n2,b\\n" * 10)
    assert made.status_code == 201
    assert http.post("/v1/jobs/validate", json={"dataset_id": made.json()["id"], "target": "y"}).status_code == 200
    assert http.get("/openapi.json").status_code == 200
print(sorted({"cupy", "cupyx", "numba", "matplotlib"} & set(sys.modules)))
"""


def imported(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_web_process_imports_no_accelerator_and_nothing_that_draws(tmp_path: Path):
    assert imported(WEB_PROCESS, str(tmp_path)) == "[]"


def test_the_client_is_light():
    assert imported(LIGHT_CLIENT) == "[]"


def test_the_command_line_is_light():
    assert imported(LIGHT_COMMAND_LINE) == "[]"


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return create_app(Settings(data_dir=tmp_path_factory.mktemp("app"))).openapi()


def operations(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in description["paths"].items()
        for method, operation in item.items()
    }


def test_every_route_is_described(description: dict[str, Any]):
    assert set(operations(description)) == {
        "POST /v1/datasets",
        "GET /v1/datasets",
        "GET /v1/datasets/{dataset_id}",
        "DELETE /v1/datasets/{dataset_id}",
        "GET /v1/datasets/{dataset_id}/preview",
        "GET /v1/datasets/{dataset_id}/content",
        "POST /v1/jobs",
        "POST /v1/jobs/validate",
        "GET /v1/jobs",
        "GET /v1/jobs/{job_id}",
        "DELETE /v1/jobs/{job_id}",
        "GET /v1/jobs/{job_id}/checkpoints",
        "GET /v1/jobs/{job_id}/checkpoints/{checkpoint_id}/weights",
        "POST /v1/jobs/{job_id}/cancel",
        "POST /v1/jobs/{job_id}/pause",
        "POST /v1/jobs/{job_id}/resume",
        "POST /v1/jobs/{job_id}/retry",
        "GET /v1/jobs/{job_id}/metrics",
        "GET /v1/jobs/{job_id}/loss-curve.png",
        "GET /v1/jobs/{job_id}/loss-curve.svg",
        "GET /v1/jobs/{job_id}/events",
        "GET /v1/jobs/{job_id}/events/stream",
        "GET /v1/models",
        "GET /v1/models/{model_id}",
        "DELETE /v1/models/{model_id}",
        "GET /v1/models/{model_id}/card",
        "GET /v1/models/{model_id}/weights",
        "POST /v1/models/{model_id}/predict",
        "POST /v1/models/{model_id}/evaluate",
        "POST /v1/predictions",
        "GET /v1/predictions",
        "GET /v1/predictions/{prediction_id}",
        "DELETE /v1/predictions/{prediction_id}",
        "GET /v1/predictions/{prediction_id}/events",
        "GET /v1/predictions/{prediction_id}/events/stream",
        "GET /v1/predictions/{prediction_id}/content",
        "POST /v1/predictions/{prediction_id}/cancel",
        "POST /v1/predictions/{prediction_id}/retry",
        "GET /v1/jobs/{job_id}/trace",
        "GET /v1/example/trace",
        "GET /v2",
        "GET /v2/health/live",
        "GET /v2/health/ready",
        "GET /v2/models/{model_id}",
        "GET /v2/models/{model_id}/ready",
        "POST /v2/models/{model_id}/infer",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    }


def test_every_operation_has_a_short_name_of_its_own_and_a_text(description: dict[str, Any]):
    found = operations(description)
    names = [operation["operationId"] for operation in found.values()]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and "v1" not in name for name in names)
    assert all(operation["description"] for operation in found.values())


def test_every_answer_has_a_type(description: dict[str, Any]):
    for name, operation in operations(description).items():
        for status, response in operation["responses"].items():
            content = response.get("content", {})
            assert content or status in ("204", "304"), f"{name} {status} has no content"
            for media_type, body in content.items():
                assert body.get("schema"), f"{name} {status} {media_type} has no schema"


def test_errors_are_described_as_problem_documents(description: dict[str, Any]):
    for name, operation in operations(description).items():
        if name.split()[1].startswith("/v1"):
            schema = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
            assert operation["responses"]["4XX"]["content"] == {"application/problem+json": schema}, name
    assert "HTTPValidationError" not in description["components"]["schemas"]


def test_every_reference_leads_somewhere(description: dict[str, Any]):
    text = json.dumps(description)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names == set(description["components"]["schemas"])


def test_requests_refuse_unknown_fields(description: dict[str, Any]):
    schemas = description["components"]["schemas"]
    for operation in operations(description).values():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body and "$ref" in body["schema"]:
            assert schemas[body["schema"]["$ref"].rpartition("/")[2]]["additionalProperties"] is False
