"""A running mean of a network's weights, which is often more accurate than the last of them."""

import contextlib
from collections.abc import Iterator

import paddle
from paddle import nn


class WeightAverage:
    """The exponential moving average of all values of a network, running statistics included.

    After step t, counted from 1, every mean is `d·mean + (1 − d)·value` with
    `d = min(decay, (1 + t) / (10 + t))`, so that a short training forgets its initial values: the
    rule of TensorFlow's `ExponentialMovingAverage` with `num_updates`.
    """

    def __init__(self, network: nn.Layer, decay: float) -> None:
        self._decay, self._steps = decay, 0
        self._values = list(network.state_dict().values())
        self._means = [value.clone() for value in self._values]

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
