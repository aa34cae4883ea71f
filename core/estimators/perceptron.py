"""What the classifier and the regressor share: their parameters and their training."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from core import arguments
from core.backend import get_backend
from core.checkpoint import Checkpoint
from core.estimators.patience import Patience
from core.estimators.samples import Samples
from core.estimators.solver import number, optimizer_of, schedule_of
from core.estimators.trained import FLOATS, Trained
from core.fitting import train
from core.layers import Dense, Dropout, Layer
from core.losses import Loss
from core.network import Network
from core.optimizers import Optimizer
from core.record import Record
from core.schedules import Schedule
from core.training import Training
from core.weights import own_weights

BATCH_SIZE = 200
"""Samples of a step for batch_size="auto", where there are as many; scikit-learn's number."""

OUR_NAME = {"logistic": "sigmoid"}
"""The activation that has another name in scikit-learn."""


@dataclass(eq=False, repr=False)
class MultilayerPerceptron(Trained, BaseEstimator, ABC):
    """A fully connected network with scikit-learn's interface; see `MLPClassifier` and `MLPRegressor`."""

    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: str = "relu"
    _: KW_ONLY
    solver: str | Optimizer = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: str | Schedule = "constant"
    learning_rate_init: float = 0.001
    max_iter: int = 200
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None
    tol: float = 1e-4
    verbose: bool = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    dropout: float = 0.0
    backend: str = "numpy"
    dtype: str | None = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X and y until `tol` and `n_iter_no_change` end it, or `max_iter` epochs are over.

        With `warm_start`, and after an earlier call, training goes on from where that ended, with its weights, the
        solver's memory and the random stream; network, solver and loss must be the same.

        Args:
            X: `(n_samples, n_features)`.
            y: targets, `(n_samples,)` or `(n_samples, n_outputs)`.
            sample_weight: w `(n_samples,)` ≥ 0, for the mean Σ w value / Σ w; all equal where not given. It counts for
                the samples held out for early stopping too. A sample of the weight 0 is left out.

        Raises:
            ValueError: where an argument or a parameter isn't allowed; the message names it.
            NonFiniteError: where the loss or a weight is no longer finite.
        """
        patience, first = self._patience(), not (self.warm_start and hasattr(self, "network_"))
        (network, samples), held_out = self._begin(X, y, sample_weight, first), None
        if self.early_stopping:
            samples, held_out = samples.held_out(self.validation_fraction, self._seed, stratify=self._stratify)
        training = self._training(network, samples, held_out, self._epochs_before + self._max_iter)
        self.n_iter_, self.best_validation_score_, best = 0, None, None
        for record in training:
            self._take_note(record, samples)
            if patience.is_best(record.metrics["score"] if held_out else self.loss_) and held_out:
                self.best_validation_score_, best = record.metrics["score"], training.checkpoint()
            if patience.is_over:
                break
        else:
            warnings.warn(
                f"max_iter: {self.max_iter} epochs are over, and training hasn't converged to within tol={self.tol:g}; "
                "raise max_iter or learning_rate_init",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._keep(network, best or training.checkpoint())
        return self

    @property
    @abstractmethod
    def _stratify(self) -> bool:
        """Whether the samples held out shall have the labels in the same shares."""

    @abstractmethod
    def _loss(self) -> Loss:
        """Return J, for the targets that were seen."""

    @abstractmethod
    def _learn(self, y: Any, classes: Any) -> None:
        """Take from the first y, or from all classes where they are given, what there is to predict."""

    @abstractmethod
    def _targets(self, y: Any) -> np.ndarray:
        """Return y as the loss takes it."""

    @abstractmethod
    def _score(self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> float:
        """Return what early stopping goes by, for targets as the loss takes them."""

    def _with_class_weight(self, y: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        """Return the samples' weights, with those of their classes."""
        return weights

    def _fit_one_epoch(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        if self.early_stopping:
            raise ValueError("early_stopping: True is not allowed in partial_fit, which has one epoch; use fit")
        if optimizer_of(self).full_batch:
            raise ValueError(
                f"solver: {self.solver!r} is not allowed in partial_fit, as it remembers other samples' gradients; "
                "use fit, or another solver"
            )
        network, samples = self._begin(X, y, sample_weight, not hasattr(self, "network_"), classes)
        training = self._training(network, samples, None, max(self._max_iter, self._epochs_before + 1))
        self._take_note(next(training), samples)
        self._keep(network, training.checkpoint())
        return self

    def _begin(self, X: Any, y: Any, sample_weight: Any, first: bool, classes: Any = None) -> tuple[Network, Samples]:
        """Return the network, the first time a new one, and the samples as it takes them."""
        if first:
            vars(self).pop("network_", None)  # so that a fit that fails leaves nothing that seems fitted
        x, y = cast(
            tuple[Any, Any],
            validate_data(self, X, y, multi_output=True, y_numeric=is_regressor(self), dtype=FLOATS, reset=first),
        )
        if first:
            self._learn(y, classes)
        targets = self._targets(y)
        weights = None if sample_weight is None else own_weights(sample_weight, len(x))
        weights = self._with_class_weight(targets, weights)
        layers = tuple(self._layers())
        if first:
            self._checkpoint, self._seed = None, self._drawn_seed()
            self.n_layers_, self.t_, self.n_iter_ = len(self._hidden_layer_sizes()) + 2, 0, 0
            self.loss_curve_, self.validation_scores_, self.validation_loss_curve_ = [], None, None
            self.best_validation_score_ = None
            backend = get_backend(self.backend, self.dtype or str(x.dtype))
            network = Network(x.shape[1], layers, backend=backend, seed=self._seed)
        else:
            network = self.network_
        if network.layers != layers:
            raise ValueError(
                "hidden_layer_sizes, activation, dropout, loss: the network that is trained further has the layers "
                f"{network.layers}, not {layers}; leave the parameters as they were, or begin anew with "
                "warm_start=False"
            )
        samples = Samples(x, targets, weights)
        return network, samples if weights is None or weights.all() else samples[weights > 0]

    def _training(self, network: Network, samples: Samples, held_out: Samples | None, epochs: int) -> Training:
        optimizer, batch_size = optimizer_of(self), min(BATCH_SIZE, len(samples))
        if optimizer.full_batch:
            batch_size = len(samples)
        elif self.batch_size != "auto":
            batch_size = min(arguments.integer("batch_size", self.batch_size, 1), len(samples))
        alpha = number("alpha", self.alpha, 0, low_allowed=True)
        schedule, loss = schedule_of(self), self._loss()
        self._refuse_other("solver", "optimizer", optimizer)
        self._refuse_other("learning_rate", "schedule", schedule)
        self._refuse_other("loss", "loss", loss)

        def score(y: np.ndarray, outputs: np.ndarray) -> float:
            return self._score(y, outputs, held_out.weights if held_out else None)

        return train(
            *(network, samples.x, samples.y),
            loss=loss,
            optimizer=optimizer,
            schedule=schedule,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=bool(self.shuffle),
            validation=(held_out.x, held_out.y, held_out.weights) if held_out else None,
            metrics={"score": score} if held_out else None,
            sample_weight=samples.weights,
            seed=self._seed,
            l2=alpha / (batch_size * samples.mean_weight) or None,
            resume=self._checkpoint,
        )

    def _refuse_other(self, name: str, choice: str, chosen: object) -> None:
        """Refuse to go on from a checkpoint with a `chosen` object of another class than before."""
        before = self._checkpoint.data["choices"][choice] if self._checkpoint else None
        if before not in (None, type(chosen).__name__):
            raise ValueError(
                f"{name}: {getattr(self, name)!r} is not allowed to go on from a training with {before}; leave it as "
                "it was, or begin anew with warm_start=False"
            )

    def _take_note(self, record: Record, samples: Samples) -> None:
        self.loss_ = float(record.loss)
        self.loss_curve_.append(self.loss_)
        self.n_iter_ += 1
        self.t_ += len(samples)
        said = f"epoch {record.epoch}: loss {self.loss_:.8f}"
        if record.validation_loss is not None:
            loss, score = float(record.validation_loss), record.metrics["score"]
            self.validation_loss_curve_ = [*(self.validation_loss_curve_ or []), loss]
            self.validation_scores_ = [*(self.validation_scores_ or []), score]
            said += f", of the validation samples {loss:.8f}, their score {score:.6f}"
        if self.verbose:
            print(said)

    def _keep(self, network: Network, checkpoint: Checkpoint) -> None:
        """Give the network the weights of a checkpoint, and go on from there, should there be more training."""
        self.network_, self._checkpoint = network, checkpoint
        for name, kept in (("parameters", network.parameters), ("state", network.state)):
            kept[...] = network.backend.asarray(checkpoint.arrays[name])

    @property
    def _epochs_before(self) -> int:
        return self._checkpoint.data["epoch"] if self._checkpoint else 0

    @property
    def _max_iter(self) -> int:
        return arguments.integer("max_iter", self.max_iter, 1)

    def _patience(self) -> Patience:
        epochs, tol = self.n_iter_no_change, number("tol", self.tol, 0, low_allowed=True)
        if epochs != np.inf:
            epochs = arguments.integer("n_iter_no_change", epochs, 1)
        return Patience(epochs, tol, higher_is_better=bool(self.early_stopping))

    def _drawn_seed(self) -> int:
        """Return the seed of everything random: `random_state` itself where that is an integer."""
        if isinstance(self.random_state, int | np.integer):
            return arguments.integer("random_state", self.random_state, 0)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _hidden_layer_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes if isinstance(self.hidden_layer_sizes, Iterable) else [self.hidden_layer_sizes]
        return [arguments.integer("hidden_layer_sizes", size, 1) for size in sizes]

    def _layers(self) -> list[Layer[Any]]:
        activation = OUR_NAME.get(self.activation, self.activation)
        dropout = number("dropout", self.dropout, 0, 1, low_allowed=True)
        layers: list[Layer[Any]] = []
        for size in self._hidden_layer_sizes():
            layers += [Dense(size, activation), *([Dropout(dropout)] if dropout else [])]
        return [*layers, Dense(self.n_outputs_, self._loss().output_activation or "identity")]
