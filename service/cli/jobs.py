"""`deltabar jobs`: trainings of a service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service.cli.datasets import dataset_of
from service.cli.document import document
from service.cli.following import interruptible, line_of, to_its_end
from service.cli.models import measures
from service.cli.options import (
    After,
    AsJson,
    Force,
    KeyFile,
    Kinds,
    Limit,
    Read,
    Set,
    Spec,
    Url,
    check_free,
    connected,
    delete_each,
    print_json,
    tell_file,
)
from service.cli.panels import CLIENT

if TYPE_CHECKING:
    from service.client import Client, LiveJob

app = typer.Typer(
    name="jobs",
    help="Submit, list, watch and steer trainings.",
    no_args_is_help=True,
    rich_help_panel=CLIENT,
)
Id = Annotated[str, typer.Argument(help="The job's id.", metavar="ID")]
Ids = Annotated[list[str], typer.Argument(help="The jobs' ids.", metavar="ID…")]


@app.command()
def submit(
    data: Annotated[str, typer.Argument(help="The id of a data set, or a file, which is uploaded.", metavar="DATA")],
    target: Annotated[str | None, typer.Option(help="Name of the column to predict.", metavar="COLUMN")] = None,
    sets: Set = None,
    spec: Spec = None,
    kinds: Kinds = None,
    read: Read = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow it to its end, as `jobs watch` does.")] = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Queue a job, and print its id.

    Example: `deltabar jobs submit data.csv --target y --set epochs=50 --watch`
    """
    body = document(target, spec, sets)
    with connected(url, key_file) as client:
        job = client.jobs.create(**body | {"dataset_id": dataset_of(client, data, kinds, read)})
    if watch:
        to_its_end(job.id, url, key_file, as_json=as_json)
    elif as_json:
        print_json(job)
    else:
        typer.echo(job.id)


@app.command("list")
def list_jobs(
    limit: Limit = 20,
    after: After = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only these: queued, running, paused, succeeded, failed, cancelled.", metavar="STATE"),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Only those on this data set.", metavar="ID")] = None,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs, the newest first.

    Example: `deltabar jobs list --state running --state queued`
    """
    from service.terminal.listing import columns, moment

    with connected(url, key_file) as client:
        page = client.jobs.list(limit, after, state=state, dataset_id=dataset)
    if as_json:
        print_json(page)
        return
    rows = [
        (
            job.id,
            job.state,
            job.spec.target,
            f"{job.progress.epoch}/{job.progress.epochs}",
            measures(job.result.metrics) if job.result else None,
            moment(job.created_at),
        )
        for job in page.data
    ]
    typer.echo(columns(("ID", "STATE", "TARGET", "EPOCH", "METRICS", "POSTED"), rows))


@app.command()
def show(job_id: Id, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Show a job as it stands: how far it is, what it is to do, and what came of it.

    Example: `deltabar jobs show job_0193…`
    """
    with connected(url, key_file) as client:
        job = client.jobs.get(job_id)
    if as_json:
        print_json(job)
    else:
        _show(job)


