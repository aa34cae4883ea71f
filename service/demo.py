"""What `deltabar demo` does: the whole way, from a CSV file to predictions, through a real service over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from service.client import Client, DeltabarError
from service.jobs.schemas import Job
from service.models.schemas import Predictions
from service.terminal.interrupting import apart, stops_on_signals
from service.terminal.progress import Progressing, number

TARGET = "species"
LEAST_ACCURACY = 0.97
START_PATIENCE, STOP_PATIENCE = 60.0, 60.0
NOT_FOR_THE_DEMO = ("DELTABAR_HOST", "DELTABAR_REQUIRE_KEYS", "DELTABAR_DATABASE_URL")
TABLE_ROWS = 10
SERVE = ("serve", "--port", "0", "--watch-stdin", "--json")

MEASURES = {"loss": "loss", "validation loss": "validation_loss", "accuracy": "accuracy"}

# Three birds that are not in the table; one of them was not weighed.
BIRDS = [
    {"island": "Torgersen", "bill_length_mm": 38.9, "bill_depth_mm": 18.4, "flipper_length_mm": 190,
     "body_mass_g": 3700, "sex": "female", "year": 2008},
    {"island": "Biscoe", "bill_length_mm": 47.6, "bill_depth_mm": 15.0, "flipper_length_mm": 217,
     "body_mass_g": None, "sex": "male", "year": 2009},
    {"island": "Dream", "bill_length_mm": 49.2, "bill_depth_mm": 18.6, "flipper_length_mm": 195,
     "body_mass_g": 3750, "sex": "male", "year": 2007},
]  # fmt: skip


class DemoFailed(Exception):  # noqa: N818 -- it reads as the sentence that it is
    """The demo didn't do what it is to show; the message says what went wrong and what to do."""


def run(data: Path, output: Path, console: Console) -> dict[str, Any]:
    """Train on `data`, write weights, loss curve and the service's log to `output`, and print what comes back.

    Returns:
        The same, as a document: the job as the API describes it, the files, and the predictions.

    Raises:
        DemoFailed: when the table is missing, the service fails, or the accuracy is under 0.97.
    """
    if not data.is_file():
        raise DemoFailed(
            f"there is no file {data}. The demo trains on the Palmer penguins, which come with deltabar: leave the "
            "file out."
        )
    log = output / "service.log"
    try:
        output.mkdir(parents=True, exist_ok=True)
        with _service(log) as url:
            console.print(f"The service listens on {url}")
            shown = apart(lambda: _show(url, console, data, output))
    except KeyboardInterrupt:
        console.show_cursor()  # a progress bar hides it
        console.print("Interrupted; the service has stopped.")
        raise
    except (DeltabarError, OSError) as error:
        hint = f"\nThe service's log is {log}." if log.exists() else ""
        raise DemoFailed(f"{error}{hint}") from error
    console.print("The service has stopped.")
    return shown


