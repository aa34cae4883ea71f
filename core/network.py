"""A fully connected network: its layers, its parameters in one flat buffer, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core import arguments
from core.arrays import Array
from core.backend import Backend, get_backend
from core.backpropagation import backward, forward, forward_to_loss, tangent
from core.layers import Dense, Layer
from core.layers.sequence import variables, widths
from core.layout import Layout, Views
from core.losses import Loss, device_dtype
from core.per_sample import per_sample_gradients
from core.randomness import Purpose, generator
from core.second_order import gauss_newton_vector_product, hessian_vector_product
from core.trace import Trace, trace
from core.validation import Validation
from core.weights import weighted
from core.workspace import Workspace, chunks


class Network:
    """Layers one after the other, for one network or for a fleet of N of the same shape.

    Args:
        n_inputs: number of features of a sample.
        layers: descriptions such as `Dense`, the output layer last.
        backend: where it lives; NumPy in float32 where not given.
        seed: of the initial weights; a sequence of N seeds makes a fleet, with a leading axis N everywhere. Network k
            of a fleet starts, and trains, as a network alone with seed k would.

    Attributes:
        parameters: all Θ and b, one contiguous array `(P,)`, for a fleet `(N, P)`.
        theta: each layer's views into `parameters`, by its place and the parameter's name.
        state: what layers keep beside parameters, such as running means; laid out in the same way, `(…, S)`.
        layers, n_inputs, seed, backend: as given.

    Raises:
        ValueError: for an argument that isn't allowed; the message names it.

    >>> net = Network(4, [Dense(16, "tanh"), Dense(3, "softmax")], seed=0)
    >>> net.n_parameters, net.predict(np.zeros((2, 4))).shape
    (131, (2, 3))
    """

    def __init__(
        self,
        n_inputs: int,
        layers: Sequence[Layer[Any]],
        *,
        backend: Backend | None = None,
        seed: int | Sequence[int] = 0,
    ) -> None:
        self.n_inputs = arguments.integer("n_inputs", n_inputs, 1)
        if not layers:
            raise ValueError("layers: an empty list is not allowed; give at least the output layer, as in [Dense(1)]")
        self.layers = tuple(layers)
        self.backend = backend or get_backend("numpy")
        self.seed = arguments.seeds(seed)
        self.n_outputs = widths(self.layers, self.n_inputs)[-1]
        self._parameters = Layout(variables(self.layers, self.n_inputs, lambda layer, n_in: layer.parameters(n_in)))
        self._state = Layout(variables(self.layers, self.n_inputs, lambda layer, n_in: layer.state(n_in)))
        self.parameters = self.backend.empty((*self.leading, self._parameters.size))
        self.parameters[...] = self.backend.asarray(self._initial(self._parameters))
        self.state = self.backend.asarray(self._initial(self._state))
        self.theta = self.views(self.parameters)
        self.state_views = self._state.views(self.backend.xp, self.state)

    def __getstate__(self) -> dict[str, Any]:
        """Return, for pickle and copy, what the network is made of, and its numbers on the host."""
        made_of = {name: getattr(self, name) for name in ("n_inputs", "layers", "backend", "seed")}
        numbers = {name: self.backend.to_host(getattr(self, name)) for name in ("parameters", "state")}
        return made_of | numbers

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the network again, whose views then lie in its own buffers."""
        Network.__init__(self, state["n_inputs"], state["layers"], backend=state["backend"], seed=state["seed"])
        self.parameters[...] = self.backend.asarray(state["parameters"])
        self.state[...] = self.backend.asarray(state["state"])

    @property
    def leading(self) -> tuple[int, ...]:
        """The leading axes: () for one network, (N,) for a fleet of N."""
        return () if isinstance(self.seed, int) else (len(self.seed),)

    @property
    def n_parameters(self) -> int:
        """Number P of the parameters of one network."""
        return self._parameters.size

    @property
    def output_activation(self) -> str | None:
        """Name of the last layer's activation, where it has one."""
        last = self.layers[-1]
        return last.activation if isinstance(last, Dense) else None

    @property
    def weights(self) -> list[Array]:
        """Θ `(…, n_out, n_in)` of each layer that has one: views, so that writing to them changes the network."""
        return [
            t["weight"] for layer, t in zip(self.layers, self.theta.values(), strict=True) if isinstance(layer, Dense)
        ]

    @property
    def biases(self) -> list[Array | None]:
        """b `(…, 1, n_out)`, or None, of each layer that `weights` names: views, as there."""
        return [
            t.get("bias") for layer, t in zip(self.layers, self.theta.values(), strict=True) if isinstance(layer, Dense)
        ]

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies on the host of all parameters and states, named as in PyTorch's `nn.Sequential`.

        Matrices are `(…, n_out, n_in)`, vectors `(…, n)`; an activation other than identity has a place of its own in
        the names: 0.weight, 0.bias, 2.weight, …
        """
        to_host = self.backend.to_host
        return self.by_name(to_host(self.parameters)) | self._state.by_name(to_host(self.state))

    def load_state_dict(self, named: Mapping[str, np.ndarray]) -> None:
        """Take over the arrays of `named`, as `state_dict` returns them.

        Raises:
            ValueError: where a name is missing or unknown, or a shape differs; then nothing is changed.
        """
        own = self.state_dict()
        if named.keys() != own.keys():
            raise ValueError(f"named: the names must be {list(own)}, but they are {list(named)}")
        for name, array in own.items():
            if named[name].shape != array.shape:
                raise ValueError(f"named: {name} must have the shape {array.shape}, not {named[name].shape}")
        for layout, flat in ((self._parameters, self.parameters), (self._state, self.state)):
            parts = [named[block.name].reshape(*self.leading, -1) for block in layout.blocks]
            if parts:
                flat[...] = self.backend.asarray(np.concatenate(parts, axis=-1))

    def predict(self, x: object) -> np.ndarray:
        """Return a of the last layer for x of shape `(m, n_inputs)`: `(m, n_outputs)`, for a fleet `(N, m, n_outputs)`.

        Raises:
            ValueError: where x has another shape or isn't numbers.
        """
        samples = arguments.samples("x", x, self.n_inputs)
        outputs = np.empty((*self.leading, len(samples), self.n_outputs), self.backend.dtype)
        for part in chunks(len(samples)):
            w = self._forward_on(samples[part])
            outputs[..., part, :] = self.backend.to_host(w.outputs)
        return outputs

    def gradient(
        self, x: object, y: object, loss: str | Loss, sample_weight: object = None
    ) -> tuple[np.ndarray, Array]:
        """Return J on the host, shape `(…)`, and its gradient by all parameters, laid out as `parameters` is.

        Args:
            x: the batch, `(m, n_inputs)`, of at least one sample.
            y: its targets, as the loss takes them.
            loss: name of a loss, or a `Loss`.
            sample_weight: w `(m,)` ≥ 0, for J = Σ w value / Σ w; all equal where not given. A sample of the weight 0 is
                left out before anything is computed.

        Raises:
            ValueError: where x, y or sample_weight doesn't fit the network or the loss.

        >>> net = Network(2, [Dense(1, bias=False)])
        >>> net.weights[0][...] = 1
        >>> value, gradient = net.gradient([[1.0, 2.0]], [[0.0]], "squared_error")
        >>> value.item(), gradient
        (4.5, array([3., 6.], dtype=float32))
        """
        rule = arguments.fitting_loss(loss, self.output_activation)
        samples = arguments.samples("x", x, self.n_inputs)
        m = arguments.integer("the number of samples in x", len(samples), 1)
        targets = arguments.targets(rule, y, self.n_outputs, m)
        samples, targets, weights = weighted(rule, samples, targets, sample_weight)
        j_bar = np.full(len(samples), 1 / len(samples)) if weights is None else weights / len(samples)
        w = self.workspace(len(samples), rule, targets)
        w.x[...] = self.backend.asarray(samples)
        w.y[...] = self.backend.asarray(targets, device_dtype(targets))
        w.j_bar[...] = self.backend.asarray(j_bar[:, None])
        flat = self.backend.empty(self.parameters.shape)
        layers = self.layers_to(rule)
        forward_to_loss(self.backend.kernels, layers, self.theta, self.state_views, w, rule)
        backward(self.backend.kernels, layers, self.theta, w, self.views(flat))
        return (self.backend.to_host(w.values) * j_bar).sum(axis=-1), flat

    def evaluate(self, x: object, y: object, loss: str | Loss, sample_weight: object = None) -> np.ndarray:
        """Return J over all samples on the host, shape `(…)`, float64; NaN where there are none.

        The arguments are those of `gradient`.

        Raises:
            ValueError: where x, y or sample_weight doesn't fit the network or the loss.
        """
        rule = arguments.fitting_loss(loss, self.output_activation)
        samples = arguments.samples("x", x, self.n_inputs)
        targets = arguments.targets(rule, y, self.n_outputs, len(samples))
        return Validation(self, rule, samples, targets, sample_weight).loss()

    def vjp(self, x: object, a_bar: object) -> tuple[Array, Array]:
        """Return x̄ `(…, m, n_inputs)` and the parameters' adjoint `(…, P)` for ā `(…, m, n_outputs)`: the way back."""
        w = self._forward_on(arguments.samples("x", x, self.n_inputs))
        w.a_bar[-1][...] = self.backend.asarray(np.asarray(a_bar))
        flat, x_bar = self.backend.empty(self.parameters.shape), self.backend.empty(w.x.shape)
        backward(self.backend.kernels, self.layers, self.theta, w, self.views(flat), x_bar)
        return x_bar, flat

    def jvp(self, x: object, x_dot: object, parameters_dot: object) -> Array:
        """Return ȧ `(…, m, n_outputs)` for the tangents ẋ, shaped like x, and θ̇ `(…, P)`: the way forward."""
        w = self._forward_on(arguments.samples("x", x, self.n_inputs))
        theta_dot = self.views(self.backend.asarray(np.asarray(parameters_dot)))
        x_dot = self.backend.asarray(np.asarray(x_dot))
        return tangent(self.backend.xp, self.layers, self.theta, theta_dot, w, x_dot)

    def trace(self, x: object, y: object, loss: str | Loss) -> Trace:
        """Return every number of one pass forward and back; `print` shows them. See `core.trace`."""
        return trace(self, x, y, loss)

    def per_sample_gradients(self, x: object, y: object, loss: str | Loss) -> Array:
        """Return the gradient of each sample's own loss, `(…, m, P)`. See `core.per_sample`."""
        return per_sample_gradients(self, x, y, loss)

    def hvp(self, x: object, y: object, loss: str | Loss, v: object) -> Array:
        """Return the Hessian of J times v, both laid out as `parameters` is. See `core.second_order`."""
        return hessian_vector_product(self, x, y, loss, v)

    def ggn_vp(self, x: object, y: object, loss: str | Loss, v: object) -> Array:
        """Return the Gauss–Newton matrix of J times v, both laid out as `parameters` is. See `core.second_order`."""
        return gauss_newton_vector_product(self, x, y, loss, v)

    def workspace(self, m: int, loss: Loss | None = None, targets: np.ndarray | None = None) -> Workspace:
        """Return the memory for passes of m samples, up to `loss` and for targets like `targets` where given."""
        layers = self.layers_to(loss) if loss else self.layers
        return Workspace(self.backend, self.n_inputs, layers, self.leading, m, targets)

    def layers_to(self, loss: Loss) -> tuple[Layer[Any], ...]:
        """Return the layers up to where `loss` starts: without the last activation, where it goes with that."""
        return (*self.layers[:-1], self.layers[-1].without_activation()) if loss.output_activation else self.layers

    def views(self, flat: Array) -> Views:
        """Return each layer's views into `flat`, an array laid out as `parameters` is."""
        return self._parameters.views(self.backend.xp, flat)

    def by_name(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Return copies of the parts of `flat`, a host array laid out as `parameters` is, named as in `state_dict`."""
        return self._parameters.by_name(flat)

    def views_of_state(self, flat: Array) -> Views:
        """Return each layer's views into `flat`, an array laid out as `state` is."""
        return self._state.views(self.backend.xp, flat)

    def weight_views(self, flat: Array) -> list[Array]:
        """Return views of the weight matrices alone, for regularisation, into an array laid out as `parameters` is."""
        return self._parameters.weights(self.backend.xp, flat)

    def _forward_on(self, samples: np.ndarray) -> Workspace:
        w = self.workspace(len(samples))
        w.x[...] = self.backend.asarray(samples)
        forward(self.backend.kernels, self.layers, self.theta, self.state_views, w)
        return w

    def _initial(self, layout: Layout) -> np.ndarray:
        seeds = [self.seed] if isinstance(self.seed, int) else self.seed
        rows = np.empty((len(seeds), layout.size), self.backend.dtype)
        for row, seed in zip(rows, seeds, strict=True):
            layout.draw(generator(seed, Purpose.INITIAL_WEIGHTS), row)
        return rows.reshape(*self.leading, layout.size)
