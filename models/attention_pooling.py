"""Attention pooling: the context of a feature map by one attention map for all positions."""

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.block import SlotShape
from models.cost import Cost, conv2d, matmul, softmax
from models.initial import he_normal


class AttentionPooling(nn.Layer):
    """`Σ_j softmax_j(w_k·x_j + b) x_j` over positions j: `[N, C, H, W]` to `[N, C, 1, 1]`.

    Cao et al., "GCNet", arXiv:1904.11492.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mask = nn.Conv2D(channels, 1, 1, weight_attr=he_normal(channels))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """The context of `x`."""
        weights = F.softmax(self.mask(x).flatten(2), axis=2)  # [N, 1, HW]
        pooled = paddle.matmul(x.flatten(2), weights, transpose_y=True)  # [N, C, 1]
        return pooled.unsqueeze(-1)


def refuse_single_position(shape: SlotShape) -> str | None:
    """The softmax over a single position is 1 whatever the map is: there is nothing to attend."""
    return "the softmax over a single position is constant" if shape.positions < 2 else None


def attention_pooling_cost(channels: int, positions: int) -> Cost:
    """The map, its softmax, and the weighted sum."""
    total = conv2d(channels, 1, (1, 1), positions, bias=True)
    return total + softmax(positions) + matmul(channels, positions, 1)
