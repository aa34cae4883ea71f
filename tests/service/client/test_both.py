"""What the two clients have in common, which is all: each test runs with the one that blocks and the one to await."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import core
from service.client import AsyncClient, Client, DeltabarError, LiveJob, LivePrediction
from service.jobs.schemas import Job
from tests.service.client.cutting import answering, cut_off, listening
from tests.service.conftest import PENGUINS
from tests.service.processes import PATIENCE, Serving


class Blocked:
    """A client that blocks, to be awaited: so that the same test runs with both."""

    def __init__(self, of: Any) -> None:
        self._of = of

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._of, name)
        if not callable(value):
            return Blocked(value)

        def call(*arguments: Any, **named: Any) -> Any:
            result = value(*arguments, **named)
            return _items(result) if inspect.isgenerator(result) else _done(result)

        return call


async def _done(result: Any) -> Any:
    return result


async def _items(items: Iterator[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


Run = Callable[[str, Callable[[Any], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(params=["blocking", "awaiting"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test's coroutine with a client of the service at an address."""

    def blocking(url: str, test: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        with Client(url, timeout=PATIENCE) as client:
            return asyncio.run(test(Blocked(client)))

    def awaiting(url: str, test: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        async def go() -> Any:
            async with AsyncClient(url, timeout=PATIENCE) as client:
                return await test(client)

        return asyncio.run(go())

    return blocking if request.param == "blocking" else awaiting


async def all_of(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def live(client: Any, job: Any) -> Any:
    """The job's own methods, to be awaited."""
    return Blocked(job) if isinstance(client, Blocked) else job


def test_the_way_of_a_job(run: Run, service: Serving, tmp_path: Path):
    async def test(client: Any) -> None:
        assert await client.ready()
        assert "deltabar_jobs" in (await client.request("GET", "/metrics")).text
        sent: list[tuple[int, int]] = []
        dataset = await client.datasets.upload(PENGUINS, progress=lambda *progress: sent.append(progress))
        assert sent[-1] == (PENGUINS.stat().st_size,) * 2
        assert (await client.datasets.preview(dataset.id, rows=2)).rows[0][0] == "Adelie"
        assert (await client.datasets.download(dataset.id, tmp_path / "copy")).read_bytes() == PENGUINS.read_bytes()
        spec = {"dataset_id": dataset.id, "target": "species", "epochs": 3}
        report = await client.jobs.validate(**spec)
        assert report.valid
        job = await client.jobs.create(**spec)
        assert job.spec == report.spec
        ended = await live(client, job).wait(timeout=PATIENCE)
        assert isinstance(ended, LiveJob)
        assert ended.state == "succeeded"
        assert ended == await client.jobs.get(job.id)
        events = await all_of(live(client, ended).events())
        assert events[-1].data["model_id"] == ended.model_id
        assert [event.sequence for event in (await client.jobs.history(job.id)).data] == [e.sequence for e in events]
        assert (await client.jobs.list(limit=1, state=["succeeded"])).data == [ended]

        network = await client.models.network(ended.model_id)
        assert isinstance(network, core.Network)
        path = await client.models.download_weights(ended.model_id, tmp_path / "weights.safetensors")
        weights = core.load(path).state_dict()
        for name, tensor in network.state_dict().items():
            np.testing.assert_array_equal(tensor, weights[name])
        by_row = await client.models.predict(ended.model_id, [{"flipper_length_mm": 217}, {"sex": None}])
        by_column = await client.models.predict(ended.model_id, {"flipper_length_mm": [217, None]})
        assert by_row == by_column
        assert (await client.models.evaluate(ended.model_id, dataset.id)).rows == 344
        await client.models.delete(ended.model_id)
        assert (await live(client, job).wait()).model_id is None
        await client.jobs.delete(job.id)
        with pytest.raises(DeltabarError, match="404 job_not_found"):
            await client.jobs.get(job.id)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "weights.safetensors"]

    run(service.url, test)


def test_the_way_of_a_prediction(run: Run, service: Serving, penguins_job: Job, tmp_path: Path):
    async def test(client: Any) -> None:
        asked = {"model_id": penguins_job.model_id, "dataset_id": penguins_job.dataset_id}
        made = await client.predictions.create(**asked, idempotency_key=f"once {tmp_path.name}")
        again = await client.predictions.create(**asked, idempotency_key=f"once {tmp_path.name}")
        assert made.id == again.id
        ended = await live(client, made).wait(timeout=PATIENCE)
        assert isinstance(ended, LivePrediction)
        assert ended.state == "succeeded"
        assert ended == await client.predictions.get(made.id)
        events = await all_of(live(client, ended).events())
        assert [event.data["rows_done"] for event in events if event.kind == "rows"][-1] == 344
        history = (await client.predictions.history(made.id)).data
        assert [event.sequence for event in history] == [event.sequence for event in events]
        path = await live(client, ended).download(tmp_path / "predictions.csv")
        assert path.read_text().startswith("species,")
        assert (await client.predictions.list(limit=1)).data == [ended]
        await client.predictions.delete(made.id)

    run(service.url, test)


def test_a_prediction_whose_answer_is_lost_is_asked_for_again_and_queued_once(
    run: Run, service: Serving, penguins_job: Job
):
    async def test(behind: Any) -> Any:
        return await behind.predictions.create(
            model_id=penguins_job.model_id, dataset_id=penguins_job.dataset_id, priority=7
        )

    with cut_off(service, [10, 10]) as (url, connections):
        made = run(url, test)
    assert len(connections) == 3
    with Client(service.url, timeout=PATIENCE) as client:
        assert client.predictions.wait(made.id, timeout=PATIENCE).state == "succeeded"
        mine = [each for each in client.predictions.list(limit=100).data if each.priority == 7]
        assert [each.id for each in mine] == [made.id]
        client.predictions.delete(made.id)


def test_a_job_is_cancelled_by_itself(run: Run, service: Serving, penguins_job: Job):
    async def test(client: Any) -> None:
        job = await client.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=10**6)
        with pytest.raises(TimeoutError, match=job.id):
            await live(client, job).wait(timeout=0.1)
        await live(client, job).cancel()
        assert (await live(client, job).wait(timeout=PATIENCE)).state == "cancelled"

    run(service.url, test)


def test_a_broken_stream_is_taken_up_where_it_broke(run: Run, service: Serving, client: Client, penguins_job: Job):
    expected = list(client.jobs.events(penguins_job.id))

    async def test(behind: Any) -> None:
        assert await all_of(behind.jobs.events(penguins_job.id)) == expected

    with cut_off(service, [400, 450, 10, 600]) as (url, connections):
        run(url, test)
    assert len(connections) >= 5


def test_waiting_outlasts_a_lost_connection(run: Run, service: Serving, penguins_job: Job):
    async def test(behind: Any) -> None:
        assert (await behind.jobs.wait(penguins_job.id, timeout=PATIENCE)).id == penguins_job.id

    with cut_off(service, [10, 10]) as (url, connections):
        run(url, test)
    assert len(connections) == 3


def test_a_job_whose_answer_is_lost_is_asked_for_again_and_queued_once(run: Run, service: Serving, penguins_job: Job):
    async def test(behind: Any) -> Any:
        return await behind.jobs.create(dataset_id=penguins_job.dataset_id, target="species", epochs=1, seed=77)

    with cut_off(service, [10, 10]) as (url, connections):
        job = run(url, test)
    assert len(connections) == 3
    with Client(service.url, timeout=PATIENCE) as client:
        assert client.jobs.wait(job.id, timeout=PATIENCE).state == "succeeded"
        mine = [each for each in client.jobs.list(limit=100).data if each.spec.seed == 77]
        assert [each.id for each in mine] == [job.id]
        client.jobs.delete(job.id)


def test_a_download_that_is_cut_off_leaves_no_file(run: Run, service: Serving, penguins_job: Job, tmp_path: Path):
    async def test(behind: Any) -> None:
        with pytest.raises(ConnectionError):
            await behind.models.download_weights(penguins_job.model_id, tmp_path / "weights.safetensors")

    with cut_off(service, [5000]) as (url, _):
        run(url, test)
    assert list(tmp_path.iterdir()) == []


def test_refusals_and_answers_of_others(run: Run, service: Serving):
    async def refused(client: Any) -> None:
        with pytest.raises(DeltabarError, match="404 job_not_found"):
            await all_of(client.jobs.events("job_" + "0" * 32))

    async def not_ours(client: Any) -> None:
        with pytest.raises(DeltabarError, match="502 http_502: <html"):
            await client.jobs.get("job_1")

    async def nobody(client: Any) -> None:
        assert not await client.ready()
        with pytest.raises(ConnectionError, match="deltabar serve"):
            await client.jobs.get("job_1")

    run(service.url, refused)
    with answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\n<html") as url:
        run(url, not_ours)
    with listening(lambda connection, _: connection.close()) as (url, _):
        run(url, nobody)


def test_the_address_comes_from_the_environment(service: Serving, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DELTABAR_URL", service.url)
    with Client() as client:
        assert client.ready()


def test_leaving_an_iteration_closes_its_connection(service: Serving, client: Client, penguins_job: Job):
    events = client.jobs.events(penguins_job.id)
    assert next(events).sequence == 1
    events.close()
    assert client.jobs.get(penguins_job.id) == penguins_job
