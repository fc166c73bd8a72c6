"""What layers cost, by formula: parameters and multiply–accumulates (MACs) of one image.

Counted as MACs: the multiply–adds of convolutions, linear layers and matrix products, and one per
element that goes through a softmax. Not counted: normalisation, activations, pooling, gating and
additions, which take no part in published MAC counts.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Cost:
    """Parameters and MACs of a layer or network.

    `params` are trained; `running_stats` are the means and variances that batch normalisation
    keeps, which `paddle.summary` counts as parameters and papers do not; `macs` are for one image.
    """

    params: int = 0
    running_stats: int = 0
    macs: int = 0

    @property
    def summary_params(self) -> int:
        """Parameters in `paddle.summary`'s way: running statistics included."""
        return self.params + self.running_stats

    def __add__(self, other: Self) -> "Cost":
        return Cost(
            self.params + other.params,
            self.running_stats + other.running_stats,
            self.macs + other.macs,
        )


def conv2d(
    inputs: int, outputs: int, kernel: tuple[int, int], positions: int, *, bias: bool = False
) -> Cost:
    """A convolution of `inputs` to `outputs` channels that is evaluated at `positions` places."""
    weights = inputs * outputs * kernel[0] * kernel[1]
    return Cost(params=weights + (outputs if bias else 0), macs=weights * positions)


def linear(inputs: int, outputs: int, *, bias: bool = True) -> Cost:
    """A fully connected layer, applied once."""
    return Cost(params=inputs * outputs + (outputs if bias else 0), macs=inputs * outputs)


def batch_norm(channels: int) -> Cost:
    """Scale and shift, and the two running statistics."""
    return Cost(params=2 * channels, running_stats=2 * channels)


def layer_norm(features: int) -> Cost:
    """Scale and shift of `features` values."""
    return Cost(params=2 * features)


def matmul(rows: int, inner: int, columns: int) -> Cost:
    """A product of a `rows × inner` and an `inner × columns` matrix of activations."""
    return Cost(macs=rows * inner * columns)


def softmax(elements: int) -> Cost:
    """A softmax over activations, one MAC an element."""
    return Cost(macs=elements)
