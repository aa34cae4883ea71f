"""Weights of samples and of classes: a weight of 2 is the row twice, 0 its absence, in J, its gradient and training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core import LOSSES, Adam, Dense, Network, Sgd, fit, get_backend, train
from core.backend import Backend
from core.losses import Loss
from core.randomness import Purpose, generator
from core.weights import weighted
from tests.core.losses.targets import targets_for

FLOAT64 = get_backend("numpy", "float64", compiled=False)
EPS = float(np.finfo(np.float64).eps)
RNG = np.random.default_rng(0)
M = 10
X = RNG.standard_normal((M, 3))
WHOLE = np.array([2, 1, 0, 3, 1, 1, 0, 2, 1, 4])
"""Weights that are whole numbers: rows repeated so many times mean the same."""
ROWS = np.repeat(np.arange(M), WHOLE)
FRACTIONS = RNG.random(M) + 0.1
LABELS = np.array([0, 2, 1, 0, 0, 1, 0, 2, 0, 0])
EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)


def network(name: str, seed: int | list[int] = 0, backend: Backend = FLOAT64) -> Network:
    return Network(
        3, [Dense(4, "tanh"), Dense(3, LOSSES[name].output_activation or "identity")], backend=backend, seed=seed
    )


def targets(name: str) -> np.ndarray:
    return targets_for(LOSSES[name], np.random.default_rng(1), (M, 3))


def assert_close(got: object, expected: object) -> None:
    """Allow for some dozens of roundings of numbers of the order of 1 to 10."""
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=500 * EPS, atol=500 * EPS)


# ------------------------------------------------------------------------------------------- J and its gradient


@EVERY_LOSS
def test_a_weight_of_2_is_the_row_twice_and_0_its_absence(name: str) -> None:
    net, y = network(name), targets(name)
    value, gradient = net.gradient(X, y, name, sample_weight=WHOLE)
    expected_value, expected = net.gradient(X[ROWS], y[ROWS], name)
    assert_close(value, expected_value)
    assert_close(gradient, expected)
    assert_close(net.evaluate(X, y, name, sample_weight=WHOLE), expected_value)


@EVERY_LOSS
def test_j_is_the_weighted_mean_of_the_samples_losses(name: str) -> None:
    net, y = network(name), targets(name)
    value, gradient = net.gradient(X, y, name, sample_weight=FRACTIONS)
    alone = [net.gradient(X[k : k + 1], y[k : k + 1], name) for k in range(M)]
    shares = FRACTIONS / FRACTIONS.sum()
    assert_close(value, shares @ np.array([j for j, _ in alone]))
    assert_close(gradient, shares @ np.array([each for _, each in alone]))
    assert_close(net.evaluate(X, y, name, sample_weight=FRACTIONS), value)


def test_only_the_proportions_of_the_weights_matter() -> None:
    net, y = network("squared_error"), targets("squared_error")
    for factor in (1e-200, 1e200):
        assert_close(
            net.gradient(X, y, "squared_error", sample_weight=factor * FRACTIONS)[1],
            net.gradient(X, y, "squared_error", sample_weight=FRACTIONS)[1],
        )
    # Equal weights are none, to the rounding of their mean.
    assert_close(net.gradient(X, y, "squared_error", np.full(M, 0.3))[1], net.gradient(X, y, "squared_error")[1])


def test_what_a_sample_of_the_weight_0_holds_spoils_nothing() -> None:
    """It is left out, not multiplied by 0: its own loss would be infinite, and 0 · ∞ isn't a number."""
    net, y, spoiled = Network(3, [Dense(3)], backend=FLOAT64), targets("squared_error"), X.copy()
    spoiled[WHOLE == 0] = 1e200
    for got, expected in zip(
        net.gradient(spoiled, y, "squared_error", WHOLE), net.gradient(X, y, "squared_error", WHOLE), strict=True
    ):
        np.testing.assert_array_equal(got, expected)
    assert np.isfinite(net.evaluate(spoiled, y, "squared_error", WHOLE))
    fit(net, spoiled, y, loss="squared_error", epochs=2, batch_size=3, sample_weight=WHOLE)
    assert np.isfinite(net.parameters).all()


