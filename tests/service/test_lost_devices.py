"""A device that falls off the bus: its job goes on elsewhere or later, and its worker takes no other meanwhile.

No test here has met a real GPU that was lost: the errors are CUDA's own, raised where CuPy raises them.
"""

from __future__ import annotations

import gc
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from sqlalchemy import select

pytest.importorskip("cupy", exc_type=ImportError)

from service import runner, tables
from service.context import Context
from service.jobs.service import get_job
from service.protocol import Message
from service.training.course import Wish
from service.training.samples import Tables
from tests.core.gpu.stand_in_array import StandInArray
from tests.service import losable_gpu
from tests.service.history import ended, history_of, training
from tests.service.losable_gpu import LosableGpu
from tests.service.processes import eventually
from tests.service.test_children import gone
from tests.service.test_runner import Make, assign
from tests.service.test_worker import in_thread
from tests.service.workplace import post, upload, workplace

__all__ = ["assign"]
ENDLESS: dict[str, Any] = {"epochs": 1_000_000, "device": "auto"}


@pytest.fixture
def lost(tmp_path: Path) -> Path:
    """The file that is written when the device is lost."""
    return tmp_path / "lost"


@pytest.fixture
def context(tmp_path: Path, lost: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """A worker, in a thread, whose children have a GPU."""
    monkeypatch.setenv("PYTHONPATH", losable_gpu.in_children(tmp_path, lost))
    monkeypatch.setattr("service.children.TRY_SECONDS", 0.2)
    settings = {"devices": "cuda:0", "poll_seconds": 0.02, "checkpoint_seconds": 0.1}
    with workplace(tmp_path / "data", **settings) as context, in_thread(context):
        yield context


def lose(lost: Path, number: int) -> None:
    """Write the file as a whole, as children may be about to read it."""
    draft = lost.with_suffix(".draft")
    draft.write_text(str(number))
    draft.rename(lost)


def faults(context: Context) -> dict[str, str]:
    with context.database.read() as session:
        return session.scalars(select(tables.Worker.faults)).first() or {}  # the worker may not have begun


def test_a_job_whose_device_is_lost_waits_and_goes_on_when_it_is_back(context: Context, lost: Path):
    dataset = upload(context)
    job = training(context, post(context, dataset, **ENDLESS))
    assert eventually(lambda: any(kind == "checkpoint" for _, kind, _ in history_of(context, job.id)))
    lose(lost, losable_gpu.ECC_UNCORRECTABLE)
    assert eventually(lambda: "cudaErrorECCUncorrectable" in faults(context).get("cuda:0", ""))
    assert eventually(lambda: get_job(context, job.id).state == "queued")
    assert get_job(context, job.id).attempts == 1
    waiting = post(context, dataset, epochs=1, device="auto", priority=50)
    assert not eventually(lambda: get_job(context, waiting.id).state != "queued", 1)  # it takes no job
    assert faults(context)

    lost.unlink()
    done = ended(context, waiting)
    assert done.state == "succeeded"
    assert done.result is not None
    assert done.result.device == "cuda:0"
    assert faults(context) == {}
    assert eventually(lambda: get_job(context, job.id).attempts == 2)


def test_a_device_that_never_computed_takes_no_job(tmp_path: Path, lost: Path, monkeypatch: pytest.MonkeyPatch):
    lost.write_text(str(losable_gpu.DEVICES_UNAVAILABLE))
    monkeypatch.setenv("PYTHONPATH", losable_gpu.in_children(tmp_path, lost))
    with workplace(tmp_path / "data", devices="cuda:0") as context, in_thread(context):
        assert eventually(lambda: "cudaErrorDevicesUnavailable" in faults(context).get("cuda:0", ""))
        job = post(context, upload(context), epochs=1, device="cuda")
        assert not eventually(lambda: get_job(context, job.id).state != "queued", 1)
        assert get_job(context, job.id).attempts == 0


def test_the_worker_logs_what_there_is_to_say_of_its_gpu_once(context: Context, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "service.doctor")

    def told() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "service.doctor"]

    assert eventually(told)
    dataset = upload(context)
    for _ in range(2):  # each of which lets another child warm up
        ended(context, post(context, dataset, epochs=1, device="cuda"))
    [line] = told()
    assert re.match(r"cuda:0: an allocation, a kernel and a product work; [\d.]+ GiB free; [\d.,]+ GFLOP/s", line)


