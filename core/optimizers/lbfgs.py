"""L-BFGS: steps along a model of the curvature that the last steps have shown, by a line search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.arrays import Array
from core.optimizers.line_search import Point, search
from core.optimizers.optimizer import Objective, Optimizer, OptimizerState, require

if TYPE_CHECKING:
    from core.backend import Backend


@dataclass(frozen=True)
class Lbfgs(Optimizer):
    """p ← p + t d, d = −H g, where H is the inverse of the BFGS matrix of the last pairs s = Δp, y = Δg.

    The matrix is never formed. With S and Y, whose rows are the pairs, R the upper triangle of S Yᵀ, D its diagonal and
    γ = ⟨s, y⟩/⟨y, y⟩ of the latest pair, H g = γ g + Sᵀ R⁻ᵀ ((D + γ Y Yᵀ) R⁻¹ S g − γ Y g) − γ Yᵀ R⁻¹ S g: two products
    with S and Y, on the device, and small triangular systems on the host. t meets the strong Wolfe conditions
    f(p + td) ≤ f + c₁ t⟨g, d⟩ and |⟨g(p + td), d⟩| ≤ c₂ |⟨g, d⟩|. A pair without positive curvature is left out; where
    there is no such t the pairs are forgotten, and where steepest descent finds none either p stays as it is, since
    then rounding hides what is left to gain. (Byrd, Nocedal and Schnabel, "Representations of quasi-Newton matrices",
    Mathematical Programming 63, 1994, theorem 2.2; Nocedal and Wright, "Numerical Optimization", 2006, algorithms 3.5,
    3.6 and 7.5)

    Each step takes all samples, and the objective must be a function of the parameters alone.

    Args:
        learning_rate: t that is tried first, > 0; 1 is Newton's step. The very first step, of which nothing is known,
            is tried with this length in the 1-norm at most.
        history: how many pairs are kept, an integer ≥ 1.
        decrease: c₁, above 0 and below c₂.
        curvature: c₂, below 1.
        evaluations: gradients that a step may take, an integer ≥ 2.

    >>> from core import Dense, Network, fit
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> net = Network(1, [Dense(8, "tanh"), Dense(1)])
    >>> curve = fit(net, x, x**2, loss="squared_error", optimizer="lbfgs", epochs=50)
    >>> bool(curve[-1].loss < 1e-4)
    True
    """

    learning_rate: float = 1.0
    history: int = 10
    decrease: float = 1e-4
    curvature: float = 0.9
    evaluations: int = 25

    name = "lbfgs"
    full_batch = True
    working = 9

    def __post_init__(self) -> None:
        require("learning_rate", self.learning_rate, 0)
        require("curvature", self.curvature, 0, 1)
        require("decrease", self.decrease, 0, self.curvature)
        for name, low in (("history", 1), ("evaluations", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name}: {value!r} is not allowed; it must be an integer ≥ {low}")

    def rate(self, factor: float) -> float:
        """Return the t that is tried first."""
        return self.learning_rate * factor

    def init(self, backend: Backend, parameters: Array) -> OptimizerState:
        """Return the state before the first step for `parameters`, shape `(P,)`: no pairs."""
        shape = (self.history, *parameters.shape)
        return OptimizerState(0, {"s": backend.zeros(shape), "y": backend.zeros(shape)}, {"pairs": 0})

    def step(
        self,
        objective: Objective,
        backend: Backend,
        parameters: Array,
        state: OptimizerState,
        *,
        factor: float = 1.0,
        is_weight: Array | None = None,
    ) -> None:
        """Take one step that meets the strong Wolfe conditions, or none; there is no weight decay."""
        state.step += 1
        start, gradient = _copy(backend, parameters), _copy(backend, objective.gradient())
        value = objective.value()
        if value == state.numbers.get("lowest"):  # nothing was found from here the last time either
            return

        def along(direction: Array) -> Point | None:
            def at(t: float) -> Point:
                parameters[...] = start + t * direction
                there = _copy(backend, objective.gradient())
                return Point(t, objective.value(), _dot(backend, there, direction), there)

            here, first = Point(0.0, value, _dot(backend, gradient, direction), gradient), self.rate(factor)
            if not here.slope < 0:
                return None
            if state.step == 1:
                first = min(first, first / _dot(backend, backend.xp.sign(gradient), gradient))
            return search(at, here, first, self.decrease, self.curvature, self.evaluations)

        direction = self._direction(backend, gradient, state)
        end = along(direction)
        if end is None and state.numbers["pairs"]:
            state.numbers["pairs"] = 0
            direction = -gradient
            end = along(direction)
        if end is None:
            parameters[...] = start
            state.numbers["lowest"] = value
            return
        parameters[...] = start + end.t * direction
        self._remember(backend, parameters - start, end.gradient - gradient, state)

    def _direction(self, backend: Backend, gradient: Array, state: OptimizerState) -> Array:
        """Return −H g."""
        order = self._order(state)
        if not order:
            return -gradient
        xp, s, y = backend.xp, state.slots["s"], state.slots["y"]

        def on_host(array: Array) -> np.ndarray:
            return backend.to_host(array).astype(np.float64)

        pairs = np.ix_(order, order)
        s_y, y_y = on_host(xp.matmul(s, y.T))[pairs], on_host(xp.matmul(y, y.T))[pairs]
        s_g, y_g = (on_host(xp.matmul(rows, gradient))[order] for rows in (s, y))
        scale = s_y[-1, -1] / y_y[-1, -1]
        upper, diagonal = np.triu(s_y), np.diag(np.diag(s_y))
        u = np.linalg.solve(upper, s_g)
        v = np.linalg.solve(upper.T, (diagonal + scale * y_y) @ u - scale * y_g)
        of_s, of_y = np.zeros((2, self.history))
        of_s[order], of_y[order] = v, scale * u
        along_s, along_y = (xp.matmul(backend.asarray(c), rows) for c, rows in ((of_s, s), (of_y, y)))
        return along_y - along_s - float(scale) * gradient

    def _remember(self, backend: Backend, s: Array, y: Array, state: OptimizerState) -> None:
        """Keep the pair in the place of the oldest, unless its curvature isn't positive beyond rounding."""
        curvature, size = _dot(backend, s, y), _dot(backend, y, y)
        if curvature > float(np.finfo(backend.dtype).eps) * size:
            place = int(state.numbers["pairs"]) % self.history
            state.slots["s"][place, ...], state.slots["y"][place, ...] = s, y
            state.numbers["pairs"] += 1

    def _order(self, state: OptimizerState) -> list[int]:
        """Return the rows of the pairs, the oldest first."""
        pairs = int(state.numbers["pairs"])
        return [pair % self.history for pair in range(max(0, pairs - self.history), pairs)]


def _copy(backend: Backend, array: Array) -> Array:
    copy = backend.empty(array.shape)
    copy[...] = array
    return copy


def _dot(backend: Backend, left: Array, right: Array) -> float:
    return float(backend.to_host(backend.xp.sum(left * right, dtype=backend.xp.float64)))
