"""A running mean of a network's weights, which is often more accurate than the last of them."""

import contextlib
from collections.abc import Iterator, Mapping

import paddle
from paddle import nn

STEPS = "steps"


class WeightAverage:
    """The exponential moving average of all values of a network, running statistics included.

    After step t, counted from 1, every mean is `d·mean + (1 − d)·value` with
    `d = min(decay, (1 + t) / (10 + t))`, so that a short training forgets its initial values: the
    rule of TensorFlow's `ExponentialMovingAverage` with `num_updates`.
    """

    def __init__(self, network: nn.Layer, decay: float) -> None:
        self._decay, self._steps = decay, 0
        self._names = list(network.state_dict())
        self._values = list(network.state_dict().values())
        self._means = [value.clone() for value in self._values]

    def state_dict(self) -> dict[str, paddle.Tensor]:
        """The means by the names of the network's values, and the number of steps."""
        means = dict(zip(self._names, self._means, strict=True))
        return {**means, STEPS: paddle.to_tensor([self._steps], "int64")}

    @paddle.no_grad()
    def set_state_dict(self, state: Mapping[str, paddle.Tensor]) -> None:
        """Goes on from what `state_dict` gave. Raises KeyError where it is another network's."""
        self._steps = int(state[STEPS].item())
        for name, mean in zip(self._names, self._means, strict=True):
            mean.set_value(state[name])

    @paddle.no_grad()
    def update(self) -> None:
        """Takes in the values after one more step."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        # As a tensor filled where it is used: from a number, `lerp_` would send an array to the
        # device for every value, and wait for it.
        share = paddle.full([1], 1 - decay, "float32")
        for mean, value in zip(self._means, self._values, strict=True):
            mean.lerp_(value, share)

    def apply(self) -> None:
        """Gives the network the means for its values, for good."""
        self._set(self._means)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The network with the means for its values; afterwards it has its own again."""
        own = [value.clone() for value in self._values]
        self._set(self._means)
        try:
            yield
        finally:
            self._set(own)

    @paddle.no_grad()
    def _set(self, values: list[paddle.Tensor]) -> None:
        for held, value in zip(self._values, values, strict=True):
            held.set_value(value)
