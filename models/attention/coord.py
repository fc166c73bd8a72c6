"""Coordinate attention."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import SlotShape
from models.cost import Cost, batch_norm, conv2d
from models.gate import GatingBlock, zero
from models.initial import uniform_fan
from models.options import Option


class CoordinateAttention(GatingBlock):
    """A gate for every row and one for every column: `x · σ(conv_h(f_h)) · σ(conv_w(f_w))`.

    The means over the width `[H]` and over the height `[W]` are concatenated and go through one 1×1
    convolution to `m = max(8, C // r)` channels, batch norm and h-swish; f_h and f_w are its parts.

    Hou et al., "Coordinate Attention for Efficient Mobile Network Design", CVPR 2021.
    """

    title = "Coordinate attention"
    paper = "arXiv:2103.02907"
    options = (Option("reduction", 32, low=1, high=1024, meaning="r"),)
    params_formula = "3C·m + 3m + 2C"
    macs_formula = "2C·m·(H + W)"
    insertion = (
        "the identity: conv_h and conv_w start at zero, so both gates are ½, and the gain is 4"
    )

    def __init__(self, shape: SlotShape, *, reduction: int) -> None:
        super().__init__()
        channels, hidden = shape.channels, _hidden(shape.channels, reduction)
        self.conv = _conv(channels, hidden)
        self.norm = nn.BatchNorm2D(hidden)
        self.conv_h = _conv(hidden, channels)
        self.conv_w = _conv(hidden, channels)

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """One convolution of all strips, and one of the strips of each direction."""
        channels, hidden = shape.channels, _hidden(shape.channels, int(options["reduction"]))
        total = conv2d(channels, hidden, (1, 1), shape.height + shape.width, bias=True)
        total = total + batch_norm(hidden)
        for strips in (shape.height, shape.width):
            total = total + conv2d(hidden, channels, (1, 1), strips, bias=True)
        return total

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Scale every value of `x` `[N, C, H, W]` by the gates of its row and its column."""
        height, width = x.shape[2:]
        rows = x.mean(axis=3, keepdim=True)  # [N, C, H, 1]
        columns = x.mean(axis=2, keepdim=True).transpose((0, 1, 3, 2))  # [N, C, W, 1]
        strips = paddle.concat([rows, columns], axis=2)  # [N, C, H + W, 1]
        features = F.hardswish(self.norm(self.conv(strips)))  # [N, m, H + W, 1]
        of_rows, of_columns = paddle.split(features, [height, width], axis=2)
        row_gates = F.sigmoid(self.conv_h(of_rows))  # [N, C, H, 1]
        column_gates = F.sigmoid(self.conv_w(of_columns.transpose((0, 1, 3, 2))))  # [N, C, 1, W]
        return x * (row_gates * self.gain) * column_gates

    def make_identity(self) -> None:
        """See `insertion`."""
        zero(self.conv_h, self.conv_w)
        self.undo_half_gates(2)


def _hidden(channels: int, reduction: int) -> int:
    return max(8, channels // reduction)


def _conv(inputs: int, outputs: int) -> nn.Conv2D:
    fan = uniform_fan(inputs)
    return nn.Conv2D(inputs, outputs, 1, weight_attr=fan, bias_attr=uniform_fan(inputs))