def test_more_samples_than_a_chunk_are_weighted_as_one() -> None:
    x, y, weights = RNG.standard_normal((9001, 3)), RNG.random((9001, 3)), RNG.random(9001)
    net = network("squared_error")
    losses = ((net.predict(x) - y) ** 2).sum(axis=1) / 2
    # Sums of 9001 terms.
    assert net.evaluate(x, y, "squared_error", weights) == pytest.approx(np.average(losses, weights=weights), rel=1e-12)


# ----------------------------------------------------------------------------------------------- in training


@EVERY_LOSS
def test_training_with_weights_is_training_with_repeated_rows(name: str) -> None:
    """With all samples in one batch, so that both see the same J at each step."""
    weighted_net, repeated, y = network(name), network(name), targets(name)
    options: dict[str, Any] = {"loss": name, "optimizer": Sgd(0.05, momentum=0.5), "epochs": 5, "shuffle": False}
    curve = fit(weighted_net, X, y, batch_size=M, sample_weight=WHOLE, **options)
    expected = fit(repeated, X[ROWS], y[ROWS], batch_size=len(ROWS), **options)
    assert_close(weighted_net.parameters, repeated.parameters)
    assert_close([record.loss for record in curve], [record.loss for record in expected])


@EVERY_LOSS
def test_training_without_the_samples_of_the_weight_0_has_the_same_bits(name: str) -> None:
    nets, y, there = [network(name), network(name)], targets(name), WHOLE > 0
    options: dict[str, Any] = {"loss": name, "optimizer": Adam(0.01), "epochs": 3, "batch_size": 3}
    fit(nets[0], X, y, sample_weight=WHOLE, **options)
    fit(nets[1], X[there], y[there], sample_weight=WHOLE[there], **options)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


@EVERY_LOSS
def test_each_batch_has_weights_of_its_own(name: str) -> None:
    """An epoch in batches of 4, 4 and 2, written out: J = Σ w value / Σ w, both sums over the batch."""
    net, by_hand, y = network(name), network(name), targets(name)
    (record,) = fit(
        net, X, y, loss=name, optimizer=Sgd(0.05), epochs=1, batch_size=4, seed=3, sample_weight=FRACTIONS
    )  # fmt: skip
    order, total = generator(3, Purpose.ORDER_OF_SAMPLES, 1).permutation(M), 0.0
    for start in range(0, M, 4):
        rows = order[start : start + 4]
        value, gradient = by_hand.gradient(X[rows], y[rows], name, FRACTIONS[rows])
        by_hand.parameters -= 0.05 * gradient
        total += float(value) * FRACTIONS[rows].sum()
    assert_close(net.parameters, by_hand.parameters)
    assert_close(record.loss, total / FRACTIONS.sum())


def test_validation_samples_have_weights_of_their_own() -> None:
    net, y = network("squared_error"), targets("squared_error")
    options: dict[str, Any] = {"loss": "squared_error", "epochs": 1, "sample_weight": FRACTIONS}
    (plain,) = fit(net, X, y, validation=(X, y), **options)
    assert plain.validation_loss == net.evaluate(X, y, "squared_error")
    (with_weights,) = fit(net, X, y, validation=(X, y, WHOLE), **options)
    assert with_weights.validation_loss == net.evaluate(X, y, "squared_error", WHOLE)


