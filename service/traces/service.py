"""One pass forward and back, as `core.Network.trace` has it: of a job's network on rows of its data, or the example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from sqlalchemy import select

import core
from service import tables
from service.context import Context
from service.datasets import service as datasets
from service.datasets.encoding import Encoding
from service.datasets.files import table_key
from service.datasets.parts import read_head, read_rows
from service.datasets.targets import LabelTarget, NumberTarget
from service.jobs.choices import LOSS
from service.jobs.schemas import Spec
from service.models.predictor import ENCODING, WEIGHTS
from service.problems import Problem, echo, invalid, not_found, plain
from service.schemas import FieldError
from service.traces.example import example
from service.traces.schemas import Check, Curve, LayerTrace, Trace

MOST_ROWS = 8
CURVE_REACH, CURVE_POINTS = 4.0, 81
ROWS_UNASKED, LOOKED_THROUGH = 3, 1000
MOST_NUMBERS = 200_000
"""Parameters times samples: the parts that the samples have in the gradient are most of what is answered."""


@dataclass(frozen=True)
class _Source:
    """The weights of a job as they are kept: those of its model, or else of its last checkpoint."""

    id: str
    folder: Path
    epoch: int | None
    spec: Spec
    dataset_id: str


def trace_of_example() -> Trace:
    """Return the pass of the design's example."""
    network, x, y = example()
    return _trace(network, x, y, core.SquaredError(), rows=range(len(x)), inputs=["x₀", "x₁"], outputs=["a₀", "a₁"])


def trace_of_job(context: Context, job_id: str, rows: Sequence[int] = ()) -> Trace:
    """Return the pass of the job's network, as its model or last checkpoint has it, on these rows of its data set.

    Without `rows` it takes the first ones that have a target. What regularisation and class weights add to the loss
    isn't in it.

    Raises `Problem`: 404 where there is no job, or its data set is gone; 409 while it has neither model nor checkpoint;
    422 for rows that aren't there or have no target, and for a network that is too large to be looked at.
    """
    source = _source(context, job_id)
    try:
        network = core.load(source.folder / WEIGHTS, core.get_backend("numpy", "float64"))
        encoding = Encoding.model_validate_json((source.folder / ENCODING).read_bytes())
    except FileNotFoundError as error:  # a newer checkpoint has taken its place
        raise Problem(409, "weights_replaced", "These weights were just replaced by newer ones; ask again.") from error
    _check_size(network, len(rows) or ROWS_UNASKED)
    chosen, table = _rows(context, source, encoding.target.name, rows)
    x, y, loss = encoding.features_of(table), encoding.target_of(table), LOSS.make(source.spec.loss)
    y = y.astype(np.int64).ravel() if loss.takes_labels else y
    target = encoding.target
    labels = None
    if isinstance(target, LabelTarget):
        labels = [target.classes[int(index)] for index in np.asarray(y).ravel()]
    trace = _trace(
        network, x, y, loss, rows=chosen, inputs=encoding.input_names, outputs=_outputs(target, network.n_outputs)
    )
    return trace.model_copy(update={"of": source.id, "epoch": source.epoch, "labels": labels})


def _source(context: Context, job_id: str) -> _Source:
    model, checkpoint = tables.Model, tables.Checkpoint
    with context.database.read() as session:
        job = session.get(tables.Training, job_id)
        if job is None:
            raise not_found("job", job_id)
        kept = session.scalars(select(model).where(model.job_id == job_id)).first()
        epoch = job.result["epoch"] if job.result else None
        if kept is None:
            newest = select(checkpoint).where(checkpoint.job_id == job_id).order_by(checkpoint.id.desc()).limit(1)
            kept = session.scalars(newest).first()
            epoch = kept.epoch if kept else None
    if kept is None:
        detail = f"The job {job_id} is {job.state} and has no weights yet: it gets a checkpoint while it runs, and a "
        raise Problem(409, "no_weights_yet", detail + "model when it succeeds.")
    spec = Spec.model_validate(job.spec)
    return _Source(kept.id, context.storage.path(kept.folder), epoch, spec, job.dataset_id)