@contextlib.contextmanager
def _service(log: Path) -> Iterator[str]:
    """Run `deltabar serve` on a free port, with data of its own that go with it, and yield its address."""
    with tempfile.TemporaryDirectory(prefix="deltabar-demo-") as data_dir, log.open("w") as errors, stops_on_signals():
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *SERVE, "--data-dir", data_dir],
            stdin=subprocess.PIPE,  # ends with this process, however that goes, and the service with it
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={name: value for name, value in os.environ.items() if name not in NOT_FOR_THE_DEMO},
            start_new_session=True,  # Ctrl-C is for this process, which stops the service in order
        )
        try:
            yield _address(process, log)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(STOP_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
    if code != 0:
        raise DemoFailed(f"the service didn't stop in order (exit code {code}). Its log is {log}.")


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise DemoFailed(f"the service didn't start. Its log, {log}, ends with:\n{log.read_text()[-1000:]}")
    url = json.loads(line)["url"]
    with Client(url, api_key="") as client:
        deadline = time.monotonic() + START_PATIENCE
        while not client.ready():
            if time.monotonic() > deadline:
                raise DemoFailed(f"the service isn't ready after {START_PATIENCE:.0f} s. Its log is {log}.")
            time.sleep(0.05)
    return url


def _show(url: str, console: Console, data: Path, output: Path) -> dict[str, Any]:
    with Client(url, api_key="") as client:
        return _train(client, console, data, output)


def _train(client: Client, console: Console, data: Path, output: Path) -> dict[str, Any]:
    dataset = client.datasets.upload(data)
    console.print(f"Uploaded {data}: {dataset.rows} rows, {len(dataset.columns)} columns, {dataset.id}")
    job = client.jobs.create(dataset_id=dataset.id, target=TARGET)
    console.print(f"Posted {job.id}: {job.spec.task} of {TARGET}, {job.spec.epochs} epochs")
    follow(client, console, job)
    job = client.jobs.get(job.id)
    if job.state != "succeeded" or job.result is None or job.model_id is None:
        reason = f"{job.error.code}: {job.error.message}" if job.error else "nobody asked for that"
        raise DemoFailed(f"the job has {job.state} ({reason}).")

    _print_curve(client, console, job.id)
    accuracy = job.result.metrics.get("accuracy") or 0.0
    console.print(
        f"Accuracy on the {job.result.n_validation} held-out rows: {accuracy:.4f}. Trained "
        f"{job.result.n_parameters} parameters on {job.result.n_train} rows in {job.result.seconds:.2f} s "
        f"on {job.result.device}."
    )
    files = [client.models.download_weights(job.model_id, output / "weights.safetensors")]
    console.print(f"Weights     {files[0]}")
    for format in ("csv", "png"):
        files.append(output / f"loss-curve.{format}")
        files[-1].write_bytes(client.jobs.loss_curve(job.id, format))
        console.print(f"Loss curve  {files[-1]}")
    predictions = client.models.predict(job.model_id, BIRDS)
    _print_predictions(predictions, client.models.get(job.model_id).classes or [], console)
    if accuracy < LEAST_ACCURACY:
        raise DemoFailed(f"the accuracy {accuracy:.4f} on held-out rows is under {LEAST_ACCURACY}.")
    documents = {"job": job.model_dump(mode="json"), "predictions": predictions.model_dump(mode="json")["data"]}
    return documents | {"files": [str(path) for path in files]}


def follow(client: Client, console: Console, job: Job) -> None:
    """Show the job's events as they come: a bar on a terminal, else some lines."""
    with Progressing(console, job.spec.epochs, "waiting for the worker") as progress:
        for event in client.jobs.events(job.id):
            if event.kind == "metrics":
                progress.epoch(event.data)
            elif event.kind == "log":
                progress.say(event.data["message"])


def _print_curve(client: Client, console: Console, job_id: str) -> None:
    columns = client.jobs.metrics(job_id).columns
    n = len(columns["epoch"])
    table = Table("epoch", "training loss", "validation loss", "accuracy", title="Loss curve")
    for column in table.columns:
        column.justify = "right"
    for row in sorted({round(k * (n - 1) / (TABLE_ROWS - 1)) for k in range(TABLE_ROWS)}):
        table.add_row(
            str(columns["epoch"][row]), *(number(columns[name][row]) for name in MEASURES.values() if name in columns)
        )
    console.print(table)


def _print_predictions(predictions: Predictions, classes: list[str], console: Console) -> None:
    table = Table("island", "flipper", "mass", "predicted", *classes, title="Three new birds, with probabilities")
    for bird, prediction in zip(BIRDS, predictions.data, strict=True):
        mass = "missing" if bird["body_mass_g"] is None else f"{bird['body_mass_g']} g"
        answer = prediction.model_dump()
        shares = [f"{answer['probabilities'][label]:.3f}" for label in classes]
        table.add_row(str(bird["island"]), f"{bird['flipper_length_mm']} mm", mass, answer["label"], *shares)
    console.print(table)