def test_a_fleet_weighs_as_its_networks_would_alone() -> None:
    fleet, y = network("softmax_cross_entropy", [4, 2]), targets("softmax_cross_entropy")
    options: dict[str, Any] = {"loss": "softmax_cross_entropy", "epochs": 3, "batch_size": 4}
    options |= {"sample_weight": FRACTIONS, "class_weight": "balanced"}
    fit(fleet, X, y, **options)
    for k, seed in enumerate((4, 2)):
        alone = network("softmax_cross_entropy", seed)
        fit(alone, X, y, **options)
        # Nine steps of Adam, which turns a rounding of a gradient into one of a step.
        np.testing.assert_allclose(fleet.parameters[k], alone.parameters, rtol=1e-11, atol=1e-14)


def test_every_backend_weighs_alike(backend: Backend) -> None:
    y = targets("softmax_cross_entropy")
    nets = [network("softmax_cross_entropy", backend=each) for each in (backend, FLOAT64)]
    for net in nets:
        fit(
            net, X, y, loss="softmax_cross_entropy", optimizer=Sgd(0.1), epochs=3, batch_size=4, sample_weight=FRACTIONS
        )
    values = [net.evaluate(X, y, "softmax_cross_entropy", WHOLE) for net in nets]
    eps = float(np.finfo(backend.dtype).eps)
    # Nine steps of some 50 roundings each.
    np.testing.assert_allclose(backend.to_host(nets[0].parameters), nets[1].parameters, rtol=0, atol=450 * eps)
    assert values[0] == pytest.approx(float(values[1]), rel=450 * eps)


# -------------------------------------------------------------------------------------------------- classes


def weights_of(loss: str | Loss, y: np.ndarray, **options: Any) -> np.ndarray:
    rule = LOSSES[loss] if isinstance(loss, str) else loss
    weights = weighted(rule, np.zeros((len(y), 1)), y, **options)[2]
    assert weights is not None
    assert weights.mean() == pytest.approx(1, rel=4 * EPS)
    return weights


def test_balanced_classes_weigh_the_same() -> None:
    # 6 of class 0, 2 of class 1, 2 of class 2: n_samples / (n_classes · count) is 10/18, 10/6, 10/6.
    weights = weights_of("softmax_cross_entropy", LABELS, class_weight="balanced")
    assert_close(weights, np.array([10 / 18, 10 / 6, 10 / 6])[LABELS])
    assert_close([weights[c == LABELS].sum() for c in range(3)], [10 / 3] * 3)


def test_balanced_classes_weigh_the_same_with_the_samples_own_weights_too() -> None:
    weights = weights_of("softmax_cross_entropy", LABELS, class_weight="balanced", sample_weight=FRACTIONS)
    assert_close([weights[c == LABELS].sum() for c in range(3)], [10 / 3] * 3)
    within = weights[LABELS == 0] / FRACTIONS[LABELS == 0]
    assert_close(within, np.full(6, within[0]))  # within a class, the samples' own weights decide


def test_a_class_that_does_not_occur_takes_no_share() -> None:
    y = np.array([0, 0, 0, 3])
    assert_close(weights_of("softmax_cross_entropy", y, class_weight="balanced"), [2 / 3, 2 / 3, 2 / 3, 2])
    # One whose samples all have the weight 0 doesn't either.
    weights = weights_of(
        "softmax_cross_entropy", np.array([0, 0, 1, 2]), class_weight="balanced", sample_weight=[1, 1, 1, 0]
    )
    assert_close(weights, [0.75, 0.75, 1.5])


def test_named_classes_have_their_weights_and_the_others_1() -> None:
    weights = weights_of("softmax_cross_entropy", LABELS, class_weight={0: 0.5, 2: 3})
    plain = np.array([0.5, 1, 3])[LABELS]
    assert_close(weights, plain / plain.mean())
    both = weights_of("softmax_cross_entropy", LABELS, class_weight={0: 0.5, 2: 3}, sample_weight=FRACTIONS)
    assert_close(both, plain * FRACTIONS / (plain * FRACTIONS).mean())


