"""Squeeze-and-excitation."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape, refuse_reduction
from models.cost import Cost, linear
from models.initial import he_normal, uniform_fan
from models.options import Option


class SqueezeExcitation(AttentionBlock):
    """`x · σ(W2 ReLU(W1 GAP(x)))` with C/r hidden units.

    Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018. Parameters: `2C·m` with `m = C // r`,
    and `m + C` more with biases. MACs: `2C·m`. Legal wherever `C ≥ r`.
    """

    title = "Squeeze-and-excitation"
    paper = "arXiv:1709.01507"
    options = (
        Option("reduction", 16, low=1, high=1024),
        Option("bias", False),
    )
    insertion = "about ½·x: the gate starts near ½"

    def __init__(self, shape: SlotShape, *, reduction: int, bias: bool) -> None:
        super().__init__()
        channels, hidden = shape.channels, shape.channels // reduction
        self.squeeze = nn.Linear(
            channels, hidden, he_normal(channels), bias_attr=None if bias else False
        )
        self.excite = nn.Linear(
            hidden, channels, uniform_fan(hidden), bias_attr=None if bias else False
        )

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """A hidden layer of no units is refused."""
        return refuse_reduction(shape.channels, int(options["reduction"]))

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """Two linear layers."""
        hidden = shape.channels // int(options["reduction"])
        bias = bool(options["bias"])
        return linear(shape.channels, hidden, bias=bias) + linear(hidden, shape.channels, bias=bias)

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Scale every channel of `x` `[N, C, H, W]` by its gate."""
        pooled = x.mean(axis=(2, 3))  # [N, C]
        gate = F.sigmoid(self.excite(F.relu(self.squeeze(pooled))))
        return x * gate.reshape((*gate.shape, 1, 1))
