"""Jobs put together in a shell, by --set and --spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from service.cli.document import document
from service.jobs.request import JobRequest

LAYERS = json.loads(JobRequest.model_construct().model_dump_json(include={"network"}))["network"]["layers"]


@pytest.mark.parametrize(
    ("sets", "fields"),
    [
        ([], {}),
        (["epochs=50"], {"epochs": 50}),
        (["optimizer=adamw"], {"optimizer": "adamw"}),
        (["optimizer.learning_rate=0.01"], {"optimizer": {"learning_rate": 0.01}}),
        (["optimizer=adamw", "optimizer.beta1=0.8"], {"optimizer": {"name": "adamw", "beta1": 0.8}}),
        (["schedule.name=warmup", "schedule.then=cosine"], {"schedule": {"name": "warmup", "then": "cosine"}}),
        (["early_stopping={}"], {"early_stopping": {}}),
        (["validation=null"], {"validation": None}),
        (["metadata.note=a=b"], {"metadata": {"note": "a=b"}}),
        (['metadata.number="5"'], {"metadata": {"number": "5"}}),
        (["class_weight.1=2.5"], {"class_weight": {"1": 2.5}}),
        (['network.layers=[{"units":8}]', "network.layers.0.dropout=0.1"],
         {"network": {"layers": [{"units": 8, "dropout": 0.1}]}}),
        (["network.layers.1.units=16"], {"network": {"layers": [LAYERS[0], {**LAYERS[1], "units": 16}]}}),
        (["epochs=1", "epochs=2"], {"epochs": 2}),
    ],
)  # fmt: skip
def test_fields_are_set_one_by_one(sets: list[str], fields: dict[str, Any]):
    assert document("y", None, sets) == {"target": "y", **fields}


def test_every_field_of_a_job_can_be_set():
    job = JobRequest.model_validate({"dataset_id": "ds_" + "0" * 32, "target": "y"}).model_dump(mode="json")
    sets = [f"{name}={json.dumps(value)}" for name, value in job.items()]
    assert JobRequest.model_validate(document(None, None, sets)).model_dump(mode="json") == job


def test_what_is_set_goes_before_the_file_and_the_target_before_both(tmp_path: Path):
    path = tmp_path / "job.json"
    path.write_text('{"target": "x", "epochs": 3, "optimizer": {"name": "sgd", "momentum": 0.9}}')
    fields = document(None, path, ["optimizer.momentum=0.5"])
    assert fields == {"target": "x", "epochs": 3, "optimizer": {"name": "sgd", "momentum": 0.5}}
    assert document("y", path, [])["target"] == "y"


@pytest.mark.parametrize(
    ("sets", "parts"),
    [
        (["epochs"], ("'epochs'", "name=value")),
        (["=3"], ("'=3'",)),
        (["network.layers.5.units=3"], ("'5'", "from 0 to 1")),
        (['network.layers=[{"units":8}]', "network.layers.first=3"], ("'first'", "from 0 to 0")),
    ],
)
def test_what_cannot_be_set_is_said(sets: list[str], parts: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(typer.Exit) as ended:
        document("y", None, sets)
    assert ended.value.exit_code == 2
    said = capsys.readouterr().err
    assert said.startswith("deltabar: --set = ")
    for part in parts:
        assert part in said


@pytest.mark.parametrize(("text", "part"), [("[1]", "object"), ("{", "JSON"), (None, "No such file")])
def test_a_file_that_is_no_job_is_said(tmp_path: Path, text: str | None, part: str, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "job.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(typer.Exit):
        document("y", path, [])
    assert part in capsys.readouterr().err
