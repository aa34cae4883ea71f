"""The classifier: two classes, several, or several labels at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from core.estimators.perceptron import MultilayerPerceptron
from core.estimators.solver import number
from core.losses import LOSSES, Loss
from core.named import by_name
from core.weights import weights_of_classes


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, MultilayerPerceptron):
    """A fully connected network that tells classes, with scikit-learn's interface.

    The last layer is one sigmoid unit for two classes, softmax for several, and a sigmoid unit for each label where y
    is a matrix of 0 and 1 (multilabel). Parameters mean what they mean in scikit-learn's `MLPClassifier`, but:

    - Initial weights are those of `core.Dense`: He's for relu, and biases begin at 0.
    - `alpha` is α of the penalty α/(2m)·Σθ² over all weights, where m is `batch_size` times the mean sample weight; a
      last, smaller batch has the same penalty. `loss_curve_` leaves it out, so that curves of several α compare.
    - `epsilon` is added after the correction for the start, as in Adam's algorithm 1.
    - `learning_rate` is "constant", or another schedule of `core.SCHEDULES`.
    - Predictions and `partial_fit` are the same for equal `random_state`, to the last bit on one machine; k calls of
      `partial_fit` are a `fit` of k epochs.

    Args:
        hidden_layer_sizes: units of each hidden layer; a number is one layer.
        activation: of the hidden layers, one of `core.ACTIVATIONS`; "logistic" is "sigmoid".
        loss: "log_loss", the cross-entropy; or another for the last layer, such as "softmax_focal",
            `core.BinaryFocal(gamma=1)` or `core.SoftmaxCrossEntropy(smoothing=0.1)`.
        solver: name of one of `core.OPTIMIZERS`, or an `Optimizer`, which has its numbers itself. `learning_rate_init`
            is for all by name, `momentum` and `nesterovs_momentum` for "sgd", `beta_1`, `beta_2` and `epsilon` for
            "adam" and those derived from it.
        alpha, batch_size, learning_rate, learning_rate_init, max_iter, shuffle, tol, warm_start, momentum,
            nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change: as in
            scikit-learn. Early stopping goes by the accuracy on the samples held out, and keeps the best weights.
        random_state: of the weights, the order of the samples, dropout and the samples held out. An integer is the
            `seed` of `core.Network` and `core.train`.
        verbose: whether to print a line for each epoch.
        dropout: the probability with which a hidden unit is dropped, `core.Dropout`; 0 for none.
        class_weight: from labels to weights, 1 for what isn't named; or "balanced", which makes all classes weigh the
            same. It multiplies `sample_weight`; not for multilabel.
        backend: "numpy", "cupy" or "auto", `core.get_backend`.
        dtype: "float32" or "float64"; where not given that of X, and float64 where X is neither.

    Attributes:
        classes_: the labels in order.
        network_: the `core.Network`.
        coefs_, intercepts_: weights `(n_in, n_out)` and biases `(n_out,)` of each layer.
        n_features_in_, feature_names_in_, n_outputs_, n_layers_, out_activation_: what X, y and the network are.
        n_iter_: epochs of the last `fit`, and those of `partial_fit` since.
        t_: samples that were seen.
        loss_, best_loss_, loss_curve_: the mean loss of the training samples: last, least, after each epoch.
        validation_scores_, validation_loss_curve_, best_validation_score_: of the samples held out for early stopping;
            None without.

    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((16,), learning_rate_init=0.05, tol=1e-3, random_state=0).fit(x[::2], y[::2])
    >>> model.predict(x[1::50]), float(model.score(x[1::2], y[1::2])) > 0.9
    (array([0, 1, 2]), True)
    >>> model.predict_proba(x[:1]).shape, [coef.shape for coef in model.coefs_]
    ((1, 3), [(4, 16), (16, 3)])
    """

    loss: str | Loss = "log_loss"
    class_weight: Mapping[Any, float] | Literal["balanced"] | None = None

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch more, with the weights, the solver's memory and the random stream of where it ended.

        Args:
            X, y, sample_weight: as in `fit`; other samples may come at each call.
            classes: all labels that will ever come; at the first call, where y isn't multilabel.

        Raises:
            ValueError: as `fit` does.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight: {self.class_weight!r} is not allowed in partial_fit, which doesn't see all samples; "
                "give a mapping from labels to weights"
            )
        if hasattr(self, "network_") and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes: {classes!r} are not those of the first call, {self.classes_.tolist()}; leave them out"
            )
        if not hasattr(self, "network_") and classes is None and not type_of_target(y).startswith("multilabel"):
            raise ValueError("classes: they are needed at the first call of partial_fit; give all labels there will be")
        return self._fit_one_epoch(X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """Return the labels of X, `(n_samples,)`; for multilabel 0 and 1, `(n_samples, n_outputs_)`."""
        return self._decoded(self._outputs(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, `(n_samples, n_classes)`, in the order of `classes_`.

        For multilabel, that of each label, `(n_samples, n_outputs_)`; these don't add up to 1.
        """
        outputs = self._outputs(X)
        return outputs if self._multilabel or outputs.shape[1] > 1 else np.hstack([1 - outputs, outputs])

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`; −∞ for 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Tags:
        """Say what the classifier can do."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @property
    def _stratify(self) -> bool:
        return not self._multilabel

    def _loss(self) -> Loss:
        name = "softmax" if not self._multilabel and self.n_outputs_ > 1 else "sigmoid"
        known = {loss.name: loss for loss in LOSSES.values() if loss.tells_classes and loss.output_activation == name}
        cross_entropy = known["softmax_cross_entropy" if name == "softmax" else "binary_cross_entropy"]
        rule = by_name("loss", self.loss, known | {"log_loss": cross_entropy}, Loss)
        if rule.output_activation != name:
            raise ValueError(
                f"loss: {rule.name} is not allowed for these targets, for which the last layer is {name}; "
                f"allowed are log_loss, {', '.join(known)}"
            )
        return rule

    def _learn(self, y: Any, classes: Any) -> None:
        self._multilabel = _kind(y).startswith("multilabel")
        if self._multilabel:
            self.classes_, self.n_outputs_ = np.arange(y.shape[1]), y.shape[1]
            return
        self.classes_ = np.unique(column_or_1d(y) if classes is None else classes)
        if len(self.classes_) < 2:
            raise ValueError(f"y: {self.classes_.tolist()} is one class only; a classifier needs two classes at least")
        self.n_outputs_ = 1 if len(self.classes_) == 2 else len(self.classes_)

    def _targets(self, y: Any) -> np.ndarray:
        kind = _kind(y)
        if kind.startswith("multilabel") != self._multilabel or (self._multilabel and y.shape[1] != self.n_outputs_):
            raise ValueError(f"y: {kind} targets of the shape {y.shape} are not allowed after those of the first call")
        if self._multilabel:
            return y.toarray() if issparse(y) else y
        labels = column_or_1d(y, warn=True)
        codes = np.minimum(np.searchsorted(self.classes_, labels), len(self.classes_) - 1)
        unknown = labels[self.classes_[codes] != labels].tolist()
        if unknown:
            raise ValueError(f"y: the class {unknown[0]!r} is not allowed; classes_ is {self.classes_.tolist()}")
        return codes[:, None] if self.n_outputs_ == 1 else codes

    def _decoded(self, outputs: np.ndarray) -> np.ndarray:
        """Return labels for outputs; one of exactly ½ is the first class, as in the order of `predict_proba`."""
        if self._multilabel:
            return (outputs > 0.5).astype(int)
        return self.classes_[(outputs[:, 0] > 0.5).astype(int) if self.n_outputs_ == 1 else outputs.argmax(axis=1)]

    def _score(self, y: np.ndarray, outputs: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the accuracy; for multilabel, of all labels of a sample at once."""
        if self._multilabel:
            right = (self._decoded(outputs) == y).all(axis=1)
        else:
            right = self._decoded(outputs) == self.classes_[y.reshape(-1).astype(int)]
        return float(np.average(right, weights=weights))

    def _with_class_weight(self, y: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return weights
        if self._multilabel:
            raise ValueError("class_weight: it is not allowed for multilabel targets; give sample_weight")
        own = np.ones(len(y)) if weights is None else weights
        weight = self.class_weight
        if isinstance(weight, Mapping):
            place = {label: index for index, label in enumerate(self.classes_.tolist())}
            unknown = [label for label in weight if label not in place]
            if unknown:
                raise ValueError(f"class_weight: {unknown[0]!r} is not a class; the classes are {list(place)}")
            weight = {
                place[label]: number(f"class_weight of {label!r}", w, 0, low_allowed=True)
                for label, w in weight.items()
            }
        weighted = own * weights_of_classes(weight, y.reshape(-1), own)
        if not weighted.any():
            raise ValueError("class_weight: every sample's weight is zero; at least one must be > 0")
        return weighted


def _kind(y: Any) -> str:
    """Return which kind of classes y has, as scikit-learn calls it."""
    check_classification_targets(y)
    kind = type_of_target(y)
    if kind == "multiclass-multioutput":
        raise ValueError(
            "y: several columns of classes are not allowed; give one column, or 0 and 1 for each label (multilabel)"
        )
    return kind
