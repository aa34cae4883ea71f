"""Training, predicting, looking at a model and exporting it, without a service."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest
from safetensors.numpy import load_file

import core
from service.client import Client
from service.jobs.schemas import Job
from tests.service.commands import assert_one_message, invoke, ok
from tests.service.conftest import PENGUINS
from tests.service.processes import COMMAND, PATIENCE

ROWS = [
    {"island": "Torgersen", "bill_length_mm": 38.9, "bill_depth_mm": 18.4, "flipper_length_mm": 190, "sex": "female"},
    {"island": "Biscoe", "bill_length_mm": 47.6, "bill_depth_mm": 15.0, "flipper_length_mm": 217, "sex": None},
]
THREE_CLASSES = "x,y\n" + "1,a\n2,b\n3,c\n" * 20
"""As the penguins: what trains on them is compiled."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model with all defaults, and what was said of its training."""
    folder = tmp_path_factory.mktemp("local") / "model"
    return folder, ok("train", str(PENGUINS), "--target", "species", "--output", str(folder))


@pytest.fixture(scope="module")
def model(trained: tuple[Path, str]) -> Path:
    return trained[0]


def table(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_training_shows_progress_and_the_curve_and_writes_a_folder(trained: tuple[Path, str]):
    folder, said = trained
    for part in ("344 rows", "epoch 100/100", "validation loss", "▚ training", "· validation", "69 held-out rows"):
        assert part in said
    assert "\x1b" not in said
    assert files(folder) == {"weights.safetensors", "encoding.json", "card.json", "loss-curve.csv"}
    assert files(folder.parent) == {"model"}
    card = json.loads((folder / "card.json").read_text())
    assert card["result"]["metrics"]["accuracy"] >= 0.97
    assert card["spec"]["optimizer"]["learning_rate"] == 0.001
    curve = list(csv.DictReader(io.StringIO((folder / "loss-curve.csv").read_text())))
    assert [int(row["epoch"]) for row in curve] == list(range(1, 101))
    assert float(curve[-1]["validation_loss"]) == card["result"]["validation_loss"]


def test_the_same_as_the_service_trains(model: Path, client: Client, penguins_job: Job):
    assert penguins_job.model_id is not None
    assert penguins_job.result is not None
    theirs, ours = client.models.network(penguins_job.model_id), core.load(model / "weights.safetensors")
    card = json.loads((model / "card.json").read_text())
    assert card["spec"] == penguins_job.spec.model_dump(mode="json")
    assert card["result"]["loss"] == penguins_job.result.loss
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name], tensor)

    rows = ok("predict", str(model), table(model.parent / "rows.json", json.dumps(ROWS)), "--json")
    predicted = [each.model_dump() for each in client.models.predict(penguins_job.model_id, ROWS).data]
    assert json.loads(rows) == predicted


def test_predictions_as_csv(model: Path, tmp_path: Path):
    rows = list(csv.DictReader(io.StringIO(ok("predict", str(model), str(PENGUINS)))))
    assert len(rows) == 344
    assert list(rows[0]) == ["species", *(f"probability_{name}" for name in ("Adelie", "Chinstrap", "Gentoo"))]
    right = pl.read_csv(PENGUINS)["species"].to_list()
    assert sum(row["species"] == label for row, label in zip(rows, right, strict=True)) > 330


def test_predictions_go_to_a_file_that_is_not_overwritten(model: Path, tmp_path: Path):
    path = tmp_path / "predictions.csv"
    arguments = ("predict", str(model), str(PENGUINS), "--output", str(path))
    assert ok(*arguments) == ""
    written = path.read_bytes()
    assert_one_message(invoke(*arguments), 2, str(path), "--force")
    path.write_text("")
    ok(*arguments, "--force")
    assert path.read_bytes() == written
    assert files(tmp_path) == {"predictions.csv"}


def test_a_file_without_any_of_the_models_columns_is_refused(model: Path, tmp_path: Path):
    rows = table(tmp_path / "others.csv", "ring,weight\nA7,3\n")
    assert_one_message(invoke("predict", str(model), rows), 2, "ring, weight", "bill_length_mm")


