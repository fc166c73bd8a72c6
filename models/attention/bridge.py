"""Bridge attention."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape, refuse_reduction
from models.cost import Cost, batch_norm, linear
from models.initial import uniform_fan
from models.options import Option


class BridgeAttention(AttentionBlock):
    """`x · σ(W_g ReLU(Σ_i BN_i(W_i GAP(F_i))))` over all feature maps F_i of a residual block.

    The F_i are the block's earlier feature maps and `x` itself, the last one; no layer has a bias
    and every bridge its own batch norm; `m = C // r` hidden units.

    Zhao et al., "BA-Net: Bridge Attention for Deep Convolutional Neural Networks", ECCV 2022.
    Parameters: `m(Σ C_i + C) + 2m·(number of F_i)`, with C itself among the C_i. MACs:
    `m(Σ C_i + C)`. Legal before the residual add, where earlier feature maps exist, and `C ≥ r`.
    """

    title = "Bridge attention"
    paper = "arXiv:2112.04150"
    options = (Option("reduction", 16, low=1, high=1024),)
    insertion = "about ½·x: the gate starts near ½"
    deviations = "a training batch of one image is normalised by the running statistics"
    wants_bridged = True

    def __init__(self, shape: SlotShape, *, reduction: int) -> None:
        super().__init__()
        hidden = shape.channels // reduction
        sources = (*shape.bridged, shape.channels)
        self.bridges = nn.LayerList([_linear(channels, hidden) for channels in sources])
        self.norms = nn.LayerList([nn.BatchNorm1D(hidden) for _ in sources])
        self.generate = _linear(hidden, shape.channels)

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """A hidden layer of no units is refused."""
        return refuse_reduction(shape.channels, int(options["reduction"]))

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """A linear layer and a batch norm for each bridge, and the generating layer."""
        hidden = shape.channels // int(options["reduction"])
        total = linear(hidden, shape.channels, bias=False)
        for channels in (*shape.bridged, shape.channels):
            total = total + linear(channels, hidden, bias=False) + batch_norm(hidden)
        return total

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:
        """Scale every channel of `x` `[N, C, H, W]` by the gate of all feature maps."""
        gate = self.gate(*(features.mean(axis=(2, 3)) for features in (*bridged, x)))
        return x * gate.reshape((*gate.shape, 1, 1))

    def gate(self, *pooled: paddle.Tensor) -> paddle.Tensor:
        """The gate `[N, C]` of the pooled feature maps `[N, C_i]`, `x`'s own the last."""
        hidden = [
            _normalised(norm, bridge(features))  # [N, m]
            for norm, bridge, features in zip(self.norms, self.bridges, pooled, strict=True)
        ]
        return F.sigmoid(self.generate(F.relu(paddle.add_n(hidden))))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, uniform_fan(inputs), bias_attr=False)


def _normalised(norm: nn.BatchNorm1D, features: paddle.Tensor) -> paddle.Tensor:
    """Batch norm of `[N, m]`; one image has no variance, and Paddle would skip the layer."""
    if features.shape[0] > 1 or not norm.training:
        return norm(features)
    return F.batch_norm(
        features, norm._mean, norm._variance, norm.weight, norm.bias, epsilon=norm._epsilon
    )