def _check_size(network: core.Network, n_rows: int) -> None:
    if network.n_parameters * n_rows > MOST_NUMBERS:
        message = f"{n_rows} samples of a network with {network.n_parameters} parameters are too much to look at"
        most = MOST_NUMBERS // network.n_parameters
        allowed = f"up to {most} rows" if most else f"a network with up to {MOST_NUMBERS} parameters"
        raise invalid([FieldError(field="query.row", value=n_rows, message=message, allowed=allowed)])


def _rows(context: Context, source: _Source, target: str, rows: Sequence[int]) -> tuple[Sequence[int], pl.DataFrame]:
    """Return the rows and which they are."""
    dataset = datasets.get_dataset(context, source.dataset_id)
    folder = context.storage.path(table_key(dataset.id))
    try:
        if not rows:
            head = read_head(folder, LOOKED_THROUGH).with_row_index("row_number").filter(pl.col(target).is_not_null())
            head = head.head(ROWS_UNASKED)
            return head["row_number"].to_list(), _some(head, target)
        errors = [_fault(row, f"a row from 0 to {dataset.rows - 1}") for row in rows if row >= dataset.rows]
        if errors:
            raise invalid(errors)
        table = read_rows(folder, rows)
    except FileNotFoundError as error:  # it was deleted in between
        raise not_found("data set", dataset.id) from error
    missing = [row for row, there in zip(rows, table[target].is_not_null(), strict=True) if not there]
    if missing:
        raise invalid([_fault(row, f"a row that has a value in {echo(target)!r}") for row in missing])
    return rows, table


def _fault(row: int, allowed: str) -> FieldError:
    return FieldError(field="query.row", value=row, message="there is no such sample", allowed=allowed)


def _some(table: pl.DataFrame, target: str) -> pl.DataFrame:
    if table.is_empty():
        message = f"none of the first {LOOKED_THROUGH} rows has a value in {echo(target)!r}"
        raise invalid([FieldError(field="query.row", message=message, allowed="the number of a row that has one")])
    return table


def _outputs(target: LabelTarget | NumberTarget, n_outputs: int) -> list[str]:
    if isinstance(target, NumberTarget):
        return [target.name]
    return target.classes if n_outputs == len(target.classes) else target.classes[-1:]


def _trace(
    network: core.Network,
    x: np.ndarray,
    y: np.ndarray,
    loss: core.Loss,
    *,
    rows: Sequence[int],
    inputs: list[str],
    outputs: list[str],
) -> Trace:
    with np.errstate(over="ignore", invalid="ignore"):  # weights that have run away are looked at too
        trace = network.trace(x, y, loss)
        report = core.check_gradients(network, x, y, loss)
        text = str(trace)
    layers = [
        LayerTrace(
            name=each.name,
            title=each.title,
            activation=each.layer.activation if isinstance(each.layer, core.Dense) else None,
            elementwise=each.slope is None or each.slope.ndim == each.a.ndim,
            from_z=each.from_z,
            a=_data(each.a),
            a_bar=_data(each.a_bar),
            z=_data(each.z),
            slope=_data(each.slope),
            z_bar=_data(each.z_bar),
            theta={name: _data(array) for name, array in each.theta.items()},
            theta_bar={name: _data(array) for name, array in each.theta_bar.items()},
            theta_bar_of_samples={name: _data(array) for name, array in each.theta_bar_of_samples.items()},
        )
        for each in trace.layers
    ]
    names = ("expected", "got", "error", "tolerance", "step", "kink", "passed", "n_parameters", "n_inputs")
    return Trace(
        of=None,
        epoch=None,
        rows=list(rows),
        inputs=inputs,
        outputs=outputs,
        loss=trace.loss,
        loss_value=plain(float(trace.values.mean())),
        values=_data(trace.values),
        x=_data(trace.x),
        x_bar=_data(trace.x_bar),
        y=_data(np.asarray(y)),
        labels=None,
        layers=layers,
        curves={each.activation: _curve(each.activation) for each in layers if each.activation and each.elementwise},
        check=Check(**plain({name: getattr(report, name) for name in names})),
        text=text,
    )


def _curve(activation: str) -> Curve:
    f, z = core.ACTIVATIONS[activation], np.linspace(-CURVE_REACH, CURVE_REACH, CURVE_POINTS)
    return Curve(z=z.tolist(), a=_data(f.value(np, z)))


def _data(array: np.ndarray | None) -> list[object] | None:
    return None if array is None else plain(array.tolist())
