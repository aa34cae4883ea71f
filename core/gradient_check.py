"""Checks of gradients that anyone can run on a network of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from core import arguments
from core.arrays import Array
from core.backpropagation import backward
from core.batch import forward_on
from core.losses import Loss
from core.network import Network
from core.randomness import Purpose, generator


@dataclass(frozen=True)
class GradientReport:
    """What a check found; `print` shows it.

    Attributes:
        checked: what was checked, in words.
        expected: the derivative by finite differences, or the pairing on the tangents' side.
        got: the same by the backward pass.
        tolerance: how far apart the two may be, derived from precision and size.
        n_parameters: how many parameters were covered.
        n_inputs: how many numbers of x were covered, over all samples.
        step: of the finite difference; 0 where there is none.
        kink: whether a kink (as of relu at 0) lay within the step, so that finite differences say nothing.
    """

    checked: str
    expected: float
    got: float
    tolerance: float
    n_parameters: int = 0
    n_inputs: int = 0
    step: float = 0.0
    kink: bool = False

    @property
    def error(self) -> float:
        """|expected − got|."""
        return abs(self.expected - self.got)

    @property
    def passed(self) -> bool:
        """Whether the two agree within the tolerance; NaN agrees with nothing."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        names = ("central difference", "backward pass") if self.step else ("way forward", "way back")
        rows = [*zip(names, (f"{self.expected: .15g}", f"{self.got: .15g}"), strict=True)]
        rows += [("error", f" {self.error:.2g}"), ("tolerance", f" {self.tolerance:.2g}")]
        if self.step:
            rows.append(("step", f" {self.step:.2g}"))
            rows.append(("kink", " within the step: differences say nothing here" if self.kink else " none"))
        lines = [f"  {name:<19}{value}" for name, value in rows]
        return "\n".join([f"{'passed' if self.passed else 'failed'}: {self.checked}", *lines])


def check_gradients(network: Network, x: object, y: object, loss: str | Loss, *, seed: int = 0) -> GradientReport:
    """Compare J's gradient with a central difference along one random unit direction over all parameters and all of x.

    (J(θ + hd, x + he) − J(θ − hd, x − he))/2h = ⟨θ̄, d⟩ + ⟨x̄, e⟩ + O(h²), so one direction (d, e) covers every number at
    five evaluations of J. With h = ε^(1/3) the difference is off by the order of ε^(2/3) in J's scale; ε is the
    precision in which the network computes, so use a backend of the dtype float64. (Chainer's gradient_check; Nocedal
    and Wright, "Numerical Optimization", 2006, section 8.1)

    Args:
        network: one network; it is as it was afterwards.
        x: the batch, `(m, n_inputs)`, of at least one sample.
        y: its targets, as the loss takes them.
        loss: name of a loss, or a `Loss`.
        seed: of the direction.

    Raises:
        ValueError: for a fleet, for a backend that isn't float64, and for x, y or loss that don't fit.

    >>> from core import Dense, get_backend
    >>> net = Network(2, [Dense(3, "tanh"), Dense(1)], backend=get_backend("numpy", "float64"))
    >>> print(check_gradients(net, [[1.0, 2.0]], [[0.5]], "squared_error"))
    passed: the gradient by 13 parameters and 2 inputs, along one random direction
      central difference  ...
      backward pass       ...
      error               ...
      tolerance           ...
      step                ...
      kink                none
    """
    if network.leading or network.backend.dtype != np.float64:
        raise ValueError("network: check_gradients takes one network, not a fleet, whose backend's dtype is float64")
    start, samples = network.backend.to_host(network.parameters), arguments.samples("x", x, network.n_inputs)
    value, gradient = network.gradient(samples, y, loss)
    x_bar = network.backend.to_host(_input_gradient(network, samples, y, loss)).ravel()
    direction = generator(seed, Purpose.GRADIENT_CHECK).standard_normal(start.size + x_bar.size)
    direction /= np.linalg.norm(direction)
    along_parameters, along_x = direction[: start.size], direction[start.size :]
    epsilon = float(np.finfo(np.float64).eps)
    step = epsilon ** (1 / 3) * max(1.0, float(np.abs(start).max(initial=0)))

    def loss_at(shift: float) -> float:
        network.parameters[...] = network.backend.asarray(start + shift * along_parameters)
        return float(network.evaluate(samples + shift * along_x.reshape(samples.shape), y, loss))

    try:
        behind, half_behind, half_ahead, ahead = (loss_at(share * step) for share in (-1, -1 / 2, 1 / 2, 1))
    finally:
        network.parameters[...] = network.backend.asarray(start)
    here = float(value)
    got = float(network.backend.to_host(gradient) @ along_parameters + x_bar @ along_x)
    expected = (ahead - behind) / (2 * step)
    scale = max(abs(here), abs(got), abs(expected))
    # Rounding of J, divided by the step, and the third derivative times step², both with room for sums of many terms.
    rounded = max(scale, _largest_before_loss(network, samples, y, loss))
    tolerance = 100 * (epsilon / step * rounded + step**2 * scale)
    # Second differences over three neighbouring pieces are equal where J is smooth. A jump of the slope anywhere within
    # the step makes one of them larger than the others, by half of what it does to 2h times the difference at least.
    bends = (ahead - 2 * half_ahead + here, half_ahead - 2 * here + half_behind, here - 2 * half_behind + behind)
    kink = (max(bends) - min(bends)) / step > tolerance / 2
    checked = f"the gradient by {start.size} parameters and {x_bar.size} inputs, along one random direction"
    return GradientReport(checked, expected, got, tolerance, start.size, x_bar.size, step, kink)


