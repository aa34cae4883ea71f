"""The image that `make test-image` builds, run with a read-only root, no capabilities, and little memory."""

from __future__ import annotations

import gzip
import io
import json
import re
import time
from pathlib import Path

import httpx
import polars as pl
import pytest

import core
from service.client import Client
from tests.image.engine import MEMORY_BYTES, PATIENCE, Engine, Service, Volume
from tests.service.conftest import PENGUINS
from tests.service.processes import eventually

ENDLESS = 1_000_000
LARGEST = 600_000_000
"""Bytes of all layers, unpacked, those of the base too: what `podman images` and `docker images` show."""
BASE = 130_500_000
"""Of these, those of the Dockerfile's own base, Python's slim image: the tests' base may be smaller."""
IMPORTS = """
import core, importlib, pkgutil, service
for package in core, service:
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith(("service.migrations", "core.estimators", "service.cli.__main__")):
            importlib.import_module(module.name)
            print(module.name)
"""
"""Of every module but those that Alembic runs, and those that are for scikit-learn's users, who have it."""


def test_it_has_no_root_and_no_rights(container: Service):
    status = dict(
        line.split(":\t", 1) for line in container.execute("cat", "/proc/1/status").splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4
    assert status["Gid"].split() == ["10001"] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert container.state()["HostConfig"]["Memory"] == MEMORY_BYTES
    for folder in ("/", "/tmp", "/opt/deltabar/lib"):
        container.execute("touch", f"{folder}/written", fails=True)
    container.execute("touch", "/data/written")


def test_it_has_no_tools_to_build_with_and_no_secret(container: Service, containers: Engine, admin_key: Path):
    for tool in ("gcc", "cc", "ld", "make", "strip", "pip"):
        container.execute("sh", "-c", f"command -v {tool}", fails=True)
    described = containers("image", "inspect", containers.image) + containers("history", "--no-trunc", containers.image)
    assert admin_key.read_text() not in described + container.log()
    labels = json.loads(containers("image", "inspect", containers.image))[0]["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "deltabar"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_the_versions_are_those_of_the_constraints(container: Service):
    listing = "from importlib.metadata import distributions as d; print(*{f'{x.name}=={x.version}' for x in d()})"
    installed = {
        line.lower().replace("_", "-").replace(".", "-") for line in container.execute("python", "-c", listing).split()
    }
    pinned = {line.replace(".", "-") for line in Path("docker/constraints.txt").read_text().splitlines()}
    others = {each.partition("==")[0] for each in installed - pinned}
    assert others <= {"deltabar"}


def test_it_counts_the_cores_that_it_may_use(container: Service):
    assert container.execute("python", "-c", "from core.threads import cores, quota; print(quota())").split() == ["1.5"]


def test_it_is_no_larger_than_it_says(containers: Engine, container: Service):
    [image] = json.loads(containers("image", "inspect", containers.image))
    assert image["Size"] <= LARGEST, f"{image['Size'] / 1e6:.0f} MB"
    added = int(container.execute("du", "--bytes", "--summarize", "/opt/deltabar").split()[0])
    assert added <= LARGEST - BASE, f"{added / 1e6:.1f} MB besides the base"


def test_every_module_finds_what_it_imports(container: Service):
    """What `docker/trim.sh` takes out of the packages is none of it."""
    found = container.execute("python", "-W", "error", "-c", IMPORTS).split()
    assert {"core.kernels.compiled", "service.app", "service.runner", "service.cli.jobs"} <= set(found)
    assert "jobs" in container.execute("deltabar", "--help")
    shown = container.execute("deltabar", "doctor", "--json")
    assert json.loads(shown)["ok"], shown
    traceback = "import rich.traceback as t; t.install(); exec(compile('1 / 0', 'page.html', 'exec'))"
    assert "ZeroDivisionError" in container.execute("python", "-c", traceback, fails=True)


def test_without_a_key_it_does_not_start(containers: Engine):
    with containers.volume() as empty:
        said = containers.run(volume=empty, fails=True)
    assert "deltabar keys create" in said
    assert "/run/secrets/deltabar_admin_key" in said


def test_its_check_tells_whether_it_is_ready(container: Service):
    assert container.is_healthy()


def test_a_worker_by_itself_is_well_until_it_hangs(container: Service, containers: Engine, volume: Volume):
    """As docker/compose.yaml and the manifests have it."""
    lease = 5
    with containers.worker(volume, "deltabar worker --check", lease_seconds=lease) as worker:
        assert eventually(lambda: container.said_by("workers") == "2 at work", PATIENCE), worker.log()
        assert worker.is_healthy(), worker.log()
        worker.signal("STOP")
        time.sleep(lease)
        assert "has shown signs of life" in worker.execute("deltabar", "worker", "--check", fails=True)


def test_the_cookie_with_the_key_is_for_tls_alone_behind_a_proxy(container: Service, admin_key: Path):
    """A proxy's requests come from the address of the engine's network, which isn't loopback."""
    for scheme, is_secure in (("https", True), ("http", False)):
        answer = httpx.post(
            f"{container.url}/sign-in",
            data={"key": admin_key.read_text()},
            headers={"X-Forwarded-Proto": scheme},
            trust_env=False,
        )
        assert answer.status_code == 303
        assert ("Secure" in answer.headers["set-cookie"]) == is_secure


def test_the_way_of_a_job(container: Service, client: Client, admin_key: Path, tmp_path: Path):
    with Client(container.url, api_key="") as stranger, pytest.raises(Exception, match="key"):
        stranger.jobs.list()
    dataset = client.datasets.upload(PENGUINS)
    job = client.jobs.wait(client.jobs.create(dataset_id=dataset.id, target="species").id, timeout=120)
    assert job.state == "succeeded", job.error
    assert job.model_id is not None
    weights = client.models.download_weights(job.model_id, tmp_path / "weights.safetensors")
    assert core.load(weights).n_outputs == 3
    [prediction] = client.models.predict(job.model_id, [{"island": "Biscoe", "flipper_length_mm": 217}]).data
    assert prediction
    headers = {"Authorization": f"Bearer {admin_key.read_text()}"}
    with httpx.Client(base_url=container.url, headers=headers, trust_env=False, timeout=60) as http:
        assert http.get(f"/v1/jobs/{job.id}/loss-curve.png").content.startswith(b"\x89PNG")
        assert http.get(f"/v1/jobs/{job.id}/loss-curve.svg").content.startswith(b"<?xml")
        assert b"deltabar" in http.get(f"/v1/models/{job.model_id}/weights?format=onnx").content
        assert http.get(f"/v1/models/{job.model_id}/weights?format=npz").content.startswith(b"PK")
        assert "deltabar_jobs" in http.get("/metrics").text


def test_the_pages_and_what_they_load_are_there(container: Service):
    with httpx.Client(base_url=container.url, trust_env=False, follow_redirects=True) as http:
        page = http.get("/", headers={"Accept": "text/html"})
        assert "<html" in page.text
        loaded = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
        assert loaded
        plotly = f"{loaded.copy().pop().rpartition('/')[0]}/plotly.min.js"
        for path in loaded | {plotly}:
            assert http.get(path).status_code == 200, path


def test_every_format_is_read(client: Client, tmp_path: Path):
    """What was taken out of the packages is none of what the readers use."""
    table = pl.DataFrame({"x": [1.5, 2.5, 3.5, 4.5] * 5, "y": ["a", "b"] * 10})
    table.write_parquet(tmp_path / "t.parquet")
    table.write_ndjson(tmp_path / "t.jsonl")
    compressed = io.BytesIO()
    table.write_csv(compressed)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(compressed.getvalue()))
    table.write_parquet(tmp_path / "t2.parquet", compression="zstd", statistics=False)
    for path in sorted(tmp_path.iterdir()):
        assert client.datasets.upload(path).rows == 20


def test_stopped_while_a_job_trains_it_goes_on_from_the_checkpoint(container: Service, client: Client):
    dataset = client.datasets.upload(PENGUINS)
    job = client.jobs.create(dataset_id=dataset.id, target="species", epochs=ENDLESS)
    assert eventually(lambda: client.jobs.get(job.id).progress.epoch > 10)
    container.stop()
    assert container.state()["State"]["ExitCode"] == 0, container.log()
    container.start()
    assert eventually(lambda: client.jobs.get(job.id).state == "running", 120), container.log()
    events, starts = [], []
    for event in client.jobs.events(job.id):
        events.append(event)
        starts = [each.data for each in events if each.kind == "state" and each.data["state"] == "running"]
        if len(starts) == 2 and event.kind == "metrics":
            break
    kept = [each.data["epoch"] for each in events if each.kind == "checkpoint"]
    assert kept
    assert kept[-1] > 10
    assert starts[1]["epoch"] == kept[-1]
    assert events[-1].data["epoch"] > kept[-1]
    assert client.jobs.get(job.id).attempts == 1  # handed back, not failed
    assert "Traceback" not in container.log()
    client.jobs.cancel(job.id)
    assert client.jobs.wait(job.id, timeout=120).state == "cancelled"
