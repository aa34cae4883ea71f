"""Every number of one pass forward and back, on the host, to look at."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from core.activations import Activation, Elementwise
from core.arrays import Array
from core.backpropagation import backward
from core.batch import forward_on
from core.layers import Dense, Layer, Memory, Residual
from core.layers.normalization import Normalization
from core.layout import Views
from core.losses import Loss
from core.per_sample import per_sample_gradients

if TYPE_CHECKING:
    from core.network import Network

Named = Mapping[str, np.ndarray]

NUMBERS, ROWS = 60, 20
"""Of an array with more numbers or rows than these, only those at its edges are printed."""


@dataclass(frozen=True, eq=False, repr=False)
class LayerTrace:
    """What one layer computed; row k of z, f'(z), a and their adjoints is sample k.

    Attributes:
        name: the layer's place, as in `state_dict`.
        layer: its description.
        a, a_bar: the output and its adjoint, `(…, m, n_out)`.
        z, z_bar: what went into f and its adjoint, `(…, m, n_out)`; None for a layer that has no f.
        slope: f'(z) in the shape of z; where f isn't elementwise its Jacobian, `(…, m, n_out, n_out)`; None as above.
        theta: the parameters by name, `weight` Θ `(…, n_out, n_in)`, `bias` b `(…, n_out)`.
        theta_bar: their adjoints, summed over the samples.
        theta_bar_of_samples: each sample's part of them, `(…, m, n_out, n_in)`, `(…, m, n_out)`.
        from_z: whether the loss starts from this layer's z, so that z̄ comes first and ā is found from it.
        inner: the layers within the layer, each with its own parameters.
    """

    name: str
    layer: Layer[Any]
    a: np.ndarray
    a_bar: np.ndarray
    z: np.ndarray | None
    slope: np.ndarray | None
    z_bar: np.ndarray | None
    theta: Named
    theta_bar: Named
    theta_bar_of_samples: Named
    from_z: bool = False
    inner: tuple[LayerTrace, ...] = ()

    @property
    def title(self) -> str:
        """The layer's description, without what doesn't matter for a pass, or follows in `inner`."""
        choices = [each.name for each in fields(self.layer) if each.name not in ("initializer", "layers")]  # type: ignore[arg-type]
        described = ", ".join(f"{name}={getattr(self.layer, name)!r}" for name in choices)
        return f"{type(self.layer).__name__}({described})"


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """A batch of m samples forward and back; `print(trace)` shows it from x to J and from J to x̄.

    Attributes:
        loss: the loss's name.
        x, x_bar: the batch and its adjoint, `(…, m, n_inputs)`.
        values: each sample's loss, `(…, m)`; J is their mean.
        layers: from the first to the last.

    Where the loss goes with the last activation, its z̄ comes from the loss itself, exactly, and ā is what stands above
    it: z̄ / f'(z). A softmax's Jacobian takes any constant in a row of ā away; given is the ā with ⟨a, ā⟩ = 0.
    """

    loss: str
    x: np.ndarray
    x_bar: np.ndarray
    values: np.ndarray
    layers: tuple[LayerTrace, ...]

    def __str__(self) -> str:
        m, leading = self.values.shape[-1], self.values.shape[:-1]
        fleet = f" of each of {leading[0]} networks" if leading else ""
        lines = [f"forward, {m} sample{'s' * (m > 1)} in rows{fleet}", _row("x", self.x)]
        for i, each in enumerate(self.layers):
            lines += _forward_lines(each, "a_prev" if i else "x")
        lines += [f"loss: {self.loss}", _row("value", self.values), _row("J, the mean", self.values.mean(-1))]
        lines += [f"backward, J̄ = 1/m = 1/{m}"]
        bar = "ā = ∂J/∂a"
        for i, each in reversed([*enumerate(self.layers)]):
            lines += _backward_lines(each, "a_prev" if i else "x", bar)
            bar = _bar_below(each)
        return "\n".join([*lines, _row(bar.replace("ā", "x̄"), self.x_bar)])


def trace(network: Network, x: object, y: object, loss: str | Loss) -> Trace:
    """Return every number of one pass forward and back, as `Network.gradient` computes it.

    Args:
        network: one network or a fleet.
        x: the batch, `(m, n_inputs)`, of at least one sample.
        y: its targets, as the loss takes them.
        loss: name of a loss, or a `Loss`.

    Raises:
        ValueError: where x or y doesn't fit the network or the loss.

    >>> from core import Dense, Network
    >>> net = Network(2, [Dense(1, bias=False)])
    >>> net.weights[0][...] = 1
    >>> print(trace(net, [[1.0, 2.0], [0.0, 1.0]], [[1.0], [0.0]], "squared_error"))
    forward, 2 samples in rows
      x                     (2, 2)           1.  2.
                                             0.  1.
    layer 0: Dense(units=1, activation='identity', bias=False)
      Θ                     (1, 2)           1.  1.
      z = x Θᵀ              (2, 1)           3.
                                             1.
      a = f(z)              (2, 1)           3.
                                             1.
    loss: squared_error
      value                 (2,)             2.   0.5
    ...
    """
    batch, host = forward_on(network, x, y, loss), network.backend.to_host
    w = batch.w
    x_bar, flat = network.backend.empty(w.x.shape), network.backend.empty(network.parameters.shape)
    backward(network.backend.kernels, batch.layers, batch.theta, w, network.views(flat), x_bar)
    samples = host(per_sample_gradients(network, x, y, loss)) / w.m
    named = (network.by_name(flat) for flat in (host(network.parameters), host(flat), samples))
    starts_from_z = batch.layers[-1] is not network.layers[-1] and network.output_activation != "identity"
    layers = _layer_traces(network.layers, batch.theta, w.memories, w.a_bar, tuple(named), host, starts_from_z)
    return Trace(batch.rule.name, host(w.x), host(x_bar), host(w.values), layers)


def _layer_traces(
    layers: Sequence[Layer[Any]],
    theta: Views,
    memories: Sequence[Memory],
    a_bars: Sequence[Array],
    named: tuple[Named, ...],
    host: Callable[[Array], np.ndarray],
    starts_from_z: bool = False,
    prefix: str = "",
) -> tuple[LayerTrace, ...]:
    """Return the traces of layers one after the other, `theta` being their views and `named` all arrays by name."""
    found = []
    for place, layer, memory, a_bar in zip(theta, layers, memories, a_bars, strict=True):
        name, inner, from_z = prefix + place, (), starts_from_z and layer is layers[-1]
        if isinstance(layer, Residual):
            below: Any = memory
            bars = [*below.bars[1:], a_bar]
            inner = _layer_traces(layer.layers, theta[place], below.inner, bars, named, host, prefix=f"{name}.")
        theta_own, theta_bar, of_samples = (_own(arrays, name) for arrays in named)
        a, above, z, slope, z_bar = _activations(layer, memory, a_bar, host, from_z)
        found.append(
            LayerTrace(name, layer, a, above, z, slope, z_bar, theta_own, theta_bar, of_samples, from_z, inner)
        )
    return tuple(found)


def _activations(
    layer: Layer[Any], memory: Any, a_bar: Array, host: Callable[[Array], np.ndarray], from_z: bool
) -> tuple[Any, ...]:
    """Return a, ā, z, f'(z) and z̄ of a layer after both passes."""
    if not isinstance(layer, Dense):
        return host(memory.a), host(a_bar), None, None, None
    z, above = host(memory.z), host(a_bar)
    if from_z:
        a, z_bar = layer.f.value(np, z), above
        with np.errstate(divide="ignore", invalid="ignore"):  # where f is flat there is no ā to be found: ±inf or NaN
            above = z_bar / (layer.f.derivative(np, z, a) if isinstance(layer.f, Elementwise) else a)
    else:
        a, z_bar = host(memory.a), above if memory.a is memory.z else host(memory.z_bar)
    return a, above, z, _slope(layer.f, z, a), z_bar


