from __future__ import annotations

import hashlib
import math
from base64 import b64decode
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl
import pytest

import core
from core.backend import NumpyBackend
from service import runner, tables
from service.datasets.encoding import Encoding
from service.datasets.readers import read_table
from service.datasets.summary import summarize
from service.jobs.auto_optimizer import AutoOptimizer
from service.jobs.epochs import unpack
from service.jobs.request import JobRequest
from service.jobs.resolve import resolve
from service.models.predictor import ENCODING, WEIGHTS, load
from service.models.schemas import Model
from service.protocol import Assignment, Message, receive
from service.settings import Settings
from service.training import course
from service.training.cannot_train import CannotTrain
from service.training.course import Wish
from service.training.samples import Tables
from tests.service.workplace import PENGUINS

DATASET_ID = "ds_" + "0" * 32
Make = Callable[..., Assignment]
APART: dict[str, Any] = {"regularization": {"clip_value": 1e9}}
"""A bound that no gradient meets keeps the steps apart: those taken together are compiled for each combination of
activations, loss and optimizer, which takes seconds, and are compared to these by the tests of core."""


@pytest.fixture
def assign(tmp_path: Path) -> Make:
    """Make assignments on the table in a file, the penguins unless told otherwise."""
    made = 0

    def make(target: str = "species", path: Path = PENGUINS, **job: Any) -> Assignment:
        nonlocal made
        made += 1
        table = read_table(path, "csv")
        columns = [column.model_dump(mode="json") for column in summarize(table)]
        dataset = tables.Dataset(id=DATASET_ID, rows=len(table), columns=columns)
        request = JobRequest.model_validate({"dataset_id": DATASET_ID, "target": target, "device": "cpu", **job})
        spec = resolve(request, dataset, None, Settings())
        draft = tmp_path / str(made)
        return Assignment.model_validate(
            {
                "table": path,
                "format": "csv",
                "columns": columns,
                "spec": spec.model_dump(),
                "draft": draft,
                "checkpoints": tmp_path / f"{made}.checkpoints",
            }
        )

    return make


def train(assignment: Assignment) -> Iterator[Message]:
    return course.train(assignment, Wish(), Tables())


def told(assignment: Assignment) -> tuple[list[str], list[dict[str, Any]], dict[str, Any]]:
    """Train, and return the log, the metrics of every epoch, and the final message."""
    messages: list[Message] = list(train(assignment))
    kind, done = messages[-1]
    assert kind == "done"
    log = [data["message"] for kind, data in messages if kind == "log"]
    return log, [data for kind, data in messages if kind == "metrics"], done


def without_times(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in metrics]


def weights_of_trained(assignment: Assignment) -> str:
    told(assignment)
    return weights_of(assignment)


def weights_of(assignment: Assignment) -> str:
    return hashlib.sha256((assignment.draft / WEIGHTS).read_bytes()).hexdigest()


def test_the_default_job_tells_penguins_apart(assign: Make):
    assignment = assign()
    log, metrics, done = told(assignment)
    assert log == []
    assert [row["epoch"] for row in metrics] == list(range(1, 101))
    assert list(metrics[0]) == [
        "epoch", "epochs", "step", "seconds", "loss", "validation_loss", "learning_rate", "accuracy",
    ]  # fmt: skip
    result = done["result"]
    assert result["metrics"]["accuracy"] >= 0.97
    assert (result["n_train"], result["n_validation"], result["device"]) == (275, 69, "cpu")
    assert result["loss"] == metrics[-1]["loss"] < metrics[0]["loss"] / 10
    assert result["validation_loss"] == metrics[-1]["validation_loss"]
    assert (result["metrics"], result["seconds"]) == ({"accuracy": metrics[-1]["accuracy"]}, metrics[-1]["seconds"])


def test_the_card_is_that_of_a_model(assign: Make):
    _, _, done = told(assign(epochs=1))
    card = Model.model_validate(
        {
            "id": "model_" + "0" * 32,
            "owner": "local",
            "job_id": "job_" + "0" * 32,
            "dataset_id": DATASET_ID,
            "created_at": 0.0,
            **done["card"],
        }
    )
    assert card.classes == ["Adelie", "Chinstrap", "Gentoo"]
    assert {feature.name: feature.kind for feature in card.features} == {
        "island": "categorical", "sex": "categorical", "year": "numeric", "body_mass_g": "numeric",
        "bill_length_mm": "numeric", "bill_depth_mm": "numeric", "flipper_length_mm": "numeric",
    }  # fmt: skip
    shape = [(layer.units, layer.activation, layer.dropout) for layer in card.network.layers]
    assert shape == [(64, "relu", 0.0), (32, "relu", 0.0), (3, "softmax", 0.0)]
    assert card.n_parameters == done["result"]["n_parameters"]


