"""The way into training: arguments are checked here, all of them before the first step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ParamSpec

import numpy as np

from core import arguments
from core.checkpoint import Checkpoint
from core.early_stopping import EarlyStopping
from core.losses import Loss
from core.named import by_name
from core.network import Network
from core.optimizers import OPTIMIZERS, Optimizer, PerNetwork
from core.optimizers.optimizer import require
from core.record import Metric, Record
from core.regularization import Regularization
from core.resuming import check, choices
from core.schedules import SCHEDULES, ConstantRate, Schedule
from core.steps import Steps
from core.training import Plan, Training
from core.validation import Validation
from core.weights import ClassWeight, weights_of

Arguments = ParamSpec("Arguments")
BATCH_SIZE = 32
"""Samples of a step where nothing else is asked for."""


def train(
    network: Network,
    x: object,
    y: object,
    *,
    loss: str | Loss,
    optimizer: str | Optimizer | Sequence[Optimizer] = "adam",
    schedule: str | Schedule = "constant",
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool = True,
    validation: tuple[object, object] | tuple[object, object, object] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    sample_weight: object = None,
    class_weight: ClassWeight | None = None,
    seed: int | None = None,
    l1: float | None = None,
    l2: float | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
    max_norm: float | None = None,
    average: float | None = None,
    early_stopping: EarlyStopping | None = None,
    resume: Checkpoint | None = None,
) -> Training:
    """Train `network` in place and yield a `Record` at the end of each epoch.

    What is returned is an iterator that can also be taken in smaller parts, and left and resumed at any step: see
    `Training`.

    Each epoch goes through all samples once, in batches of `batch_size` (the last may be smaller), in an order drawn
    from (seed, epoch) on the host. All arguments are checked before the first step, at the call itself. Equal
    arguments give equal numbers to the last bit, on the same machine with the same libraries.

    Args:
        network: what to train; a fleet shares x and y, and each of its networks has an order of its own.
        x: samples, `(n_samples, n_inputs)`; they may be memory-mapped, `np.load(path, mmap_mode="r")`, and larger than
            the memory. On the host they aren't copied, but for 32 MiB at most; batches are converted where they must.
        y: targets, as the loss takes them, one for each sample.
        loss: name of a loss, or a `Loss`.
        optimizer: name of an optimizer, with its defaults, or an `Optimizer`; for a fleet also a list of one for each
            network, of one class.
        schedule: name of a schedule, with its defaults, or a `Schedule`: of the optimizer's learning rate.
        epochs: how many times to go through the samples.
        batch_size: samples of a step; where not given 32, or all of them for an optimizer that must see all.
        shuffle: whether to draw a new order for each epoch; otherwise the samples come as they are.
        validation: samples and targets that are not trained on, and, as a third, weights for their loss, where it is to
            have any: those of training don't apply to it, nor does `class_weight`.
        metrics: functions of the validation targets and outputs, by name; for one network, not for a fleet.
        sample_weight: w `(n_samples,)` ≥ 0, for J = Σ w value / Σ w, where both sums are over the step's batch. A
            sample of the weight 0 is left out before training, so that every batch has weight.
        class_weight: from labels to weights (1 for what isn't named), or "balanced", n_samples / (n_classes · count);
            for losses whose targets are labels, or 0 and 1 for one output. It multiplies `sample_weight`.
        seed: of the order; the network's own seed where not given.
        l1, l2: penalties of the weights, `Regularization`. The recorded losses leave them out and so remain comparable;
            `penalty` computes them.
        clip_value, clip_norm: bounds of the gradient, penalties included, `Regularization`.
        max_norm: bound of the norm of each unit's weights, `Regularization`.
        average: β, between 0 and 1; at the end of each epoch, where it is measured, and so at the end of training too,
            the network holds the mean of its parameters after all steps, in which those of k steps ago count βᵏ
            (`core.averaging`). Training itself goes on from where it was. States such as running means aren't averaged.
        early_stopping: when to end before all epochs are over, and whether to restore the best weights.
        resume: a checkpoint of an earlier training to go on from: on the same processor, to the same bits as if that
            had never stopped. The network is given its weights. `core.resuming` has the list of what may differ.

    Raises:
        ValueError: for an argument that isn't allowed or doesn't fit another; the message names it.
        NonFiniteError: from the iterator, where the loss or a parameter is no longer finite; the message says where
            that began. Of a fleet, the networks that are still finite go on, and the others' losses are NaN or ±∞.

    >>> from core import Dense
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> net = Network(1, [Dense(8, "tanh"), Dense(1)])
    >>> records = list(train(net, x, x**2, loss="squared_error", epochs=20))
    >>> records[-1].epoch, records[-1].step, records[-1].loss < records[0].loss
    (20, 40, True)
    """
    rule = arguments.fitting_loss(loss, network.output_activation)
    samples = arguments.finite("x", arguments.samples("x", x, network.n_inputs))
    n_samples = arguments.integer("the number of samples in x", len(samples), 1)
    targets = arguments.targets(rule, y, network.n_outputs, n_samples)
    weights = weights_of(rule, targets, sample_weight, class_weight)
    if weights is not None:
        n_samples = int(np.count_nonzero(weights))
    rate = _optimizer(network, optimizer)
    factors = by_name("schedule", schedule, {name: make() for name, make in SCHEDULES.items()}, Schedule)
    if factors.listens and network.leading:
        raise ValueError("schedule: one that listens to the loss is not allowed for a fleet, which has several losses")
    regularization = Regularization(l1=l1, l2=l2, clip_value=clip_value, clip_norm=clip_norm, max_norm=max_norm)
    if average is not None:
        require("average", average, 0, 1)
    arguments.integer("epochs", epochs, 1)
    size = batch_size_for(batch_size, rate, n_samples)
    seeds = network.seed if seed is None else arguments.integer("seed", seed, 0)
    held_out = _validation(network, rule, validation)
    metrics = dict(metrics or {})
    if metrics and (held_out is None or network.leading):
        raise ValueError("metrics: they are computed on validation samples of one network; give `validation`, no fleet")
    if early_stopping is not None:
        _check_early_stopping(network, early_stopping, held_out is not None, metrics)
    if rate.full_batch:
        _check_full_batch(network, rate, factors, regularization)
    chosen = choices(
        network,
        loss=rule,
        optimizer=rate.each if isinstance(rate, PerNetwork) else rate,
        schedule=factors,
        epochs=epochs,
        batch_size=size,
        shuffle=shuffle,
        seed=seeds,
        l1=l1,
        l2=l2,
        clip_value=clip_value,
        clip_norm=clip_norm,
        max_norm=max_norm,
        average=average,
        early_stopping=early_stopping,
    )
    # The sum over all samples is the same in any order, but for its last bits, which a line search would notice.
    steps = Steps(network, rule, samples, targets, weights, size, seeds, shuffle and not rate.full_batch)
    if resume is not None:
        check(resume, chosen, steps.fingerprint())
    plan = Plan(rule, rate, factors, regularization, average, epochs, held_out, metrics, early_stopping, chosen)
    training = Training(network, plan, steps)
    if resume is not None:
        training.resume(resume)
    return training


def _to_the_end(generator: Callable[Arguments, Iterator[Record]]) -> Callable[Arguments, list[Record]]:
    def fit(*args: Arguments.args, **kwargs: Arguments.kwargs) -> list[Record]:
        """Run `train`, which has the same arguments, to its end and return all its records: the loss curve.

        >>> from core import Dense
        >>> net = Network(2, [Dense(4, "tanh"), Dense(1, "sigmoid")])
        >>> curve = fit(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1], loss="binary_cross_entropy", epochs=3)
        >>> [record.epoch for record in curve]
        [1, 2, 3]
        """
        return list(generator(*args, **kwargs))

    # So that help(fit) shows them.
    fit.__signature__ = inspect.signature(generator).replace(return_annotation="list[Record]")
    return fit


fit = _to_the_end(train)


def _optimizer(network: Network, optimizer: str | Optimizer | Sequence[Optimizer]) -> Optimizer:
    if isinstance(optimizer, str | Optimizer) or not isinstance(optimizer, Sequence):
        return by_name("optimizer", optimizer, {name: make() for name, make in OPTIMIZERS.items()}, Optimizer)
    if network.leading != (len(optimizer),):
        raise ValueError(
            f"optimizer: a list of {len(optimizer)} is not allowed; it takes a fleet of as many networks, and this is "
            f"{'a fleet of ' + str(network.leading[0]) if network.leading else 'one network'}"
        )
    return PerNetwork(optimizer)


def batch_size_for(batch_size: int | None, optimizer: Optimizer, n_samples: int) -> int:
    """Return the samples of a step, of `n_samples`, where `train` was asked for `batch_size`."""
    if batch_size is None:
        return n_samples if optimizer.full_batch else min(BATCH_SIZE, n_samples)
    arguments.integer("batch_size", batch_size, 1)
    if optimizer.full_batch and batch_size < n_samples:
        raise ValueError(
            f"batch_size: {batch_size} is not allowed; {optimizer.name} takes all {n_samples} samples in a step, so "
            "leave it out"
        )
    return min(batch_size, n_samples)


def _check_full_batch(
    network: Network, optimizer: Optimizer, schedule: Schedule, regularization: Regularization
) -> None:
    """Refuse what `optimizer`, which searches for a lower value of one smooth function, can't take into account."""
    if network.leading:
        raise ValueError(f"optimizer: {optimizer.name} is not allowed for a fleet, as each network has its own steps")
    for name in ("l1", "clip_value", "clip_norm", "max_norm"):
        if getattr(regularization, name) is not None:
            raise ValueError(
                f"{name}: {getattr(regularization, name)!r} is not allowed with {optimizer.name}, whose steps need the "
                "gradient of a smooth function; leave it out"
            )
    if not isinstance(schedule, ConstantRate):
        raise ValueError(
            f"schedule: {schedule!r} is not allowed with {optimizer.name}, which finds its own step length"
        )


def _check_early_stopping(
    network: Network, early_stopping: EarlyStopping, has_validation: bool, metrics: Mapping[str, Metric]
) -> None:
    if network.leading:
        raise ValueError("early_stopping: a fleet is not allowed; its networks would stop at different epochs")
    there = ["loss", *(["validation_loss"] if has_validation else []), *metrics]
    if early_stopping.monitor not in there:
        raise ValueError(
            f"early_stopping: the training has no {early_stopping.monitor!r} to monitor; it has {', '.join(there)}"
        )


def _validation(
    network: Network, loss: Loss, validation: tuple[object, object] | tuple[object, object, object] | None
) -> Validation | None:
    if validation is None:
        return None
    x, y, weights = validation if len(validation) == 3 else (*validation, None)
    samples = arguments.samples("validation x", x, network.n_inputs)
    arguments.integer("the number of samples in validation x", len(samples), 1)
    targets = arguments.targets(loss, y, network.n_outputs, len(samples))
    return Validation(network, loss, samples, targets, weights)