def test_out_of_memory_on_a_gpu_names_limit_and_estimate_and_ends_the_child_that_holds_it(
    tmp_path: Path, lost: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("PYTHONPATH", losable_gpu.in_children(tmp_path, lost))
    limit = 150_000
    with (
        workplace(tmp_path / "data", devices="cuda:0", device_memory_bytes=limit) as context,
        in_thread(context),
        caplog.at_level(logging.INFO),
    ):
        dataset = upload(context)
        wide = post(context, dataset, epochs=1, device="cuda", network={"layers": [{"units": 4000}]})
        error = ended(context, wide).error
        assert error is not None
        assert error.code == "out_of_memory"
        assert f"{limit} bytes of a GPU's memory" in error.message
        assert re.search(r"it was estimated to need \d+ bytes$", error.message)
        assert get_job(context, wide.id).attempts == 1
        [child] = re.findall(r"in process (\d+)", caplog.text)
        assert eventually(lambda: gone(int(child)))
        assert ended(context, post(context, dataset, epochs=1, device="cuda")).state == "succeeded"
        assert faults(context) == {}


def test_each_gpu_has_one_child_and_the_jobs_that_name_it(tmp_path: Path, lost: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", losable_gpu.in_children(tmp_path, lost))
    with (
        workplace(tmp_path / "data", devices="cuda:0,cuda:1", poll_seconds=0.02) as context,
        in_thread(context),
    ):
        dataset = upload(context)
        on_one = [post(context, dataset, epochs=1, device="cuda:1") for _ in range(3)]
        held = training(context, post(context, dataset, epochs=1_000_000, device="cuda:1"))
        for job in on_one:
            result = ended(context, job).result
            assert result is not None
            assert result.device == "cuda:1"
        behind = post(context, dataset, epochs=1, device="cuda:1")
        beside = ended(context, post(context, dataset, epochs=1, device="auto")).result
        assert beside is not None
        assert beside.device == "cuda:0"  # the one that is free
        assert get_job(context, behind.id).state == "queued"  # and not the one that it names
        assert get_job(context, held.id).state == "running"


def messages(assignment: dict[str, Any]) -> list[Message]:
    return [m for m in runner.messages_of(assignment, Wish(), Tables()) if m[0] not in ("progress", "metrics", "log")]


@pytest.mark.parametrize("number", [100, 46, 214, 719, 999])
def test_any_error_of_a_lost_device_is_told_as_one(
    assign: Make, lost: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    monkeypatch.setitem(sys.modules, "cupy", LosableGpu(lost))
    given = assign(epochs=2, device="auto").model_dump(mode="json") | {"device": "cuda:0"}
    lost.write_text(str(number))
    (kind, told), (final, failed) = messages(given)
    assert (kind, final, failed["code"]) == ("device", "failed", "device_failed")
    assert "cuda:0" in told["fault"]
    assert "CUDARuntimeError: cudaError" in told["fault"]


def test_an_error_of_a_device_that_still_computes_is_the_job_s_own(
    assign: Make, lost: Path, monkeypatch: pytest.MonkeyPatch
):
    gpu = LosableGpu(lost)
    monkeypatch.setitem(sys.modules, "cupy", gpu)
    monkeypatch.setattr("service.training.course.samples_of", lambda *_: 1 // 0)
    given = assign(epochs=2, device="auto").model_dump(mode="json") | {"device": "cuda:0"}
    [(final, failed)] = messages(given)
    assert (final, failed["code"]) == ("failed", "internal_error")
    assert "ZeroDivisionError" in failed["message"]


def test_a_job_that_names_another_device_which_is_lost_fails(assign: Make, lost: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cupy", LosableGpu(lost))
    lost.write_text(str(losable_gpu.NO_DEVICE))
    given = assign(epochs=2, device="cuda:0").model_dump(mode="json")  # the worker's own is the CPU
    [(final, failed)] = messages(given)
    assert (final, failed["code"]) == ("failed", "device_unavailable")


def test_no_array_of_a_job_is_left_when_its_gpus_memory_is_given_back(
    assign: Make, lost: Path, monkeypatch: pytest.MonkeyPatch
):
    gpu = LosableGpu(lost)
    monkeypatch.setitem(sys.modules, "cupy", gpu)
    left: list[int] = []

    def count() -> int:
        return sum(type(each) is StandInArray for each in gc.get_objects())

    for pool in (gpu.get_default_memory_pool(), gpu.get_default_pinned_memory_pool()):
        monkeypatch.setattr(pool, "free_all_blocks", lambda: left.append(count()))
    before = count()
    given = assign(epochs=2, device="auto").model_dump(mode="json") | {"device": "cuda:0"}
    gc.disable()  # so that nobody collects by chance
    try:
        [(final, _)] = messages(given)
        assert count() > before
        runner._free_device_memory()
    finally:
        gc.enable()
    assert final == "done"
    assert left == [before] * 2


def test_a_child_that_waits_looks_at_its_device(lost: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cupy", LosableGpu(lost))
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.01)
    assignments: SimpleQueue[dict[str, Any]] = SimpleQueue()
    told: list[Message] = []

    class Outbox(runner.Outbox):
        def put(self, message: Message) -> None:
            told.append(message)
            assignments.put({"the": "next"})

    lost.write_text(str(losable_gpu.UNKNOWN))
    assert runner._next(assignments, "cuda:0", Outbox(None)) == {"the": "next"}  # type: ignore[arg-type] -- it says nothing
    [(kind, data)] = told
    assert kind == "device"
    assert "cudaErrorUnknown" in data["fault"]