def test_what_is_written_predicts_as_the_last_epoch_did(assign: Make):
    assignment = assign()
    _, _, done = told(assignment)
    network = core.load(assignment.draft / WEIGHTS)
    encoding = Encoding.model_validate_json((assignment.draft / ENCODING).read_bytes())
    table = read_table(PENGUINS, "csv")
    _, validation_rows = core.split(len(table), 0.2, seed=0, labels=table["species"].to_numpy())
    held_out = table[validation_rows]
    predictions = encoding.decode(network.predict(encoding.features_of(held_out)))
    right = [item["label"] == species for item, species in zip(predictions, held_out["species"], strict=True)]
    assert np.mean(right) == done["result"]["metrics"]["accuracy"]


def test_the_encoding_is_learned_on_the_training_rows_only(assign: Make):
    assignment = assign(epochs=1, split={"by": "fraction", "validation": 0.5})
    told(assignment)
    table = read_table(PENGUINS, "csv")
    train_rows, _ = core.split(len(table), 0.5, seed=0, labels=table["species"].to_numpy())
    encoding = Encoding.model_validate_json((assignment.draft / ENCODING).read_bytes())
    feature = next(feature for feature in encoding.features if feature.name == "body_mass_g")
    mass = table["body_mass_g"]
    assert getattr(feature, "center") == pytest.approx(mass[train_rows].mean(), rel=1e-12)  # noqa: B009 -- numeric ones have it
    assert mass[train_rows].mean() != mass.mean()


@pytest.mark.parametrize("job", [{}, {"dtype": "float64", "optimizer": {"name": "sgd", "momentum": 0.9}, **APART}])
def test_the_same_seed_gives_the_same_bits(assign: Make, job: dict[str, Any]):
    first, second, other = (assign(epochs=20, **job), assign(epochs=20, **job), assign(epochs=20, seed=1, **job))
    curves = [without_times(told(assignment)[1]) for assignment in (first, second, other)]
    assert curves[0] == curves[1] != curves[2]
    assert weights_of(first) == weights_of(second) != weights_of(other)


def test_dropout_is_trained_with_and_not_predicted_with(assign: Make):
    layers = [{"units": 32, "dropout": 0.5}, {"units": 8}]
    assignment = assign(network={"layers": layers}, epochs=40)
    *_, done = told(assignment)
    assert done["card"]["network"]["layers"][0]["dropout"] == 0.5
    network = core.load(assignment.draft / WEIGHTS)
    assert network.layers[1] == core.Dropout(0.5)
    x = np.ones((4, network.n_inputs))
    np.testing.assert_array_equal(network.predict(x)[0], network.predict(x)[3])
    assert done["result"]["metrics"]["accuracy"] > 0.9
    assert weights_of(assignment) != weights_of_trained(
        assign(network={"layers": [{"units": 32}, {"units": 8}]}, epochs=40)
    )


def test_a_training_stops_early_and_the_model_has_the_weights_of_its_best_epoch(assign: Make):
    stopping = {"monitor": "validation_loss", "patience": 4}
    assignment = assign(early_stopping=stopping, epochs=1000, optimizer={"name": "adam", "learning_rate": 0.02})
    log, metrics, done = told(assignment)
    losses = [row["validation_loss"] for row in metrics]
    best = losses.index(min(losses)) + 1
    assert len(metrics) == best + 4 < 1000
    assert log[-1] == f"stopped early, after epoch {best + 4} of 1000: validation_loss was best in epoch {best}"
    assert (done["result"]["epoch"], done["result"]["validation_loss"]) == (best, min(losses))
    until_then = assign(epochs=best, optimizer={"name": "adam", "learning_rate": 0.02})
    assert weights_of_trained(until_then) == weights_of(assignment)


