"""The Python client, against a real service."""

from __future__ import annotations

import csv
import io
import socket
from pathlib import Path

import pytest

import core
from service.client import Client, DeltabarError
from service.event_stream import Message, Messages
from service.jobs.schemas import Job
from tests.service.client.cutting import cut_off
from tests.service.conftest import PENGUINS
from tests.service.processes import PATIENCE, Serving


def test_the_way_of_a_job(client: Client, penguins_job: Job, tmp_path: Path):
    assert penguins_job.result is not None
    assert penguins_job.model_id is not None
    accuracy = penguins_job.result.metrics["accuracy"]
    assert accuracy is not None
    assert accuracy >= 0.97
    assert client.jobs.get(penguins_job.id) == penguins_job

    columns = client.jobs.metrics(penguins_job.id).columns
    assert columns["epoch"] == list(range(1, 101))
    assert columns["loss"][-1] == penguins_job.result.loss
    curve = list(csv.DictReader(io.StringIO(client.jobs.loss_curve(penguins_job.id, "csv").decode())))
    assert float(curve[-1]["validation_loss"]) == penguins_job.result.validation_loss
    assert client.jobs.loss_curve(penguins_job.id, "png").startswith(b"\x89PNG")
    assert b"<svg" in client.jobs.loss_curve(penguins_job.id, "svg")

    model = client.models.get(penguins_job.model_id)
    assert model.classes == ["Adelie", "Chinstrap", "Gentoo"]
    card = client.models.card(model.id)
    assert card.data["train"].sha256 == client.datasets.get(penguins_job.dataset_id).sha256
    assert card.scores["validation"].metrics == model.metrics == penguins_job.result.metrics
    assert all(each.dot_test.passed and each.directional.passed for each in card.certificates)
    predictions = client.models.predict(model.id, [{"bill_length_mm": 38.9, "island": "Torgersen", "sex": None}])
    assert predictions.data[0].model_dump()["label"] == "Adelie"
    path = client.models.download_weights(model.id, tmp_path / "weights.safetensors")
    assert core.load(path).n_parameters == model.n_parameters
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_bytes_are_the_same_data_set(client: Client, penguins_job: Job):
    said: list[tuple[int, int]] = []
    dataset = client.datasets.upload(PENGUINS, name="again", progress=lambda sent, size: said.append((sent, size)))
    assert dataset.id == penguins_job.dataset_id
    assert said[-1] == (PENGUINS.stat().st_size,) * 2
    assert client.datasets.get(dataset.id).rows == 344


def test_lists_and_deletion(client: Client, tmp_path: Path):
    path = tmp_path / "tiny.csv"
    path.write_text("x,y\n" + "1,a\n2,b\n" * 10)
    dataset = client.datasets.upload(path)
    assert dataset.name == "tiny.csv"
    jobs = [client.jobs.create(dataset_id=dataset.id, target="y", epochs=1, seed=seed) for seed in range(3)]
    for job in jobs:
        client.jobs.wait(job.id, timeout=PATIENCE)
    assert [job.id for job in client.jobs.list(limit=2, state="succeeded").data] == [jobs[2].id, jobs[1].id]
    assert client.jobs.list(limit=1, after=jobs[1].id).data[0].id == jobs[0].id
    assert client.models.list(limit=1).data[0].job_id == jobs[2].id
    for job in jobs:
        client.jobs.delete(job.id)
    client.datasets.delete(dataset.id)
    assert dataset.id not in [dataset.id for dataset in client.datasets.list().data]
    with pytest.raises(DeltabarError, match="job_not_found"):
        client.jobs.get(jobs[0].id)


def test_wait_gives_up_and_cancel_ends_the_job(client: Client, penguins_job: Job):
    job = client.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=1_000_000)
    with pytest.raises(TimeoutError, match=r"running|queued"):
        client.jobs.wait(job.id, timeout=0.3)
    assert client.jobs.cancel(job.id).id == job.id
    assert client.jobs.wait(job.id, timeout=PATIENCE).state == "cancelled"
    assert list(client.jobs.events(job.id))[-1].data["state"] == "cancelled"


def test_a_refusal_reads_well(client: Client, penguins_job: Job):
    with pytest.raises(DeltabarError) as caught:
        client.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=0, dropout=0.5)
    error = caught.value
    assert (error.status, error.code) == (422, "invalid_request")
    assert [item.field for item in error.errors] == ["epochs", "dropout"]
    lines = str(error).splitlines()
    assert lines[0].startswith("422 invalid_request: ")
    assert "  epochs: " in lines[1]
    assert "given: 0" in lines[1]
    assert "allowed: ≥ 1" in lines[1]
    assert "dropout" in lines[2]


def test_an_error_before_the_download_leaves_no_file(client: Client, tmp_path: Path):
    with pytest.raises(DeltabarError, match="404 model_not_found"):
        client.models.download_weights("model_" + "0" * 32, tmp_path / "weights.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_no_service_is_a_connection_error_that_names_the_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Client(url) as client:
            assert not client.ready()
            with pytest.raises(ConnectionError, match=url):
                client.jobs.get("job_1")


def test_events_come_in_order_and_end_with_the_job(client: Client, penguins_job: Job):
    events = list(client.jobs.events(penguins_job.id))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [event.data["epoch"] for event in events if event.kind == "metrics"][-1] == 100
    assert events[-1].data["state"] == "succeeded"
    assert list(client.jobs.events(penguins_job.id, after=events[-3].sequence)) == events[-2:]
    assert list(client.jobs.events(penguins_job.id, after=events[-1].sequence)) == []


def test_a_stream_that_never_recovers_is_given_up(service: Serving, penguins_job: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("service.client.queued.RETRIES", 2)
    with cut_off(service, [10] * 50) as (url, connections), Client(url) as behind, pytest.raises(ConnectionError):
        list(behind.jobs.events(penguins_job.id))
    assert len(connections) == 3


def test_an_unknown_job_has_no_events(client: Client):
    with pytest.raises(DeltabarError, match="404 job_not_found"):
        next(client.jobs.events("job_" + "0" * 32))


def test_messages_may_come_in_any_pieces():
    stream = (
        'id: 1\nevent: log\ndata: {"message":"a\u2028b"}\n\n: still here\n\n'
        "id: 2\r\ndata:x\r\ndata: y\r\n\r\nid: 3\ndata: cut"
    )
    expected = [Message("1", "log", '{"message":"a\u2028b"}'), Message("2", "message", "x\ny")]
    raw = stream.encode()
    for size in (1, 2, 3, 7, len(raw)):
        messages = Messages()
        pieces = [raw[k : k + size] for k in range(0, len(raw), size)]
        assert [message for piece in pieces for message in messages.feed(piece)] == expected