def _largest_before_loss(network: Network, x: np.ndarray, y: object, loss: str | Loss) -> float:
    """Return the largest of the numbers whose differences such a loss takes that starts from z; 0 for the others.

    Where the network is sure of the right class, J is tiny, and what is left of the rounding of z isn't.
    """
    batch = forward_on(network, x, y, loss)
    if batch.rule.output_activation is None:
        return 0.0
    return float(np.abs(network.backend.to_host(batch.w.memories[-1].a)).max())


def check_adjoint(network: Network, x: object, *, seed: int = 0) -> GradientReport:
    """Run `dot_test` on a whole network: ⟨ā, ȧ⟩ = ⟨x̄, ẋ⟩ + ⟨θ̄, θ̇⟩ for random ẋ, θ̇ and ā.

    For each Θ the last pairing is the trace Tr(Θ̄ᵀ Θ̇). Nothing is differenced, so that it holds to the last digits of
    any dtype, at kinks too, and for a fleet.

    Args:
        network: one network or a fleet.
        x: samples, `(m, n_inputs)`.
        seed: of ẋ, θ̇ and ā.

    Raises:
        ValueError: where x doesn't fit.

    >>> from core import Dense
    >>> check_adjoint(Network(2, [Dense(3, "tanh"), Dense(1)]), [[1.0, 2.0]]).passed
    True
    """
    samples, to_host = arguments.samples("x", x, network.n_inputs), network.backend.to_host
    leading, n_parameters = network.leading, math.prod(network.parameters.shape)
    x_shape, n_x = (*leading, *samples.shape), math.prod((*leading, *samples.shape))
    rng = generator(seed, Purpose.GRADIENT_CHECK)
    # In the dtype of the network, so that both sides see the same numbers.
    tangent, adjoint = (
        rng.standard_normal(shape).astype(network.backend.dtype)
        for shape in (n_x + n_parameters, (*leading, len(samples), network.n_outputs))
    )

    def push(tangent: np.ndarray) -> np.ndarray:
        theta_dot = tangent[n_x:].reshape(network.parameters.shape)
        return to_host(network.jvp(samples, tangent[:n_x].reshape(x_shape), theta_dot))

    def pull(adjoint: np.ndarray) -> np.ndarray:
        return np.concatenate([to_host(part).ravel() for part in network.vjp(samples, adjoint)])

    report = dot_test(push, pull, tangent, adjoint)
    checked = f"the way back to {n_parameters} parameters and {n_x} inputs, against the way forward"
    return replace(report, checked=checked, n_parameters=n_parameters, n_inputs=n_x)


def dot_test(
    push: Callable[[np.ndarray], np.ndarray],
    pull: Callable[[np.ndarray], np.ndarray],
    tangent: np.ndarray,
    adjoint: np.ndarray,
) -> GradientReport:
    """Compare ⟨v̄, J u̇⟩ with ⟨Jᵀ v̄, u̇⟩: the way forward and the way back of one operation are adjoint to each other.

    Args:
        push: J, from a tangent u̇ of the input to the tangent v̇ of the output.
        pull: Jᵀ, from an adjoint v̄ of the output to the adjoint ū of the input.
        tangent: u̇, any shape.
        adjoint: v̄, any shape.

    >>> matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> dot_test(lambda u: matrix @ u, lambda v: matrix.T @ v, np.ones(2), np.ones(2)).passed
    True
    >>> dot_test(lambda u: matrix @ u, lambda v: matrix @ v, np.array([1.0, 2.0]), np.ones(2)).passed
    False
    """
    pushed, pulled = push(tangent), pull(adjoint)
    epsilon = float(max(np.finfo(pushed.dtype).eps, np.finfo(pulled.dtype).eps))
    # A sum of n rounded products is off by n ε Σ|terms| at most (Higham, "Accuracy and Stability", 2002, section 3.1);
    # each side has such a sum in its pairing and in J.
    terms = float(np.abs(adjoint * pushed).sum() + np.abs(pulled * tangent).sum())
    size = 4 * (tangent.size + adjoint.size)
    return GradientReport(
        checked=f"an operation from {tangent.size} to {adjoint.size} numbers, forward and back",
        expected=float(np.sum(adjoint * pushed, dtype=np.float64)),
        got=float(np.sum(pulled * tangent, dtype=np.float64)),
        tolerance=size * epsilon * terms,
    )


def _input_gradient(network: Network, x: np.ndarray, y: object, loss: str | Loss) -> Array:
    """Return x̄ of J, `(m, n_inputs)`."""
    batch, backend = forward_on(network, x, y, loss), network.backend
    x_bar, flat = backend.empty(batch.w.x.shape), backend.empty(network.parameters.shape)
    backward(backend.kernels, batch.layers, batch.theta, batch.w, network.views(flat), x_bar)
    return x_bar
