"""From a table to a network's numbers and back: by hand, and what holds for every table."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.datasets.choices import MOST_CATEGORIES, EncodingChoices
from service.datasets.encoding import Encoding, fit_encoding
from service.datasets.features import CategoricalFeature, DateFeature, NumericFeature
from service.datasets.kinds import for_a_job
from service.datasets.readers import read_table
from service.datasets.scaling import FARTHEST
from service.datasets.schemas import Column
from service.datasets.summary import summarize
from service.datasets.targets import LabelTarget, NumberTarget
from service.examples import PENGUINS

SCHEMA = {"whole": pl.Int64, "fraction": pl.Float64, "text": pl.String, "truth": pl.Boolean, "label": pl.String}
TABLE = pl.DataFrame(
    {
        "whole": [1, 3, None, 100],
        "fraction": [2.5, 2.5, 2.5, -7.0],
        "text": ["b", "a", "b", "z"],
        "truth": [True, None, True, False],
        "label": ["no", "yes", "maybe", "no"],
    },
    schema=SCHEMA,
)
FIRST_THREE = np.array([0, 1, 2])


def fit(
    table: pl.DataFrame,
    target: str = "label",
    task: Literal["classification", "regression"] = "classification",
    rows: np.ndarray | None = None,
) -> Encoding:
    # A job leaves constants out unless it says what they are, as it may.
    numbers = {"constant": "numeric"}
    columns = [
        column.model_copy(update={"kind": numbers.get(column.kind, column.kind)})
        if column.values == "number"
        else column
        for column in summarize(table)
    ]
    return fit_encoding(table, columns, target, task, np.arange(table.height) if rows is None else rows)


def test_what_is_learned_from_the_training_rows():
    assert fit(TABLE, rows=FIRST_THREE) == Encoding(
        features=[
            NumericFeature(name="whole", center=2.0, scale=1.0, missing_indicator=True),
            NumericFeature(name="fraction", center=2.5, scale=1.0, missing_indicator=False),
            CategoricalFeature(name="text", kind="categorical", categories=["a", "b"]),
            CategoricalFeature(name="truth", kind="boolean", categories=["true", None]),
        ],
        target=LabelTarget(name="label", classes=["maybe", "no", "yes"]),
    )


def test_features_by_hand():
    encoding = fit(TABLE, rows=FIRST_THREE)
    assert encoding.n_inputs == 7
    # whole: (value − 2) / 1, missing? | fraction: (value − 2.5) / 1 | text: a, b | truth: true, missing
    expected = [
        [-1, 0, 0, 0, 1, 1, 0],
        [1, 0, 0, 1, 0, 0, 1],
        [0, 1, 0, 0, 1, 1, 0],
        [98, 0, -9.5, 0, 0, 0, 0],  # "z" and false are not in the training rows
    ]
    features = encoding.features_of(TABLE)
    assert features.dtype == np.float64
    np.testing.assert_array_equal(features, expected)


def test_rows_as_they_come_to_predict():
    encoding = fit(TABLE, rows=FIRST_THREE)
    rows = pl.DataFrame(
        {"truth": [None, True], "text": [None, "a"], "fraction": [None, 3.5], "whole": [2.0, None]},
        schema={"truth": pl.Boolean, "text": pl.String, "fraction": pl.Float64, "whole": pl.Float64},
    )
    # A missing number is the mean; a missing text is no category here, since the training rows had none.
    np.testing.assert_array_equal(encoding.features_of(rows), [[0, 0, 0, 0, 0, 0, 1], [0, 1, 1, 1, 0, 1, 0]])
    assert encoding.features_of(rows[:0]).shape == (0, 7)


def test_labels_are_indices():
    labels = fit(TABLE, rows=FIRST_THREE).target_of(TABLE)
    assert labels.dtype == np.int64
    assert labels.tolist() == [1, 2, 0, 1]


@pytest.mark.parametrize(
    ("values", "classes"),
    [(["b", "a", "b"], ["a", "b"]), ([10, 9, 10], ["9", "10"]), ([True, False, True], ["false", "true"])],
)
def test_two_labels_are_a_probability(values: list[Any], classes: list[str]):
    table = pl.DataFrame({"x": [1, 2, 3], "y": values})
    encoding = fit(table, "y")
    assert encoding.target == LabelTarget(name="y", classes=classes)
    outputs = encoding.target_of(table)
    assert (outputs.dtype, outputs.tolist()) == (np.float64, [[1.0], [0.0], [1.0]])


def test_whole_numbers_as_labels_are_in_the_order_of_numbers():
    table = pl.DataFrame({"x": [1, 2, 3, 4], "digit": [10, 2, 1, 2]})
    encoding = fit(table, "digit", rows=np.array([0, 1]))
    assert encoding.target == LabelTarget(name="digit", classes=["1", "2", "10"])
    assert encoding.target_of(table).tolist() == [2, 1, 0, 1]
    assert encoding.decode(np.array([[0.2, 0.3, 0.5]])) == [
        {"label": "10", "probabilities": {"1": 0.2, "2": 0.3, "10": 0.5}}
    ]


def test_numbers_to_predict_are_standardised_and_come_back_in_their_unit():
    table = pl.DataFrame({"x": [1, 2, 3], "mass": [3000, 5000, 9000]})
    encoding = fit(table, "mass", "regression", np.array([0, 1]))
    assert encoding.target == NumberTarget(name="mass", mean=4000.0, standard_deviation=1000.0)
    assert encoding.target_of(table).tolist() == [[-1.0], [1.0], [5.0]]
    assert encoding.decode(np.array([[-1.0], [0.5]], np.float32)) == [{"value": 3000.0}, {"value": 4500.0}]


def test_probabilities_are_decoded():
    encoding = fit(TABLE)
    outputs = np.array([[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]], np.float32)
    assert encoding.decode(outputs) == [
        {"label": "yes", "probabilities": {"maybe": 0.25, "no": 0.25, "yes": 0.5}},
        {"label": "maybe", "probabilities": {"maybe": 0.5, "no": 0.25, "yes": 0.25}},
    ]


@pytest.mark.parametrize("outputs", [np.array([[0.25], [0.75]]), np.array([[0.75, 0.25], [0.25, 0.75]])])
def test_two_labels_are_decoded_from_one_output_or_two(outputs: np.ndarray):
    encoding = fit(pl.DataFrame({"x": [1, 2], "y": ["a", "b"]}), "y")
    assert encoding.decode(outputs) == [
        {"label": "a", "probabilities": {"a": 0.75, "b": 0.25}},
        {"label": "b", "probabilities": {"a": 0.25, "b": 0.75}},
    ]


def test_what_is_not_a_number_is_decoded_to_null():
    assert fit(TABLE).decode(np.array([[np.nan, 0.5, 0.5]])) == [
        {"label": None, "probabilities": {"maybe": None, "no": None, "yes": None}}
    ]
    assert fit(TABLE, "fraction", "regression").decode(np.array([[np.inf]])) == [{"value": None}]


def test_a_column_without_value_in_the_training_rows_is_left_out():
    table = TABLE.with_columns(pl.Series("late", [None, None, None, 4]), pl.Series("never", [None] * 4, pl.String))
    encoding = fit(table, rows=FIRST_THREE)
    assert [feature.name for feature in encoding.features] == ["whole", "fraction", "text", "truth"]


def test_a_constant_column_that_rounding_would_spread_is_constant():
    table = pl.DataFrame({"x": [0.1] * 10, "y": ["a", "b"] * 5})
    [feature] = fit(table, "y").features
    assert feature == NumericFeature(name="x", center=0.1, scale=1.0, missing_indicator=False)


def test_the_most_frequent_categories_are_kept():
    rows = [f"c{index:03}" for index in range(MOST_CATEGORIES + 5)] + ["c104", "c103", None]
    table = pl.DataFrame({"x": rows, "y": ["a", "b"] * (len(rows) // 2)})
    [feature] = fit(table, "y").features
    assert isinstance(feature, CategoricalFeature)
    # Two of them come twice; of the others, equally frequent, the first by name are kept. Missing comes on top.
    assert feature.categories == [f"c{index:03}" for index in range(98)] + ["c103", "c104", None]
    encoded = fit(table, "y").features_of(table)
    assert encoded.shape == (len(rows), MOST_CATEGORIES + 2)
    assert encoded[98:103].tolist() == [[0.0] * (MOST_CATEGORIES + 1) + [1.0]] * 5  # they share one input
    assert encoded[-1].tolist() == [0.0] * MOST_CATEGORIES + [1.0, 0.0]
    unseen = fit(table, "y").features_of(pl.DataFrame({"x": ["never", None]}))
    assert unseen[:, -2:].tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_numbers_far_from_the_training_rows_stay_finite():
    table = pl.DataFrame({"tiny": [0.0, 5e-324, 0.0, 0.0], "flat": [1.5] * 4, "y": ["a", "b"] * 2})
    far = pl.DataFrame({"tiny": [1e100, -1e100], "flat": [1e100, -1e100]})
    assert fit(table, "y").features_of(far).tolist() == [[FARTHEST, FARTHEST], [-FARTHEST, -FARTHEST]]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("standard", [-1.0, 0.0, 1.0, 8.0]),
        ("robust", [-1.0, 0.0, 1.0, 8.0]),
        ("min_max", [0.0, 0.5, 1.0, 4.5]),
        ("none", [1.0, 2.0, 3.0, 10.0]),
    ],
)
def test_numbers_are_scaled_as_chosen(numbers: Any, expected: list[float]):
    table = pl.DataFrame({"x": [1, 2, 3, 10], "y": ["a", "b", "a", "b"]})
    train, choices = np.array([0, 1, 2]), EncodingChoices(numbers=numbers)
    encoding = fit_encoding(table, summarize(table), "y", "classification", train, choices)
    scale = math.sqrt(2 / 3) if numbers == "standard" else 1.0
    assert encoding.features_of(table)[:, 0].tolist() == pytest.approx([number / scale for number in expected])


def test_a_cap_on_categories():
    table = pl.DataFrame({"x": ["a", "a", "b", "c", None, "c"], "y": ["p", "q"] * 3})
    choices = EncodingChoices(max_categories=2)
    encoding = fit_encoding(table, summarize(table), "y", "classification", np.arange(6), choices)
    assert encoding.features_of(table).tolist() == [
        *([[1, 0, 0, 0]] * 2), [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0],
    ]  # fmt: skip


def dates() -> pl.DataFrame:
    days = ["2024-01-01", "2024-01-02", "2024-07-01", None]
    return pl.DataFrame({"x": days, "y": ["a", "b", "a", "b"]}).with_columns(pl.col("x").str.to_datetime())


def date_columns() -> list[Column]:
    columns = summarize(dates().with_columns(x=pl.int_range(pl.len())))
    return [column.model_copy(update={"kind": "date"}) if column.name == "x" else column for column in columns]


def test_dates_become_a_time_and_places_in_cycles():
    encoding = fit_encoding(dates(), date_columns(), "y", "classification", np.arange(4))
    [feature] = encoding.features
    assert isinstance(feature, DateFeature)
    assert feature.cycles == ["week", "year"]  # no date has a time of day
    inputs = encoding.features_of(dates())
    assert inputs.shape == (4, 6)
    assert inputs[:3, 0].mean() == pytest.approx(0)
    assert inputs[:3, 0].std() == pytest.approx(1)
    angle = 2 * math.pi * (datetime(2024, 7, 1, tzinfo=UTC).timestamp() / (365.2425 * 86400) % 1)
    assert inputs[2, 3:5].tolist() == pytest.approx([math.sin(angle), math.cos(angle)])
    assert inputs[0, 3:5] == pytest.approx(inputs[1, 3:5], abs=0.02)  # a day apart
    week = 2 * math.pi * 4 / 7  # 1970 began with a Thursday, and these days are a Monday and a Tuesday
    assert inputs[0, 1:3].tolist() == pytest.approx([math.sin(week), math.cos(week)])
    assert inputs[3].tolist() == [0, 0, 0, 0, 0, 1]


def test_a_date_survives_json():
    encoding = fit_encoding(dates(), date_columns(), "y", "classification", np.arange(4))
    assert Encoding.model_validate_json(encoding.model_dump_json()) == encoding


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        ("none", "classification", "target 'none' is no column; expected one of"),
        ("fraction", "classification", "target 'fraction' has no classes to tell apart; expected from 2 to 1000"),
        ("text", "regression", "target 'text' has no numbers to learn from; expected a numeric column"),
        ("truth", "regression", "target 'truth' has no numbers to learn from; expected a numeric column"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(target: str, task: Any, message: str):
    with pytest.raises(ValueError, match=message):
        fit(TABLE, target, task)


def test_a_target_that_was_not_learned_is_refused():
    encoding = fit(TABLE)
    with pytest.raises(ValueError, match="target 'label' is 'never' in row 1"):
        encoding.target_of(pl.DataFrame({"label": ["no", "never"]}))
    with pytest.raises(ValueError, match="target 'label' is None in row 0"):
        encoding.target_of(pl.DataFrame({"label": [None, "no"]}))
    with pytest.raises(ValueError, match="target 'whole' is missing in row 2"):
        fit(TABLE, "whole", "regression").target_of(TABLE)


# What holds for every table.

numbers = st.one_of(st.none(), st.integers(-5, 5).map(float), st.floats(-1e100, 1e100))
rows_of = st.tuples(
    st.none() | st.integers(-(2**62), 2**62),
    numbers,
    st.none() | st.sampled_from(["a", "b", "c", "é", ""]),
    st.none() | st.booleans(),
    st.sampled_from(["no", "yes", "maybe"]),
)


TASKS: dict[str, Literal["classification", "regression"]] = {"label": "classification", "fraction": "regression"}


def table_of(rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@given(st.lists(rows_of, min_size=2, max_size=12), st.lists(rows_of, min_size=1, max_size=4), st.data())
def test_rows_outside_of_training_never_change_the_encoding(rows: list[Any], others: list[Any], data: st.DataObject):
    table = table_of([*rows, *others])
    assume(table["label"].n_unique() > 1)
    columns, train = summarize(table), np.arange(len(rows))
    replaced = table_of([*rows, *data.draw(st.lists(rows_of, min_size=len(others), max_size=len(others)))])
    for target, task in TASKS.items():
        if task == "regression" and table["fraction"][: len(rows)].null_count() == len(rows):
            continue
        seen = for_a_job(columns, target, {})  # a target of which all rows have the same value is a quantity too
        encoding = fit_encoding(table, seen, target, task, train)
        assert fit_encoding(replaced, seen, target, task, train) == encoding
        np.testing.assert_array_equal(
            encoding.features_of(replaced)[: len(rows)], encoding.features_of(table)[: len(rows)]
        )


@given(st.lists(rows_of, min_size=2, max_size=12))
def test_an_encoding_survives_json_to_the_last_bit(rows: list[Any]):
    table = table_of(rows)
    assume(table["label"].n_unique() > 1)
    encoding = fit(table)
    again = Encoding.model_validate_json(encoding.model_dump_json())
    assert again == encoding
    assert again.features_of(table).tobytes() == encoding.features_of(table).tobytes()


@given(st.lists(rows_of, min_size=2, max_size=12), st.lists(rows_of, min_size=1, max_size=4))
def test_inputs_are_finite_standardised_and_row_by_row(rows: list[Any], others: list[Any]):
    table = table_of(rows)
    assume(table["label"].n_unique() > 1)
    encoding = fit(table)
    features = encoding.features_of(table)
    assert features.shape == (len(rows), encoding.n_inputs)
    assert np.isfinite(encoding.features_of(table_of(others)).astype(np.float32)).all()
    by_row = np.concatenate([encoding.features_of(table[index]) for index in range(len(rows))])
    np.testing.assert_array_equal(features, by_row)
    start = 0
    for feature in encoding.features:
        inputs = features[:, start : start + feature.n_inputs]
        start += feature.n_inputs
        if isinstance(feature, NumericFeature):
            present = table[feature.name].is_not_null().to_numpy()
            assert math.isclose(inputs[present, 0].mean(), 0, abs_tol=1e-6)
            assert inputs[present, 0].std() == pytest.approx(1) or np.ptp(inputs[present, 0]) < 1e-6
        else:
            assert (inputs.sum(axis=1) == 1).all()  # every training row has a category


def test_the_penguins():
    table = read_table(PENGUINS, "csv")
    encoding = fit(table, "species", rows=np.arange(1, 344, 2))
    # islands 3, four measures with an indicator each, sex with missing 3, year 1
    assert encoding.n_inputs == 3 + 4 * 2 + 3 + 1
    features = encoding.features_of(table)
    assert np.isfinite(features).all()
    assert encoding.target_of(table).max() == 2


def test_every_input_has_a_name():
    table = pl.DataFrame(
        {
            "mass": [1.0, 2.0, None, 4.0],
            "island": ["a", "b", "c", "c"],
            "seen": [datetime(2020, month, 1) for month in (1, 2, 3, 4)],
            "label": ["no", "yes", "no", "yes"],
        }
    )
    columns = [
        column.model_copy(update={"kind": "date"}) if column.name == "seen" else column for column in summarize(table)
    ]
    choices = EncodingChoices(max_categories=2)
    encoding = fit_encoding(table, columns, "label", "classification", np.arange(4), choices)
    assert len(encoding.input_names) == encoding.n_inputs
    assert encoding.input_names[:5] == ["mass", "mass is missing", "island = a", "island = c", "island is another"]
    assert encoding.input_names[5:7] == ["seen", "sine of the week of seen"]