def test_regression_is_measured_in_the_targets_own_unit(assign: Make):
    assignment = assign("body_mass_g", batch_size=16)
    log, _, done = told(assignment)
    assert log == ["2 of 344 rows have no 'body_mass_g' and are left out"]
    metrics, result = done["result"]["metrics"], done["result"]
    assert (result["n_train"], result["n_validation"]) == (274, 68)

    table = read_table(PENGUINS, "csv").filter(pl.col("body_mass_g").is_not_null())
    _, validation_rows = core.split(len(table), 0.2, seed=0)
    encoding = Encoding.model_validate_json((assignment.draft / ENCODING).read_bytes())
    network = core.load(assignment.draft / WEIGHTS)
    predicted = encoding.decode(network.predict(encoding.features_of(table[validation_rows])))
    error = np.array([item["value"] for item in predicted]) - table["body_mass_g"].to_numpy()[validation_rows]
    assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6)
    assert metrics["mae"] == pytest.approx(np.mean(np.abs(error)), rel=1e-6)
    assert 100 < metrics["mae"] < metrics["rmse"] < 400, "grams"
    assert 0.8 < metrics["r2"] < 1


@pytest.mark.parametrize(
    "job",
    [
        {"optimizer": {"name": "lion", "weight_decay": 0.1}, **APART},
        {"schedule": {"name": "warmup", "duration": 2, "then": "cosine"}},
        {"loss": {"name": "softmax_cross_entropy", "smoothing": 0.1}, **APART},
        *({"regularization": {name: 0.01}} for name in ("l1", "l2", "clip_value", "clip_norm", "max_norm")),
        {"average": 0.9},
        {"class_weight": {"Chinstrap": 3.0}},
        {"class_weight": "balanced"},
    ],
    ids=str,
)
def test_what_is_asked_for_is_what_core_is_told(assign: Make, job: dict[str, Any]):
    """The weights are those of the same training with core alone, and not those of the default job."""
    assignment = assign(epochs=4, **job)
    told(assignment)
    encoding = Encoding.model_validate_json((assignment.draft / ENCODING).read_bytes())
    table = read_table(PENGUINS, "csv")
    train_rows, _ = core.split(len(table), 0.2, seed=0, labels=table["species"].to_numpy())
    layers = [core.Dense(64, "relu"), core.Dense(32, "relu"), core.Dense(3, "softmax")]
    network = core.Network(encoding.n_inputs, layers, seed=0)
    steps = 4 * math.ceil(len(train_rows) / 32)
    plain: dict[str, Any] = {"loss": "softmax_cross_entropy", "optimizer": AutoOptimizer().settled(steps)}
    objects = {
        "optimizer": core.Lion(weight_decay=0.1),
        "schedule": core.Warmup(duration=2, then=core.CosineDecay()),
        "loss": core.SoftmaxCrossEntropy(smoothing=0.1),
        "class_weight": {1: 3.0} if isinstance(job.get("class_weight"), dict) else "balanced",
    }
    ours = plain | job.get("regularization", {}) | {name: objects.get(name, job[name]) for name in job}
    ours.pop("regularization", None)
    x, y = encoding.features_of(table)[train_rows], encoding.target_of(table)[train_rows]
    core.fit(network, x, y, epochs=4, **ours)
    written = core.load(assignment.draft / WEIGHTS)
    np.testing.assert_array_equal(written.parameters, network.parameters)
    assert weights_of(assignment) != weights_of_trained(assign(epochs=4))


def test_an_optimizer_that_takes_all_rows_gets_them(assign: Make):
    _, metrics, done = told(assign(optimizer="lbfgs", epochs=10))
    assert [row["step"] for row in metrics] == list(range(1, 11))
    assert done["result"]["metrics"]["accuracy"] > 0.9


def test_the_schedule_shows_in_the_metrics(assign: Make):
    _, metrics, _ = told(assign(epochs=3, schedule={"name": "exponential", "gamma": 0.5}))
    first = metrics[0]["learning_rate"]
    assert [row["learning_rate"] for row in metrics] == pytest.approx([first, first / 2, first / 4], rel=1e-12)


@pytest.mark.parametrize("name", ["batch_norm", "layer_norm"])
def test_normalization_follows_the_layer_that_names_it(assign: Make, name: str):
    layers = [{"units": 16, "normalization": {"name": name, "epsilon": 1e-3}, "dropout": 0.1}, {"units": 8}]
    assignment = assign(network={"layers": layers}, epochs=30)
    *_, done = told(assignment)
    network = core.load(assignment.draft / WEIGHTS)
    kinds = ["dense", name, "dropout", "dense", "dense"]
    assert [layer.kind for layer in network.layers] == kinds
    assert getattr(network.layers[1], "epsilon") == 1e-3  # noqa: B009 -- normalisations have it
    assert done["card"]["network"]["layers"][0]["normalization"]["name"] == name
    assert done["result"]["metrics"]["accuracy"] > 0.9


