"""Efficient channel attention."""

import math
from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import SlotShape
from models.cost import Cost, conv2d
from models.gate import GatingBlock, zero
from models.initial import uniform_fan
from models.options import Option


class EfficientChannelAttention(GatingBlock):
    """`x · σ(Conv1d_k(GAP(x)))`: a convolution over neighbouring channels, zero padded, no bias.

    With `kernel` 0, k is `t = ⌊(log2 C + 1) / 2⌋` or, where that is even, t + 1.

    Wang et al., "ECA-Net: Efficient Channel Attention", CVPR 2020.
    """

    title = "Efficient channel attention"
    paper = "arXiv:1910.03151"
    options = (
        Option(
            "kernel",
            0,
            (0, 1, 3, 5, 7, 9, 11, 13, 15),
            meaning="k; 0 takes it from C by the paper's rule",
        ),
    )
    params_formula = "k"
    macs_formula = "k·C"
    insertion = "the identity: the weights start at zero, so the gate is ½, and the gain is 2"

    def __init__(self, shape: SlotShape, *, kernel: int) -> None:
        super().__init__()
        size = kernel or _adaptive_kernel(shape.channels)
        weight = uniform_fan(size)
        self.conv = nn.Conv1D(1, 1, size, padding=size // 2, weight_attr=weight, bias_attr=False)

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """One small convolution, evaluated at every channel."""
        size = int(options["kernel"]) or _adaptive_kernel(shape.channels)
        return conv2d(1, 1, (1, size), shape.channels)

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Scale every channel of `x` `[N, C, H, W]` by its gate."""
        pooled = x.mean(axis=(2, 3)).unsqueeze(1)  # [N, 1, C]
        return self.scale_channels(x, F.sigmoid(self.conv(pooled)).squeeze(1))

    def make_identity(self) -> None:
        """See `insertion`."""
        zero(self.conv)
        self.undo_half_gates()


def _adaptive_kernel(channels: int) -> int:
    size = int((math.log2(channels) + 1) / 2)
    return size if size % 2 else size + 1