@pytest.mark.parametrize("name", ["binary_cross_entropy", "binary_focal", "hinge"])
def test_zeros_and_ones_of_one_output_are_classes(name: str) -> None:
    y = np.array([0.0, 0.0, 0.0, 1.0])[:, None]
    assert_close(weights_of(name, y, class_weight="balanced"), [2 / 3, 2 / 3, 2 / 3, 2])
    assert_close(weights_of(name, y, class_weight={1: 3}), [2 / 3, 2 / 3, 2 / 3, 2])


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.5, 2: 3.0}, {1: 0}], ids=str)
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "softmax_focal"])
def test_training_with_weights_of_classes_is_training_with_those_of_their_samples(name: str, class_weight: Any) -> None:
    nets = [network(name), network(name)]
    of_class = [10 / 18, 10 / 6, 10 / 6] if class_weight == "balanced" else [class_weight.get(c, 1) for c in range(3)]
    options: dict[str, Any] = {"loss": name, "optimizer": Sgd(0.1), "epochs": 3, "batch_size": 4}
    fit(nets[0], X, LABELS, class_weight=class_weight, **options)
    fit(nets[1], X, LABELS, sample_weight=np.array(of_class)[LABELS], **options)
    assert_close(nets[0].parameters, nets[1].parameters)


# ------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([1.0] * (M - 1), rf"sample_weight: the dtype float64 and the shape \({M - 1},\) are not allowed.*each of {M}"),
        ([["1"] * M], "sample_weight: the dtype <U1"),
        ([1.0] * (M - 1) + [-1.0], f"sample_weight: -1.0 in row {M - 1} is not allowed; it must be ≥ 0 and finite"),
        ([1.0, np.nan] + [1.0] * (M - 2), "sample_weight: nan in row 1"),
        ([np.inf] + [1.0] * (M - 1), "sample_weight: inf in row 0"),
        ([0.0] * M, "sample_weight: every weight is zero; at least one must be > 0"),
    ],
)
def test_weights_that_are_not_allowed_are_refused_wherever_they_go(weights: object, says: str) -> None:
    net, y = network("squared_error"), targets("squared_error")
    for call in (
        lambda: net.gradient(X, y, "squared_error", weights),
        lambda: net.evaluate(X, y, "squared_error", weights),
        lambda: train(net, X, y, loss="squared_error", sample_weight=weights),
        lambda: train(net, X, y, loss="squared_error", validation=(X, y, weights)),
    ):
        with pytest.raises(ValueError, match=says):
            call()


@pytest.mark.parametrize(
    ("name", "y", "class_weight", "says"),
    [
        (
            "softmax_cross_entropy",
            LABELS,
            "equal",
            "class_weight: 'equal' is not allowed; it must be 'balanced' or a map",
        ),
        ("softmax_cross_entropy", LABELS, {3: 1.0}, "there is no label 3 in y; its labels are integers from 0 to 2"),
        ("softmax_cross_entropy", LABELS, {"0": 1.0}, "there is no label '0' in y"),
        ("softmax_cross_entropy", LABELS, {True: 1.0}, "there is no label True in y"),
        ("softmax_cross_entropy", LABELS, {0: -1.0}, "class_weight: -1.0 for 0 is not allowed; it must be ≥ 0 and fin"),
        ("softmax_cross_entropy", LABELS, {0: np.nan}, "class_weight: nan for 0"),
        ("softmax_cross_entropy", LABELS, {0: 0, 1: 0, 2: 0}, "class_weight: every sample's weight is zero"),
        (
            "squared_error",
            np.zeros((M, 3)),
            "balanced",
            "squared_error has no classes to weigh here; it takes a loss for",
        ),
        ("binary_cross_entropy", np.zeros((M, 3)), "balanced", "binary_cross_entropy has no classes to weigh here"),
        ("softmax_cross_entropy", np.full((M, 3), 1 / 3), "balanced", "softmax_cross_entropy has no classes to weigh"),
    ],
)
def test_weights_of_classes_that_are_not_allowed_are_refused(
    name: str, y: np.ndarray, class_weight: Any, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        train(network(name), X, y, loss=name, class_weight=class_weight)
