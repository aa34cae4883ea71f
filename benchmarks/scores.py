"""`make scores`: jobs with default settings on real tables, beside scikit-learn's pipelines; kept in RESULTS.md."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars as pl
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks import machine
from benchmarks.results_file import keep
from benchmarks.table import markdown
from core.threads import cores
from service.datasets.ingest import Request, ingest
from service.datasets.limits import Limits
from service.datasets.readers import read_table
from service.datasets.reading import Reading
from service.examples import PENGUINS
from service.jobs.request import JobRequest
from service.jobs.resolve import resolve
from service.jobs.schemas import Spec
from service.protocol import Assignment
from service.settings import Settings
from service.tables import Dataset
from service.training.course import Wish, train
from service.training.dividing import divide
from service.training.samples import Tables

SEEDS = 5
DATASET_ID = "ds_" + "0" * 32
HOW = f"""\
Accuracy, or r² where a number is predicted, on the rows that are held out: the means of {SEEDS} seeds, and in brackets
the standard error of the mean difference. A job says its target and its seed and nothing else. Scikit-learn's
`MLPClassifier` and `MLPRegressor` have their defaults too, behind `StandardScaler` and `OneHotEncoder` (for missing
values the mean, and a category of their own), and a target that is a number is standardised; on the same rows, with
the same seeds. "behind" is what is worse by more than two standard errors, "even" what is worse by less.
"""


def main() -> int:
    """Return 1 where a job with default settings is behind, else 0."""
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="deltabar-bench-") as folder:
        for name, target, table in tables():
            path = Path(folder, f"{name}.csv")
            table.write_csv(path)
            pairs = np.array(list(scores(path, target)))
            ours, theirs = pairs.mean(axis=0)
            difference = pairs[:, 0] - pairs[:, 1]
            error = difference.std(ddof=1) / np.sqrt(SEEDS)
            verdict = "ahead" if ours > theirs else "even" if ours >= theirs - 2 * error else "behind"
            rows.append([name, f"{ours:.4f}", f"{theirs:.4f}", f"{ours - theirs:+.4f} [{error:.4f}]", verdict])
    table = markdown(["", "deltabar", "scikit-learn", "difference", ""], rows)
    about = machine.description(cores()) | {"scikit-learn": version("scikit-learn")}
    report = "\n".join([markdown(["", ""], list(about.items())), "", table, "", HOW])
    print(report)
    keep("Scores", report)
    return int(any(row[-1] == "behind" for row in rows))


def tables() -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Yield the name, the target and the table of each data set: those in scikit-learn's package, and the penguins."""
    for name in ("iris", "wine", "breast_cancer", "digits", "diabetes"):
        bunch: Any = getattr(datasets, f"load_{name}")()
        columns = {str(each): bunch.data[:, index] for index, each in enumerate(bunch.feature_names)}
        target = bunch.target if name == "diabetes" else [f"class {each}" for each in bunch.target]
        yield name, "target", pl.DataFrame(columns | {"target": target})
    penguins = pl.read_csv(PENGUINS, null_values="NA")
    yield "penguins: species", "species", penguins
    yield "penguins: body mass", "body_mass_g", penguins.filter(pl.col("body_mass_g").is_not_null())


def scores(path: Path, target: str) -> Iterator[tuple[float, float]]:
    """Yield our score and scikit-learn's, seed by seed."""
    ready = path.with_suffix(".table")
    read = ingest(Request(path=path, folder=ready, reading=Reading(), limits=Limits.of(Settings())))
    table = read_table(ready)
    dataset = Dataset(id=DATASET_ID, rows=read.rows, columns=[column.model_dump() for column in read.columns])
    for seed in range(SEEDS):
        request = JobRequest(dataset_id=DATASET_ID, target=target, seed=seed, device="cpu")
        spec = resolve(request, dataset, None, Settings())
        draft, checkpoints = path.with_suffix(f".{seed}"), path.with_suffix(f".{seed}-checkpoints")
        job = Assignment(
            table=ready, format="csv", columns=read.columns, spec=spec, draft=draft, checkpoints=checkpoints
        )
        *_, (_, done) = train(job, Wish(), Tables())
        yield done["result"]["metrics"][_metric(spec)], by_scikit_learn(spec, table)


def by_scikit_learn(spec: Spec, table: pl.DataFrame) -> float:
    """Return the score of scikit-learn's pipeline on the rows that the job of `spec` holds out."""
    rows = divide(spec, table)
    x, y = pandas.DataFrame(table.drop(spec.target).to_dict(as_series=False)), table[spec.target].to_numpy()
    prepare = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    network: Any = MLPClassifier(random_state=spec.seed)
    if spec.task == "regression":
        network = TransformedTargetRegressor(MLPRegressor(random_state=spec.seed), transformer=StandardScaler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its default of 200 epochs doesn't always suffice it
        model = make_pipeline(prepare, network).fit(x.iloc[rows.train], y[rows.train])
    score = accuracy_score if spec.task == "classification" else r2_score
    return float(score(y[rows.validation], model.predict(x.iloc[rows.validation])))


def _metric(spec: Spec) -> str:
    return "accuracy" if spec.task == "classification" else "r2"


if __name__ == "__main__":
    sys.exit(main())