@pytest.mark.parametrize("activation", core.ACTIVATIONS)
def test_every_activation_trains(assign: Make, activation: str):
    layers = [{"units": 8, "activation": activation}]
    _, metrics, _ = told(assign(network={"layers": layers}, epochs=5, batch_size=16, **APART))
    assert metrics[-1]["loss"] < metrics[0]["loss"]


@pytest.mark.parametrize("loss", [loss.name for loss in core.LOSSES.values() if loss.tells_classes])
def test_every_loss_for_classes_tells_two_apart(assign: Make, loss: str):
    assignment = assign("sex", loss=loss, **APART)
    *_, done = told(assignment)
    assert done["result"]["metrics"]["accuracy"] > 0.75, "half of them are of either sex"
    predictor = load(assignment.draft)
    table = read_table(PENGUINS, "csv").filter(pl.col("sex").is_not_null())
    answers = predictor.predict(table)
    right = [answer["label"] == sex for answer, sex in zip(answers, table["sex"], strict=True)]
    assert np.mean(right) > 0.85, "most of these rows were trained on"
    if loss == "hinge":
        assert answers[0]["probabilities"] == {"female": None, "male": None}
    else:
        assert sum(answers[0]["probabilities"].values()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("loss", [loss.name for loss in core.LOSSES.values() if not loss.tells_classes])
def test_every_loss_for_numbers_predicts_grams(assign: Make, loss: str):
    assignment = assign("body_mass_g", loss=loss, batch_size=16, optimizer={"learning_rate": 0.003}, **APART)
    *_, done = told(assignment)
    assert done["result"]["metrics"]["r2"] > 0.5, "their mean has 0"
    table = read_table(PENGUINS, "csv").filter(pl.col("body_mass_g").is_not_null())
    values = np.array([answer["value"] for answer in load(assignment.draft).predict(table)])
    assert np.mean(np.abs(values - table["body_mass_g"].to_numpy())) < 350, "grams"


def test_rows_drawn_for_training_that_all_weigh_nothing_end_the_job_with_a_message(assign: Make, tmp_path: Path):
    _, validation_rows = core.split(10, 0.2, seed=0)
    rows = [f"{row}.5,{'rare' if row in validation_rows else 'often'}" for row in range(10)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["x,label", *rows]) + "\n")
    job = assign("label", path, split={"by": "fraction", "stratify": False}, class_weight={"often": 0})
    with pytest.raises(CannotTrain, match=r"class_weight: every sample's weight is zero") as raised:
        list(train(job))
    assert raised.value.code == "unfit_rows"


@pytest.mark.parametrize(
    ("target", "job", "outputs"),
    [
        ("sex", {}, 1),
        ("sex", {"loss": "softmax_cross_entropy"}, 2),
        ("year", {}, 3),
        ("species", {"network": {"layers": []}}, 3),
        ("species", {"network": {"layers": [{"units": 8, "activation": "tanh"}]}, "dtype": "float64"}, 3),
    ],
)
def test_targets_losses_and_networks_of_every_kind(assign: Make, target: str, job: dict[str, Any], outputs: int):
    assignment = assign(target, epochs=30, **job, **APART)
    _, metrics, _ = told(assignment)
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    network = core.load(assignment.draft / WEIGHTS)
    assert network.n_outputs == outputs
    assert str(network.backend.dtype) == job.get("dtype", "float32")
    encoding = Encoding.model_validate_json((assignment.draft / ENCODING).read_bytes())
    [answer] = encoding.decode(network.predict(encoding.features_of(read_table(PENGUINS, "csv").head(1))))
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)


def test_without_validation_all_rows_are_trained_on(assign: Make):
    _, metrics, done = told(assign(epochs=2, split=None))
    assert "accuracy" not in metrics[0]
    assert metrics[0]["validation_loss"] is None
    result = done["result"]
    assert (result["n_train"], result["n_validation"]) == (344, 0)
    assert (result["validation_loss"], result["metrics"]) == (None, {})