def test_who_reads_no_further_hears_nothing_of_it(model: Path):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [*COMMAND, "predict", str(model), str(PENGUINS)]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    finally:
        os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1


def test_rows_come_over_standard_input(model: Path):
    done = invoke("predict", str(model), "-", given="island,flipper_length_mm,ring\nBiscoe,217,A7\n")
    assert done.stdout.splitlines()[1].startswith("Gentoo,")
    assert "bill_length_mm" in done.stderr  # missing
    assert "ring" in done.stderr  # left out


def test_rows_that_do_not_fit_are_refused(model: Path, tmp_path: Path):
    rows = table(tmp_path / "rows.csv", "island,flipper_length_mm\nBiscoe,long\n")
    assert_one_message(invoke("predict", str(model), rows), 2, "flipper_length_mm", '"long"', "a number")
    assert_one_message(invoke("predict", str(model), str(tmp_path / "none.csv")), 2, "none.csv", "No such file")
    assert_one_message(invoke("predict", str(tmp_path), rows), 2, str(tmp_path), "weights.safetensors")
    assert_one_message(invoke("inspect", str(tmp_path / "no")), 2, "no such folder")


def test_a_column_of_texts_stays_one(tmp_path: Path):
    lines = [f"{code},{'agent' if code == '007' else code}" for code in ("007", "7", "n1") * 15]
    data = table(tmp_path / "data.csv", "\n".join(["code,secret", *lines, ""]))
    folder = str(tmp_path / "model")
    ok("train", data, "--target", "secret", "--output", folder, "--set", "epochs=60", "--kind", "code:categorical")
    rows = table(tmp_path / "rows.csv", "code\n007\n7\n")  # numbers, to whoever doesn't know
    assert [row["label"] for row in json.loads(ok("predict", folder, rows, "--json"))] == ["agent", "7"]


def test_a_model_tells_what_it_is(model: Path):
    said = ok("inspect", str(model))
    for part in ("species", "Adelie, Chinstrap, Gentoo", "3203", "penguins.csv", "flipper_length_mm", "64 × 15"):
        assert part in said
    told: dict[str, Any] = json.loads(ok("inspect", str(model), "--json"))
    assert told["network"]["n_parameters"] == 3203
    assert told["tensors"]["0.weight"] == [64, 15]
    assert told["card"]["dataset"]["rows"] == 344


def test_a_training_starts_with_the_weights_of_a_model(model: Path, tmp_path: Path):
    still = ["--set", "epochs=1", "--set", "optimizer.name=sgd", "--set", "optimizer.learning_rate=1e-30"]
    output = tmp_path / "model"
    begin = ["train", str(PENGUINS), "--target", "species", "--output", str(output), *still]
    card = json.loads(ok(*begin, "--from", str(model), "--json"))
    before, after = (load_file(folder / "weights.safetensors") for folder in (model, output))
    assert {name: array.tolist() for name, array in after.items()} == {
        name: array.tolist() for name, array in before.items()
    }
    assert [each["id"] for each in card["lineage"]] == [str(model)]
    assert card["metrics"] == json.loads((model / "card.json").read_text())["metrics"]


def test_what_a_training_cannot_start_with_is_refused(model: Path, tmp_path: Path):
    begin = ["train", str(PENGUINS), "--target", "species", "--output", str(tmp_path / "model")]
    refused = invoke(*begin, "--from", str(model), "--set", "network.layers.0.units=5")
    assert refused.returncode == 2
    assert f"the model in {model} has other hidden layers" in refused.stderr
    assert_one_message(invoke(*begin, "--from", str(tmp_path)), 2, "is no model")
    assert_one_message(invoke(*begin, "--set", "init_from=model_1"), 2, "--from FOLDER")
    bare = tmp_path / "bare"
    shutil.copytree(model, bare)
    (bare / "card.json").unlink()
    assert_one_message(invoke(*begin, "--from", str(bare)), 2, "doesn't tell how the model was trained")


