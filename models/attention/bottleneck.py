"""The control of a wanted size: a bottleneck residual block."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape
from models.cost import Cost, batch_norm, conv2d
from models.gate import zero
from models.initial import he_normal
from models.options import Option


class BottleneckControl(AttentionBlock):
    """`ReLU(x + BN(W₃·ReLU(BN(W₂ ∗ ReLU(BN(W₁·x))))))`: so many parameters without attention.

    W₁ and W₃ are 1×1 convolutions from C to h channels and back, W₂ is 3×3; h is `hidden`, so that
    the block can be given about as many parameters as the attention it is compared with. The last
    ReLU is left out where the slot's map does not come out of one, as in `residual`.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016 (figure 5, right).
    """

    title = "Bottleneck block (control of a wanted size)"
    paper = "arXiv:1512.03385"
    options = (Option("hidden", 1, low=1, high=65536, meaning="h, channels of the bottleneck"),)
    params_formula = "2C·h + 9h² + 4h + 2C"
    macs_formula = "(2C·h + 9h²)·H·W"
    insertion = "the identity: the last batch norm's scale is zero"
    deviations = "the last ReLU is left out where the slot's map does not come out of one"
    control = True

    def __init__(self, shape: SlotShape, *, hidden: int) -> None:
        super().__init__()
        channels = shape.channels
        self.rectified = shape.rectified
        self.conv1, self.norm1 = _conv(channels, hidden, 1), nn.BatchNorm2D(hidden)
        self.conv2, self.norm2 = _conv(hidden, hidden, 3), nn.BatchNorm2D(hidden)
        self.conv3, self.norm3 = _conv(hidden, channels, 1), nn.BatchNorm2D(channels)

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """Three convolutions with batch norm."""
        hidden = int(options["hidden"])
        reduced = conv2d(shape.channels, hidden, (1, 1), shape.positions) + batch_norm(hidden)
        mixed = conv2d(hidden, hidden, (3, 3), shape.positions) + batch_norm(hidden)
        restored = conv2d(hidden, shape.channels, (1, 1), shape.positions)
        return reduced + mixed + restored + batch_norm(shape.channels)

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """`x` `[N, C, H, W]` through the bottleneck and added to itself."""
        out = F.relu(self.norm1(self.conv1(x)))  # [N, h, H, W]
        out = F.relu(self.norm2(self.conv2(out)))
        out = x + self.norm3(self.conv3(out))  # [N, C, H, W]
        return F.relu(out) if self.rectified else out

    def make_identity(self) -> None:
        """See `insertion`."""
        zero(self.norm3)


def _conv(inputs: int, outputs: int, side: int) -> nn.Conv2D:
    weight = he_normal(outputs * side * side)
    return nn.Conv2D(inputs, outputs, side, padding=side // 2, weight_attr=weight, bias_attr=False)