def _slope(f: Activation, z: np.ndarray, a: np.ndarray) -> np.ndarray:
    if isinstance(f, Elementwise):
        return f.derivative(np, z, a)
    columns = f.pushforward(np, np.eye(z.shape[-1], dtype=z.dtype), z[..., None, :], a[..., None, :])
    return columns.mT


def _own(named: Named, layer: str) -> Named:
    """Return what belongs to the layer itself, and not to a layer within it."""
    start = f"{layer}."
    return {
        name.removeprefix(start): array
        for name, array in named.items()
        if name.startswith(start) and "." not in name.removeprefix(start)
    }


def _forward_lines(each: LayerTrace, a_prev: str) -> Iterator[str]:
    yield f"layer {each.name}: {each.title}"
    for name, array in each.theta.items():
        yield _row(_symbol(name, each.layer), array)
    for inner in each.inner:
        yield from _forward_lines(inner, "a_prev")
    if each.inner:
        yield f"layer {each.name}, after its layers"
    if each.z is not None:
        yield _row(f"z = {a_prev} Θᵀ{' + b' if 'bias' in each.theta else ''}", each.z)
    yield _row("a" if each.z is None else "a = f(z)", each.a)


def _backward_lines(each: LayerTrace, a_prev: str, bar: str) -> Iterator[str]:
    """Yield the way back through a layer; `bar` says what its ā is."""
    yield f"layer {each.name}: {each.title}"
    elementwise = isinstance(each.layer, Dense) and isinstance(each.layer.f, Elementwise)
    if each.from_z:
        yield _row("z̄ = ∂J/∂z", each.z_bar)
        yield _row("f'(z)", each.slope)
        yield _row("ā = z̄ / f'(z)" if elementwise else "ā with ā f'(z) = z̄", each.a_bar)
    else:
        yield _row(bar, each.a_bar)
        if each.z is not None:
            yield _row("f'(z)", each.slope)
            yield _row("z̄ = ā ∘ f'(z)" if elementwise else "z̄ = ā f'(z)", each.z_bar)
    bar = "ā"
    for inner in reversed(each.inner):
        yield from _backward_lines(inner, "a_prev", bar)
        bar = _bar_below(inner)
    formulas = {"Θ": f"Θ̄ = z̄ᵀ {a_prev}", "b": "b̄ = Σ z̄", "γ": "γ̄", "β": "β̄"}
    for name, array in each.theta_bar.items():
        symbol = _symbol(name, each.layer)
        yield _row(formulas.get(symbol, f"adjoint of {symbol}"), array)
        yield _row("  of each sample", each.theta_bar_of_samples[name])


