"""The database is away, locked or full: what the API says meanwhile, and that work goes on afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from service import tables
from service.context import Context
from service.jobs import held, queue
from service.jobs.schemas import Job
from service.models.predictor import WEIGHTS
from tests.service.history import ended, history_of, states_of, training
from tests.service.jobs.api.asking import post, problem
from tests.service.live import live
from tests.service.obstacles import KIB, fill, locked, small_disk
from tests.service.postgresql import Server
from tests.service.test_worker_processes import worker_on
from tests.service.workplace import PENGUINS, upload, workplace
from tests.service.workplace import post as post_job


def uploaded(http: httpx.Client) -> str:
    return http.post("/v1/datasets", params={"name": "penguins"}, content=PENGUINS.read_bytes()).json()["id"]


def test_a_lock_held_for_too_long_is_a_503_and_reading_goes_on(tmp_path: Path):
    path = tmp_path / "tables.db"
    with live(tmp_path / "data", database_url=f"sqlite:///{path}?timeout=0.1") as (http, _):
        dataset_id = uploaded(http)
        with locked(path):
            answer = http.post("/v1/jobs", json={"dataset_id": dataset_id, "target": "species"})
            assert "Another process" in problem(answer, 503, "database_locked")["detail"]
            assert int(answer.headers["retry-after"]) > 0
            problem(http.post("/v1/datasets", content=b"a,b\n1,2\n"), 503, "database_locked")
            assert http.get("/v1/jobs").json()["data"] == []
        assert http.get("/v1/datasets").json()["data"] == [http.get(f"/v1/datasets/{dataset_id}").json()]
        assert post(http, dataset_id)["state"] == "queued"


def test_a_restarted_server_costs_no_request(tmp_path: Path, fragile: Server):
    with fragile.database() as url, live(tmp_path, database_url=url) as (http, _):
        dataset_id = uploaded(http)
        for mode in ("fast", "immediate"):
            fragile.stop(mode)
            for answer in (
                http.get("/v1/jobs"),
                http.get(f"/v1/datasets/{dataset_id}"),
                http.post("/v1/jobs", json={"dataset_id": dataset_id, "target": "species"}),
                http.post("/v1/datasets", content=b"a,b\n1,2\n"),
                http.delete(f"/v1/datasets/{dataset_id}"),
            ):
                assert "Nothing was changed" in problem(answer, 503, "database_unavailable")["detail"]
                assert int(answer.headers["retry-after"]) > 0
            problem(http.get("/readyz"), 503, "not_ready")
            assert http.get("/healthz").status_code == 200
            fragile.start()
            assert [item["id"] for item in http.get("/v1/datasets").json()["data"]] == [dataset_id]
        assert post(http, dataset_id)["state"] == "queued"


def test_a_stream_outlives_a_restart(tmp_path: Path, fragile: Server):
    with fragile.database() as url, live(tmp_path, database_url=url, poll_seconds=0.02) as (http, context):
        job = post(http, uploaded(http))
        with http.stream("GET", f"/v1/jobs/{job['id']}/events/stream") as answer:
            lines = answer.iter_lines()
            assert next(line for line in lines if line.startswith("id:")) == "id: 1"
            fragile.stop("immediate")
            fragile.start()
            lease = queue.claim(context.database, lease_seconds=30)
            assert lease is not None
            held.fail(context.database, lease, "code", "message")
            rest = [line for line in lines if line.startswith("id:")]
        assert rest == ["id: 2", "id: 3"]


def test_a_full_disk_is_a_507_and_all_is_well_when_there_is_room(tmp_path: Path):
    with small_disk(tmp_path / "disk", 4096 * KIB) as disk, live(disk / "data") as (http, context):
        dataset_id = uploaded(http)
        fill(disk / "filler")
        problem(http.post("/v1/datasets", content=b"a,b\n" + b"1,2\n" * 100_000), 507, "storage_full")
        refused = 0
        for _ in range(50):  # the log of SQLite has a little room left
            answer = http.post("/v1/jobs", json={"dataset_id": dataset_id, "target": "species"})
            if answer.status_code != 202:
                assert "no space left" in problem(answer, 507, "storage_full")["detail"]
                refused += 1
        assert refused
        posted = [job["id"] for job in http.get("/v1/jobs", params={"limit": 100}).json()["data"]]
        assert len(posted) == 50 - refused
        (disk / "filler").unlink()
        assert http.post("/v1/datasets", content=b"a,b\n1,2\n").status_code == 201
        posted.append(post(http, dataset_id)["id"])
        assert list(context.storage.path("drafts").iterdir()) == []


def test_jobs_outlive_a_server_that_dies_again_and_again(tmp_path: Path, fragile: Server):
    """Two workers, and a server that dies under them: each job succeeds once, with the undisturbed weights."""
    spec: dict[str, Any] = {"epochs": 300, "batch_size": 4}
    with workplace(tmp_path / "calm" / "data") as calm, worker_on(calm):
        expected = weights_of(calm, ended(calm, post_job(calm, upload(calm), **spec)))
    folder = tmp_path / "rough" / "data"
    with fragile.database() as url, workplace(folder, database_url=url) as rough:
        dataset = upload(rough)
        jobs = [post_job(rough, dataset, **spec) for _ in range(4)]
        with worker_on(rough), worker_on(rough):
            for job, mode in zip(jobs, ("immediate", "fast", "immediate"), strict=False):
                training(rough, job)
                fragile.stop(mode)
                fragile.start()
            done = [ended(rough, job) for job in jobs]
        for job in done:
            assert (job.state, job.attempts) == ("succeeded", 1), job.error
            assert states_of(rough, job) == ["queued", "running", "succeeded"]
            history = history_of(rough, job.id)
            assert [sequence for sequence, _, _ in history] == list(range(1, len(history) + 1))
            assert weights_of(rough, job) == expected


def weights_of(context: Context, job: Job) -> bytes:
    with context.database.read() as session:
        model = session.get_one(tables.Model, job.model_id)
    return (context.storage.path(model.folder) / WEIGHTS).read_bytes()
