"""Running averages of the weights."""

from __future__ import annotations

from core.arrays import Array, Namespace, Slots
from core.backend import Backend
from core.network import Network
from core.rule import Rule


class RunningAverage(Rule):
    """p ← p + s (g − p), where p is the average and g are the parameters."""

    name = "running_average"
    numbers = ("share",)
    cuda = "p += share * (g - p);"

    def formula(self, xp: Namespace, p: Array, g: Array, slots: Slots, *numbers: float) -> tuple[Array, ...]:
        """Return the new average."""
        (share,) = numbers
        return (p + share * (g - p),)

    def formula_into(self, xp: Namespace, p: Array, g: Array, slots: Slots, scratch: Array, *numbers: float) -> None:
        """Take the step in place."""
        (share,) = numbers
        way = scratch[0]
        xp.subtract(g, p, out=way)
        xp.multiply(way, share, out=way)
        xp.add(p, way, out=p)


class Averaged:
    """The weighted mean of the parameters after each step: those of k steps ago count βᵏ, and the weights add up to 1.

    θ̃ₜ = θ̃ₜ₋₁ + (1−β)/(1−βᵗ) (θₜ − θ̃ₜ₋₁): the exponential moving average without its bias towards its start. (Kingma
    and Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.2)

    While training goes on the network holds θ; between epochs it holds θ̃, and `trained` is where θ waits.
    """

    def __init__(self, network: Network, backend: Backend, decay: float) -> None:
        self._network, self._kernels, self._decay = network, backend.kernels, decay
        self.mean = network.backend.zeros(network.parameters.shape)
        self.trained = network.backend.empty(network.parameters.shape)
        self.trained[...] = network.parameters

    def add(self, step: int) -> None:
        """Take the parameters after `step`, from 1 on, into the mean."""
        share = (1 - self._decay) / (1 - self._decay**step)
        self._kernels.elementwise_step(RunningAverage(), self.mean, self._network.parameters, (), (share,))

    def hand_over(self) -> None:
        """Give the network the mean, and keep its own parameters."""
        self.trained[...] = self._network.parameters
        self._network.parameters[...] = self.mean

    def take_back(self) -> None:
        """Give the network its own parameters again."""
        self._network.parameters[...] = self.trained
