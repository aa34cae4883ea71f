"""`deltabar doctor`: says what is there, what is missing, and what to do; and changes nothing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service import devices, doctor
from service.data_dir import prepare
from service.db import Database
from service.doctor import Finding
from service.settings import Settings
from tests.service.commands import deltabar
from tests.service.processes import eventually, serving

pytest.importorskip("cupy", exc_type=ImportError)

from tests.core.gpu.cupy_stand_in import CupyStandIn


def test_a_machine_that_can_do_its_work(tmp_path: Path):
    done = deltabar("doctor", "--json", "--data-dir", str(tmp_path / "data"), DELTABAR_DEVICES="cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    found = {each["name"]: each for each in told["checks"]}
    assert set(found) == {"versions", "processor", "driver", "cupy", "storage", "database", "blas", "cpu", "keys"}
    assert found["cpu"]["figures"]["gflops"] > 0
    assert found["blas"]["figures"]["libraries"]
    assert found["processor"]["figures"]["usable"] >= 1
    assert found["database"]["figures"]["tables"] == "missing"
    assert not (tmp_path / "data").exists()


def test_one_that_cannot_says_what_to_do_and_fails(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("")
    url = "postgresql://ann:hidden@127.0.0.1:1/none"
    done = deltabar("doctor", "--data-dir", str(file / "data"), DELTABAR_DATABASE_URL=url, DELTABAR_DEVICES="cuda:7")
    assert done.returncode == 1
    for part in ("✓ cpu:", "✗ storage:", "--data-dir", "✗ cuda:7:", "DELTABAR_DEVICES=cpu", "✗ database:", "refused"):
        assert part in done.stdout, part
    assert "hidden" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_how_the_database_stands(empty: str, tmp_path: Path):
    settings = Settings(data_dir=tmp_path, database_url=empty)
    found = doctor.database(settings)
    assert (found.state, found.figures["tables"]) == ("good", "missing")
    prepare(settings)
    assert doctor.database(settings).figures["tables"] == "current"
    revise(settings, "0001")
    found = doctor.database(settings)
    assert (found.state, found.figures["tables"]) == ("good", "older")
    assert "back up" in found.says
    revise(settings, "9999")
    found = doctor.database(settings)
    assert (found.state, found.figures["tables"]) == ("bad", "unknown")
    assert "newer" in found.advice


def revise(settings: Settings, revision: str) -> None:
    database = Database(settings.database_url)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    database.close()


def test_without_a_key_where_one_is_needed(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, host="0.0.0.0")
    found = doctor.keys(settings)
    assert found.state == "bad"
    assert "deltabar keys create" in found.advice
    given = Settings(data_dir=tmp_path, host="0.0.0.0", admin_key="k" * 32)  # type: ignore[arg-type] -- as in a file
    assert doctor.keys(given).state == "good"
    assert doctor.keys(Settings(data_dir=tmp_path)).state == "good"
    unread = Settings(data_dir=tmp_path, host="0.0.0.0", database_url="postgresql://127.0.0.1:1/none")
    assert doctor.keys(unread).state == "absent"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path):
    tmp_path.chmod(0o500)
    try:
        assert doctor.storage(Settings(data_dir=tmp_path)).state == "bad"
        assert doctor.storage(Settings(data_dir=tmp_path / "new")).state == "bad"
    finally:
        tmp_path.chmod(0o700)


def test_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "LITTLE_BYTES", 2**80)
    found = doctor.storage(Settings(data_dir=tmp_path))
    assert found.state == "bad"
    assert "make room" in found.advice


class Driver:
    """NVIDIA's driver for CUDA 12.9, with two GPUs."""

    def cuInit(self, _flags: int) -> int:
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = 2
        return 0

    def cuDriverGetVersion(self, number: Any) -> int:
        number._obj.value = 12090
        return 0


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices.ctypes, "CDLL", lambda _: Driver())


@pytest.mark.usefixtures("two_gpus")
def test_every_gpu_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "cupy", CupyStandIn(devices=2))
    monkeypatch.setattr(doctor, "SIZE", 64)
    settings = Settings(data_dir=tmp_path)
    assert doctor.driver().figures == {"version": "12.9", "gpus": 2}
    assert doctor.processor(settings).figures["devices"] == ["cuda:0", "cuda:1"]
    found = list(doctor.gpus(settings))
    assert [(each.name, each.state) for each in found] == [("cuda:0", "good"), ("cuda:1", "good")]
    assert found[0].figures["free_bytes"] == 3 << 30
    assert found[0].figures["gflops"] > 0


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "cupy", CupyStandIn(devices=1))
    monkeypatch.setattr(doctor, "SIZE", 64)
    states = {each.name: each.state for each in doctor.gpus(Settings(data_dir=tmp_path))}
    assert states == {"cuda:0": "good", "cuda:1": "bad"}


@pytest.mark.usefixtures("two_gpus")
def test_gpus_without_cupy(monkeypatch: pytest.MonkeyPatch):
    def none(_name: str) -> str:
        raise devices.PackageNotFoundError

    monkeypatch.setattr(devices, "version", none)
    assert devices.slots_of("auto", 1) == ["cpu"]
    found = doctor.cupy()
    assert found.state == "bad"
    assert "deltabar[cuda12]" in found.advice
    monkeypatch.setattr(doctor, "n_gpus", lambda: 0)
    assert doctor.cupy().state == "absent"


def told_in(log: Path) -> dict[str, dict[str, Any]]:
    """Return what a log in JSON tells of the doctor's findings, by their names."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    found = {line["message"].partition(":")[0]: line for line in lines if line["logger"] == "service.doctor"}
    return {name: line[name] for name, line in found.items()}


def test_the_service_logs_the_same_when_it_starts(tmp_path: Path):
    names = {"versions", "processor", "driver", "cupy", "storage", "database"}
    with serving(tmp_path / "one", devices="cpu", log_format="json") as service:
        assert eventually(lambda: set(told_in(service.log)) == names | {"blas", "cpu"})  # the worker has measured
        told = told_in(service.log)
    assert told["processor"]["devices"] == ["cpu"]
    assert told["storage"]["free_bytes"] > 0
    assert told["database"]["tables"] == "current"
    assert told["blas"]["libraries"]
    assert told["cpu"]["gflops"] > 0
    with serving(tmp_path / "two", "--workers", "0", log_format="json") as service:
        assert set(told_in(service.log)) == names


def test_the_report_is_bad_with_one_bad_finding():
    good, bad = Finding("a", "good", "", {}), Finding("b", "bad", "", {})
    assert doctor.report([good])["ok"]
    assert not doctor.report([good, bad])["ok"]
