"""The control: an ordinary residual block."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape
from models.cost import Cost, batch_norm, conv2d
from models.gate import zero
from models.initial import he_normal


class ResidualControl(AttentionBlock):
    """`ReLU(x + BN(conv3×3(ReLU(BN(conv3×3(x))))))`: what the same spot buys without attention.

    A gain that this block reaches too is a gain of parameters, not of attention. Where the map is
    no output of a ReLU (`before_add`, `after_conv…`), the last ReLU is left out: it would cut what
    the network means to add.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    title = "Residual block (control)"
    paper = "arXiv:1512.03385"
    params_formula = "18C² + 4C"
    macs_formula = "18C²·H·W"
    insertion = "the identity: the last batch norm's scale is zero"
    deviations = "the last ReLU is left out where the slot's map does not come out of one"
    control = True

    def __init__(self, shape: SlotShape) -> None:
        super().__init__()
        channels = shape.channels
        self.rectified = shape.rectified
        self.conv1, self.norm1 = _conv3x3(channels), nn.BatchNorm2D(channels)
        self.conv2, self.norm2 = _conv3x3(channels), nn.BatchNorm2D(channels)

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:  # noqa: ARG003
        """Two 3×3 convolutions with batch norm."""
        half = conv2d(shape.channels, shape.channels, (3, 3), shape.positions)
        half = half + batch_norm(shape.channels)
        return half + half

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """`x` `[N, C, H, W]` through the residual block."""
        out = F.relu(self.norm1(self.conv1(x)))
        out = x + self.norm2(self.conv2(out))
        return F.relu(out) if self.rectified else out

    def make_identity(self) -> None:
        """See `insertion`."""
        zero(self.norm2)


def _conv3x3(channels: int) -> nn.Conv2D:
    weight = he_normal(channels * 9)
    return nn.Conv2D(channels, channels, 3, padding=1, weight_attr=weight, bias_attr=False)
