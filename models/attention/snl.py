"""Simplified non-local."""

from collections.abc import Mapping

import paddle
from paddle import nn

from models.architecture import OptionValue
from models.attention_pooling import (
    AttentionPooling,
    attention_pooling_cost,
    refuse_single_position,
)
from models.block import AttentionBlock, SlotShape
from models.cost import Cost, batch_norm, conv2d
from models.gate import zero
from models.initial import constant, normal
from models.options import Option
from models.pooled_norm import pooled_norm


class SimplifiedNonLocal(AttentionBlock):
    """`x + BN(W_v ctx)`, `ctx = Σ_j softmax_j(w_k·x_j + b) x_j`.

    One attention map for all positions: the step between non-local and global context.

    Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond", 2019,
    equation 3.
    """

    title = "Simplified non-local"
    paper = "arXiv:1904.11492"
    options = (Option("bn", True, meaning="whether a batch norm follows W_v"),)
    params_formula = "C² + 2C + 1, and 2C more with `bn`"
    macs_formula = "C² + (2C + 1)·H·W"
    legal_sizes = "H·W ≥ 2: the softmax of one position is constant"
    insertion = "the identity from the start: the batch norm's scale (or, without it, W_v) is zero"
    deviations = "a training batch of one image is normalised by the running statistics"

    def __init__(self, shape: SlotShape, *, bn: bool) -> None:
        super().__init__()
        channels = shape.channels
        self.pool = AttentionPooling(channels)
        weight = normal(0.01) if bn else constant(0.0)
        self.value = nn.Conv2D(channels, channels, 1, weight_attr=weight, bias_attr=constant(0.0))
        self.norm = nn.BatchNorm2D(channels, weight_attr=constant(0.0)) if bn else None

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:  # noqa: ARG003
        """A map of a single position is refused."""
        return refuse_single_position(shape)

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """The attention map, and one convolution of the context."""
        channels = shape.channels
        total = attention_pooling_cost(channels, shape.positions)
        total = total + conv2d(channels, channels, (1, 1), 1, bias=True)
        return total + (batch_norm(channels) if options["bn"] else Cost())

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """`x` `[N, C, H, W]` plus the same vector at every position."""
        out = self.value(self.pool(x))  # [N, C, 1, 1]
        return x + (out if self.norm is None else pooled_norm(self.norm, out))

    def make_identity(self) -> None:
        """See `insertion`."""
        zero(self.value if self.norm is None else self.norm)
