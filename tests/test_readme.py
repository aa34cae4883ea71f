"""The README's examples run as they stand there: the curl lines, and the Python blocks."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest

import core
from service.client import Client
from tests.service.commands import ok
from tests.service.processes import PATIENCE, Serving, serving

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
OVER_HTTP, ELSEWHERE, LIBRARY, RESUMING, FROM_SCIKIT_LEARN, CHECK = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
CURL, TAKE, WHOLE, INFER, *_ = (
    re.sub(r" +# .*", "", block) for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) if "curl" in block
)


LOCAL, AGAINST = (
    re.sub(r" +# .*", "", block) for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) if "--target" in block
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("service")) as running:
        yield running


def here(example: str, url: str) -> str:
    """Return `example` for the service at `url`, run from any folder."""
    return example.replace("http://127.0.0.1:8000", url).replace("service/examples", str(ROOT / "service/examples"))


def test_the_library_and_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(LIBRARY + CHECK, {})
    assert (tmp_path / "net.safetensors").exists()
    lines = capsys.readouterr().out.splitlines()
    epochs, (verdict, *_, kink), trace = lines[:50], lines[50:57], lines[57:]
    assert float(epochs[-1].split()[-1]) > 0.9
    assert verdict.startswith("passed: the gradient by 13 parameters and 2 inputs")
    assert kink.split() == ["kink", "none"]
    assert trace[0].startswith("forward, 1 sample")
    assert trace[-1].split()[0] == "x̄"


def test_leaving_and_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(LIBRARY + RESUMING.replace("epochs=100", "epochs=5"), {})
    assert len(capsys.readouterr().out.splitlines()) == 50 + 5  # all of the five, as it was left in the first


def test_from_scikit_learn(capsys: pytest.CaptureFixture[str]) -> None:
    exec(FROM_SCIKIT_LEARN, {})
    assert float(capsys.readouterr().out.split()[-1]) > 0.9


def test_the_shell(service: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in here(LOCAL, "").strip().splitlines():
        assert ok(*shlex.split(line)[1:]) or "--output" in line
    assert {path.name for path in tmp_path.iterdir()} == {"model", "predictions.csv", "model.onnx"}
    said: list[str] = []
    for line in here(AGAINST, "").strip().splitlines():
        model_id = next(iter(re.findall(r"model_\w+", said[-1])), "") if said else ""
        words = shlex.split(line.replace("model_…", model_id), comments=True)
        said.append(ok(*words[1:], DELTABAR_URL=service.url))
    assert "succeeded" in said[0]
    assert all(len(each.splitlines()) > 1 for each in said[1:-1])  # the head, and what there is
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 345


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl on this machine")
def test_the_way_over_http(
    service: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ids: dict[str, str] = {}

    def run(line: str) -> bytes:
        quiet = line.replace("curl ", "curl --silent --show-error --fail ", 1)
        command = here(re.sub(r"(ds|job|model)_…", lambda kind: ids[kind[1]], quiet), service.url)
        return subprocess.run(command, shell=True, check=True, capture_output=True).stdout

    def run_all(block: str) -> bytes:
        answer = b""
        for line in block.replace("\\\n", "").strip().splitlines():
            answer = run(line)
            found = re.findall(r'"(?:model_)?id":"((ds|job|model)_\w+)"', answer.decode(errors="replace"))
            ids.update({kind: whole for whole, kind in found})
        return answer

    answer = run_all(CURL)
    assert json.loads(answer)["data"][0]["label"] == "Gentoo"
    assert (tmp_path / "weights.safetensors").stat().st_size > 10_000
    assert (tmp_path / "loss-curve.png").read_bytes().startswith(b"\x89PNG")

    exec(here(OVER_HTTP, service.url), {})
    assert "Gentoo" in capsys.readouterr().out

    run(TAKE)
    exec(ELSEWHERE, {})
    assert "Gentoo" in capsys.readouterr().out
    run_all(WHOLE)
    assert pl.read_parquet("predictions.parquet").height == 344
    assert json.loads(run(INFER))["outputs"][0]["data"] == ["Gentoo"]


def test_the_job_shown_is_the_default_job(service: Serving) -> None:
    """The JSON in the README, posted with a real data set, resolves to what the two required fields alone do."""
    shown, other = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL))
    with Client(service.url, timeout=PATIENCE) as client:
        dataset = client.datasets.upload(ROOT / "service/examples/penguins.csv")
        specs = []
        for body in (shown, {"target": "species"}):
            answer = httpx.post(f"{service.url}/v1/jobs", json={**body, "dataset_id": dataset.id}, timeout=PATIENCE)
            assert answer.status_code == 202, answer.text
            specs.append(answer.json()["spec"])
        assert specs[0] == specs[1]
        job = client.jobs.create(dataset_id=dataset.id, target="body_mass_g", **other)
        assert client.jobs.wait(job.id, timeout=PATIENCE).state == "succeeded"


@pytest.mark.parametrize(
    ("row", "names"), [("Activations", core.ACTIVATIONS), ("Losses", core.LOSSES), ("Schedules", core.SCHEDULES)]
)
def test_the_table_names_all_that_there_is(row: str, names: Iterable[str]) -> None:
    [*lines] = (line for line in TEXT.splitlines() if line.startswith(f"| {row}"))
    words = re.findall(r"\w+", " ".join(lines).replace("-", "_"))
    assert set(names) - set(words) == set()