def _bar_below(above: LayerTrace) -> str:
    """Return what ā is below the layer `above`."""
    return f"ā = z̄ Θ of layer {above.name}" if isinstance(above.layer, Dense) else "ā"


def _symbol(name: str, layer: Layer[Any]) -> str:
    """Return the letter of a parameter in its layer's formula; its name where there is none."""
    letters = {Dense: {"weight": "Θ", "bias": "b"}, Normalization: {"weight": "γ", "bias": "β"}}
    return next((those.get(name, name) for kind, those in letters.items() if isinstance(layer, kind)), name)


def _row(label: str, array: Array) -> str:
    """Return one quantity of the table: its name, its shape, its numbers; a large array is abbreviated."""
    array = np.asarray(array)
    # Beside numbers of ordinary size, those below the digits shown are shown as 0, and without a sign.
    plain = bool(1e-3 < np.abs(array).max() < 1e6)
    tall = math.prod(array.shape[:-1]) > ROWS
    text = np.array2string(
        array.round(4) + 0 if plain else array,
        threshold=0 if tall else NUMBERS,
        edgeitems=2 if array.ndim <= 2 else 1,
        precision=4,
        suppress_small=plain,
        sign=" ",
        max_line_width=100,
    )
    # NumPy begins each line with as many brackets or spaces as there are axes, but for its ellipses.
    cut = (line if line.strip() == "..." else line[array.ndim :] for line in text.splitlines())
    rows = [line.replace("[", " ").replace("]", " ") for line in cut]
    # A bar is a character without a width of its own.
    width = 22 + sum(unicodedata.combining(character) > 0 for character in label)
    start = f"  {label:<{width}}{tuple(array.shape)!s:<14}"
    return "\n".join(((start if i == 0 else " " * 38) + f" {row}").rstrip() for i, row in enumerate(rows))


__all__ = ["LayerTrace", "Trace", "trace"]