@app.command()
def watch(job_id: Id, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Follow a job to its end: its progress, its loss curve and what came of it; with --json, one event a line.

    A connection that breaks is taken up again. Ctrl-C ends the watching, and not the job.

    Example: `deltabar jobs watch job_0193…`
    """
    to_its_end(job_id, url, key_file, as_json=as_json)


@app.command()
def logs(
    job_id: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="Also what is measured after epochs.")] = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Print a job's events: its states, its checkpoints and what it has said; with --json, one a line.

    Example: `deltabar jobs logs job_0193…`
    """
    with connected(url, key_file) as client:

        def run() -> None:
            after = 0
            while True:
                page = client.jobs.history(job_id, after)
                for event in page.data:
                    after = event.sequence
                    if metrics or event.kind != "metrics":
                        typer.echo(event.model_dump_json() if as_json else line_of(event))
                if page.has_more:
                    continue
                if not follow or next(client.jobs.events(job_id, after), None) is None:
                    return

        interruptible(run)


@app.command()
def curve(
    job_id: Id,
    format: Annotated[Literal["png", "svg", "csv"], typer.Option(help="A picture, or the numbers.")] = "png",
    output: Annotated[
        Path | None, typer.Option(help="The file. [default: the job's id, with the format]", metavar="FILE")
    ] = None,
    force: Force = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Write a job's loss curve to a file, whole or not at all, also while it trains.

    Example: `deltabar jobs curve job_0193… --format svg`
    """
    from service.local.writing import new

    path = output or Path(f"{job_id}.{format}")
    check_free(path, force)
    with connected(url, key_file) as client, new(path, force) as draft:
        draft.write_bytes(client.jobs.loss_curve(job_id, format))
    tell_file(path, as_json=as_json)


def _action(name: str, does: str) -> None:
    """Add the command that does something to jobs."""

    def act(ids: Ids, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
        _act(ids, url, key_file, lambda client, job_id: getattr(client.jobs, name)(job_id), as_json=as_json)

    act.__doc__ = f"{does}\n\nExample: `deltabar jobs {name} job_0193…`"
    app.command(name)(act)


_action("pause", "Let jobs wait where they are; a running one keeps a checkpoint first.")
_action("resume", "Let paused jobs go on, to the same bits as if they had never stopped.")


@app.command()
def retry(
    ids: Ids,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin anew, rather than go on from the last checkpoint.")
    ] = False,
    url: Url = None,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Queue failed or cancelled jobs again.

    Example: `deltabar jobs retry job_0193… --from-start`
    """
    _act(ids, url, key_file, lambda client, job_id: client.jobs.retry(job_id, from_start), as_json=as_json)


_action("cancel", "End jobs; what they have learned stays in their checkpoints until they are deleted.")


@app.command()
def delete(ids: Ids, url: Url = None, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Delete ended jobs with their events, checkpoints and models.

    Example: `deltabar jobs delete job_0193…`
    """
    delete_each(ids, url, key_file, lambda client, job_id: client.jobs.delete(job_id), as_json=as_json)


def _act(
    ids: list[str],
    url: str | None,
    key_file: Path | None,
    act: Callable[[Client, str], LiveJob[Any]],
    *,
    as_json: bool,
) -> None:
    jobs: list[Any] = []
    with connected(url, key_file) as client:
        for job_id in ids:
            job = act(client, job_id)
            jobs.append(job.model_dump(mode="json"))
            if not as_json:
                asked = f", and has been asked to {job.requested}" if job.requested else ""
                typer.echo(f"{job_id} is {job.state}{asked}")
    if as_json:
        print_json({"object": "list", "data": jobs})


def _show(job: LiveJob[Any]) -> None:
    from service.terminal.listing import moment, pairs
    from service.terminal.progress import number

    spec, result = job.spec, job.result
    layers = ", ".join(f"{layer.units} {layer.activation}" for layer in [*spec.network.layers, spec.output])
    told: dict[str, Any] = {
        "id": job.id,
        "state": job.state + (f", asked to {job.requested}" if job.requested else ""),
        "task": f"{spec.task} of {spec.target}",
        "data set": job.dataset_id,
        "network": layers,
        "loss": spec.loss.name,
        "optimizer": ", ".join(f"{name} {value}" for name, value in spec.optimizer.model_dump().items()),
        "epoch": f"{job.progress.epoch} of {job.progress.epochs}",
        "attempts": f"{job.attempts} of {job.max_attempts}",
        "posted": moment(job.created_at),
        "ended": moment(job.finished_at),
    }
    if job.error:
        told["error"] = f"{job.error.code}: {job.error.message}"
    if result:
        told["validation"] = f"loss {number(result.validation_loss)}, {measures(result.metrics)}"
        if result.n_test:
            told["test"] = f"loss {number(result.test_loss)}, {measures(result.test_metrics)}"
        told["took"] = f"{result.seconds:.2f} s on {result.device}"
        told["model"] = job.model_id
    typer.echo(pairs(told))
