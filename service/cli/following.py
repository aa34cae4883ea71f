"""Following a job of a service from the shell: its progress, its events, its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from service.cli.models import measures
from service.cli.options import INTERRUPTED, NOT_TRAINED, connected, fail

if TYPE_CHECKING:
    from rich.console import Console

    from service.client import Client, LivePrediction
    from service.client import Event as LiveEvent
    from service.jobs.schemas import Event, Job
    from service.predictions.schemas import Prediction


def interruptible(run: Callable[[], None]) -> None:
    """Let a signal end what only looks at a job; the job goes on."""
    from service.terminal.interrupting import apart, stops_on_signals

    try:
        with stops_on_signals():
            apart(run)
    except KeyboardInterrupt:
        typer.echo("\x1b[?25h" if _on_a_terminal() else "", err=True, nl=False)  # a progress bar hides the cursor
        typer.echo("deltabar: the job goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _on_a_terminal() -> bool:
    import sys

    return sys.stderr.isatty()


def to_its_end(job_id: str, url: str | None, key_file: Path | None, *, as_json: bool) -> None:
    """Follow the job, and end the program with the reason where it hasn't succeeded."""
    with connected(url, key_file) as client:
        interruptible(lambda: print_events(client.jobs.events(job_id)) if as_json else _follow(client, job_id))
        check_success(client.jobs.get(job_id))


def check_success(job: Job | Prediction) -> None:
    """End the program with the reason where the job hasn't succeeded."""
    if job.state != "succeeded":
        why = f": {job.error.message}" if job.error else ""
        fail(f"{job.id} {_ENDS.get(job.state, f'is {job.state}')}{why}", NOT_TRAINED)


_ENDS = {"failed": "has failed", "cancelled": "was cancelled"}


def print_events(events: Iterable[LiveEvent]) -> None:
    """Print events as JSON, one a line."""
    import json
    from dataclasses import asdict

    for event in events:
        typer.echo(json.dumps(asdict(event), ensure_ascii=False))


def follow_rows(prediction: LivePrediction[Any], console: Console) -> None:
    """Show how many rows of a prediction are done, until it ends."""
    from service.terminal.progress import Progressing

    with Progressing(console, prediction.rows, prediction.state) as progress:
        for event in prediction.events():
            if event.kind == "rows":
                progress.rows(event.data)
            elif event.kind == "state":
                progress.say(" ".join([event.data["state"], *_reasons(event.data)]))


def plain_console(*, stderr: bool = False) -> Console:
    """Return where progress is shown, in words as they are."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True)


def _follow(client: Client, job_id: str) -> None:
    from service.terminal.curve import draw
    from service.terminal.progress import Progressing

    console = plain_console()
    job = client.jobs.get(job_id)
    console.print(f"{job.id}: {job.spec.task} of {job.spec.target}, {job.spec.epochs} epochs")
    with Progressing(console, job.spec.epochs, job.state) as progress:
        for event in client.jobs.events(job_id):
            if event.kind == "metrics":
                progress.epoch(event.data)
            elif event.kind == "log":
                progress.say(event.data["message"])
            elif event.kind == "state":
                progress.say(" ".join([event.data["state"], *_reasons(event.data)]))
    draw(client.jobs.metrics(job_id, max_points=1000).columns, console)
    job = client.jobs.get(job_id)
    if job.result:
        console.print(f"On the {job.result.n_validation} held-out rows: {measures(job.result.metrics)}.")
        console.print(f"The model is {job.model_id}; deltabar models download {job.model_id} fetches it.")


def _reasons(data: dict[str, Any]) -> list[str]:
    attempt = [f"(attempt {data['attempt']})"] if "attempt" in data else []
    error = [f"{data['error'].get('code')}: {data['error'].get('message')}"] if data.get("error") else []
    return [*attempt, *([data["message"]] if data.get("message") else []), *error]


def line_of(event: Event) -> str:
    """Return an event as a line of a log."""
    from service.terminal.listing import moment

    match event.kind:
        case "state":
            said = " ".join([event.data["state"], *_reasons(event.data)])
        case "log":
            said = event.data["message"]
        case _:
            said = "  ".join(f"{name} {value}" for name, value in event.data.items() if value is not None)
    return f"{moment(event.created_at)}  {event.kind:10}  {said}"