def test_a_loss_that_is_not_finite_ends_the_job_with_advice(assign: Make):
    assignment = assign("body_mass_g", optimizer={"name": "sgd", "learning_rate": 1e30}, **APART)
    advice = r"in epoch 1, at step \d+.*smaller optimizer.learning_rate"
    with pytest.raises(CannotTrain, match=advice) as raised:
        list(train(assignment))
    assert raised.value.code == "non_finite_loss"
    assert not assignment.draft.exists()


def test_a_device_that_is_not_there_is_named(assign: Make):
    with pytest.raises(CannotTrain, match="device 'cuda:99' can't be used") as raised:
        list(train(assign(device="cuda:99")))
    assert raised.value.code == "device_unavailable"


def test_features_that_have_values_in_held_out_rows_only_are_no_features(assign: Make, tmp_path: Path):
    labels = np.array(["a", "b"] * 5)
    _, validation_rows = core.split(10, 0.2, seed=0, labels=labels)
    rows = [f"{'1.5' if row in validation_rows else ''},{label}" for row, label in enumerate(labels)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["x,label", *rows]) + "\n")
    with pytest.raises(CannotTrain) as raised:
        list(train(assign("label", path)))
    assert raised.value.code == "no_features"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CannotTrain("no_features", "no feature"), "no_features", "no feature"),
        (MemoryError("Unable to allocate 9 TiB"), "out_of_memory", "9 TiB"),
        (KeyError("surprise"), "internal_error", "KeyError: 'surprise'"),
    ],
)
def test_whatever_ends_a_training_becomes_a_message(
    assign: Make, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, said: str
):
    def failing(*_: object) -> Iterator[Message]:
        yield "log", {"message": "began"}
        raise error

    monkeypatch.setattr(runner, "train", failing)
    began, (kind, data) = runner.messages_of(assign().model_dump(mode="json"), Wish(), Tables())
    assert began == ("log", {"message": "began"})
    assert (kind, data["code"]) == ("failed", code)
    assert said in data["message"]


def test_out_of_memory_on_a_gpu_names_the_limit(assign: Make, monkeypatch: pytest.MonkeyPatch):
    """The limit reaches the backend before anything is allocated on it."""
    limits: list[int] = []

    class Small(NumpyBackend):
        def limit_memory(self, size: int) -> None:
            limits.append(size)

        def for_training(self) -> NoReturn:
            raise MemoryError("Out of memory allocating 9,000 bytes (limit set to: 1,000 bytes)")

    monkeypatch.setattr(course, "backend_for", lambda *_: Small())
    given = assign().model_dump(mode="json")
    *_, (kind, data) = runner.messages_of(given | {"device_memory_bytes": 1000}, Wish(), Tables())
    assert limits == [1000]
    assert (kind, data["code"]) == ("failed", "out_of_memory")
    assert "1000 bytes of a GPU's memory" in data["message"]
    assert "9,000" in data["message"]


def test_a_stop_ends_a_training_between_two_steps(assign: Make):
    wish = Wish()
    messages = runner.messages_of(assign(epochs=1000).model_dump(mode="json"), wish, Tables())
    assert [next(messages)[0] for _ in range(2)] == ["progress", "metrics"]
    wish.stop = True
    assert list(messages) == [("stopped", {})]


def test_epochs_that_come_fast_are_one_message():
    ours, theirs = Pipe()
    outbox = runner.Outbox(theirs)
    losses = [0.5, math.inf, 1 / 3, 0.25]
    outbox.put(("log", {"message": "began"}))  # the next is gathered now
    for epoch, loss in enumerate(losses, 1):
        outbox.put(("metrics", {"epoch": epoch, "epochs": 9, "loss": loss, "validation_loss": None}))
    outbox.put(("stopped", {}))
    messages = [*receive(ours), *receive(ours)]
    assert [kind for kind, _ in messages] == ["log", "metrics", "stopped"]
    told = messages[1][1]
    assert told["last"] == {"epoch": 4, "epochs": 9, "loss": 0.25, "validation_loss": None}
    names, numbers = unpack(b64decode(told["packed"]))
    assert names == ("epoch", "loss", "validation_loss")
    none = [math.nan] * 4
    np.testing.assert_array_equal(numbers.T, [[1, 2, 3, 4], [0.5, math.nan, 1 / 3, 0.25], none])