def test_the_test_rows_are_told_of(tmp_path: Path):
    said = ok(
        "train", str(PENGUINS), "--target", "species", "--output", str(tmp_path / "model"),
        "--set", "epochs=1", "--set", "split.by=fraction", "--set", "split.test=0.25",
    )  # fmt: skip
    assert "On the 86 test rows: loss " in said


def test_a_model_leaves_in_every_format(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    tensors = load_file(model / "weights.safetensors")
    for format in ("safetensors", "npz", "onnx"):
        told = json.loads(ok("export", str(model), "--format", format, "--json"))
        assert told["bytes"] == (tmp_path / f"model.{format}").stat().st_size
        assert_one_message(invoke("export", str(model), "--format", format), 2, f"model.{format}", "--force")
    assert load_file("model.safetensors").keys() == tensors.keys()
    with np.load("model.npz") as archive:
        np.testing.assert_array_equal(archive["0.weight"], tensors["0.weight"])
    session = onnxruntime.InferenceSession("model.onnx")
    missing = {"tensor(string)": "", "tensor(double)": np.nan}
    known = {name: float(cell) if isinstance(cell, int) else cell for name, cell in ROWS[0].items()}
    given = {each.name: np.array([[known.get(each.name, missing[each.type])]]) for each in session.get_inputs()}
    label: Any = session.run(None, given)[0]
    assert np.ravel(label).tolist() == ["Adelie"]
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["Adelie", "Chinstrap", "Gentoo"]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--target", "specis"], ("target", '"specis"', "species, island")),
        (["--target", "species", "--set", "epochs=0", "--set", "optimizer.rate=1"],
         ("epochs", "given: 0", "≥ 1", "optimizer.rate", "learning_rate")),
        (["--target", "species", "--set", "priority=1"], ("priority", "deltabar jobs submit")),
        (["--target", "species", "--read", "delimter=comma"], ("delimter", "delimiter")),
        (["--target", "species", "--kind", "year"], ("kind", '"year"', "<column>:<kind>")),
        (["--target", "species", "--kind", "yeer:text"], ("yeer", "no such column")),
        ([], ("--target",)),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_said_and_nothing_is_written(
    options: list[str], parts: tuple[str, ...], tmp_path: Path
):
    done = invoke("train", str(PENGUINS), "--output", str(tmp_path / "model"), *options)
    assert_one_message(done, 2, *parts)
    assert files(tmp_path) == set()


def test_a_folder_that_is_there_is_kept_unless_it_is_to_go(tmp_path: Path):
    data = table(tmp_path / "data.csv", THREE_CLASSES)
    train = ("train", data, "--target", "y", "--output", str(tmp_path / "model"), "--set", "epochs=2")
    first = json.loads(ok(*train, "--json"))
    assert first["path"] == str(tmp_path / "model")
    assert_one_message(invoke(*train), 2, "model", "--force")
    # A training that fails leaves what was there, too.
    failed = invoke(*train, "--force", "--set", "optimizer.learning_rate=1e38")
    assert_one_message(failed, 3, "no longer finite", "learning_rate")
    assert json.loads((tmp_path / "model" / "card.json").read_text())["created_at"] == first["created_at"]
    assert json.loads(ok(*train, "--force", "--set", "seed=1", "--json"))["spec"]["seed"] == 1
    assert json.loads((tmp_path / "model" / "card.json").read_text())["spec"]["seed"] == 1
    assert files(tmp_path) == {"data.csv", "model"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_leaves_nothing(number: int, tmp_path: Path):
    data, scratch = table(tmp_path / "data.csv", THREE_CLASSES), tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        [*COMMAND, "train", data, "--target", "y", "--output", str(tmp_path / "model"), "--set", "epochs=1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(scratch)},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert any("network" in line for line in process.stdout)  # it is about to train, or trains
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert files(tmp_path) == {"data.csv", "scratch"}
    assert files(scratch) == set()
