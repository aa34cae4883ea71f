"""What is measured, as data: networks, batches, losses, and the bars that our speed is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

LEARNING_RATE = 0.001
"""Of Adam, with its usual β₁ = 0.9, β₂ = 0.999 and ε = 1e-8, for every contestant; a fleet's lie around it."""


@dataclass(frozen=True)
class Shape:
    """A network and how it is trained, in float32, with Adam and a new order of the samples each epoch.

    Attributes:
        name: as it stands in the tables.
        widths: n_inputs, the hidden layers' units, n_outputs.
        batch: samples of a step.
        steps: steps of an epoch; the data are batch · steps samples, so that no contestant compiles a second size.
        epochs: of one visit; the first is not in the steady state.
        activation: of the hidden layers.
        loss: "softmax_cross_entropy" for labels, "squared_error" for numbers.
        dropout: rate after each hidden layer.
        networks: how many of them are trained on the same data, each with a seed and a learning rate of its own.
        bars: by contestant, how many times as fast as it we have to be; 1 for those that aren't named.
        bound_bar: the least share of our time that the step's matmuls alone must be; None: no bar.
    """

    name: str
    widths: tuple[int, ...]
    batch: int
    steps: int
    epochs: int = 6
    activation: str = "relu"
    loss: str = "softmax_cross_entropy"
    dropout: float = 0.0
    networks: int = 1
    bars: Mapping[str, float] = field(default_factory=dict)
    bound_bar: float | None = None

    @property
    def samples(self) -> int:
        """Number of samples of the data."""
        return self.batch * self.steps

    @property
    def label(self) -> str:
        """How a table names it: widths and batch, and what isn't the usual.

        >>> Shape("tiny", (4, 16, 3), 32, 128).label
        'tiny 4-16-3 (32)'
        """
        usual = Shape("", (1, 1), 1, 1)
        odd = [] if self.activation == usual.activation or len(self.widths) == 2 else [self.activation]
        odd += [] if self.loss == usual.loss else ["regression"]
        odd += [f"dropout {self.dropout:g}"] if self.dropout else []
        many = f"{self.networks} × " if self.networks > 1 else ""
        return " ".join([self.name, many + "-".join(map(str, self.widths)), f"({self.batch})", *odd])

    @property
    def flops(self) -> int:
        """Floating-point operations of a step's matmuls; the first layer has no x̄.

        >>> Shape("", (2, 3), 5, 1).flops == 2 * 2 * 2 * 3 * 5
        True
        """
        first, *others = [n_in * n_out for n_in, n_out in pairwise(self.widths)]
        return 2 * self.batch * self.networks * (2 * first + 3 * sum(others))

    def bar(self, contestant: str) -> float:
        """Return how many times as fast as `contestant` we have to be."""
        return self.bars.get(contestant, 1.0)


TABLE = (
    Shape("tiny", (4, 16, 3), 32, 4, epochs=400, bars={"jax_scan": 2.5, "torch_eager": 8.0}),
    Shape("small", (64, 64, 10), 64, 28, epochs=30, bars={"jax_scan": 1.3, "torch_eager": 7.0}),
    Shape("medium", (784, 256, 128, 10), 128, 32, bars={"jax_scan": 1.15}, bound_bar=0.80),
    Shape("large", (1024, 2048, 2048, 1000), 512, 4, epochs=3, bars={"jax_scan": 1.1}, bound_bar=0.85),
)
"""The issue's four. Tiny is as long as the irises are, 120 of which one trains on; small as the 8 × 8 digits, 1797."""

HELD_OUT = (
    Shape("tiny, long epoch", (4, 16, 3), 32, 256),
    Shape("little batch", (20, 40, 5), 8, 256, activation="tanh"),
    Shape("no hidden", (50, 4), 256, 128),
    Shape("line", (13, 128, 1), 64, 128, activation="tanh", loss="squared_error"),
    Shape("odd", (300, 170, 90, 7), 100, 64),
    Shape("deep", (32, 64, 64, 64, 64, 64, 64, 10), 128, 64, activation="tanh"),
    Shape("gelu", (128, 256, 256, 10), 128, 48, activation="gelu"),
    Shape("surface", (256, 512, 512, 8), 256, 16, activation="gelu", loss="squared_error"),
    Shape("dropout", (784, 512, 512, 10), 128, 24, dropout=0.2),
)
"""Other widths, depths, activations and losses: mechanisms must carry over to shapes that nothing was tuned on."""

FLEETS = (
    Shape("fleet", (64, 64, 10), 64, 16, networks=64, bars={"sklearn_mlp": 6.0, "jax_vmap": 2.0}),
    Shape("tiny fleet", (4, 16, 3), 32, 32, networks=64),
    Shape("little fleet", (64, 64, 10), 64, 64, networks=8),
)
"""Many networks of one shape on the same data, each with initial weights, learning rate and order of its own."""

EVERY = (*TABLE, *HELD_OUT, *FLEETS)
