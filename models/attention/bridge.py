"""Bridge attention."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import SlotShape, refuse_reduction
from models.cost import Cost, batch_norm, linear
from models.gate import GatingBlock, zero
from models.initial import uniform_fan
from models.options import Option
from models.pooled_norm import pooled_norm


class BridgeAttention(GatingBlock):
    """`x · σ(W_g ReLU(Σ_i BN_i(W_i GAP(F_i))))` over all feature maps F_i of a residual block.

    The F_i are the block's earlier feature maps, after their ReLU, and `x` itself, the last one,
    with C_i channels; no layer has a bias and every bridge its own batch norm; `m = C // r`.

    Zhao et al., "BA-Net: Bridge Attention for Deep Convolutional Neural Networks", ECCV 2022.
    `activation: silu` is the official code's variant for EfficientNet.
    """

    title = "Bridge attention (BA-Net)"
    paper = "arXiv:2112.04150"
    options = (
        Option("reduction", 16, low=1, high=1024, meaning="r"),
        Option("activation", "relu", ("relu", "silu"), meaning="of the hidden units"),
    )
    params_formula = "m·(ΣC_i + C) + 2m·n, of n feature maps F_i"
    macs_formula = "m·(ΣC_i + C)"
    legal_sizes = "C ≥ r; where there are earlier feature maps"
    insertion = "the identity: W_g starts at zero, so the gate is ½, and the gain is 2"
    deviations = (
        "a training batch of one image is normalised by the running statistics; the official"
        " variants for MobileNetV3 (a hard sigmoid) and on FcaNet's squeeze are not offered"
    )
    wants_bridged = True

    def __init__(self, shape: SlotShape, *, reduction: int, activation: str) -> None:
        super().__init__()
        hidden = shape.channels // reduction
        sources = (*shape.bridged, shape.channels)
        self.activation = F.silu if activation == "silu" else F.relu
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
        pooled = (features.mean(axis=(2, 3)) for features in (*bridged, x))
        return self.scale_channels(x, self.gate(*pooled))

    def gate(self, *pooled: paddle.Tensor) -> paddle.Tensor:
        """The gate `[N, C]` of the pooled feature maps `[N, C_i]`, `x`'s own the last."""
        layers = zip(self.norms, self.bridges, pooled)  # noqa: B905 - Paddle exports no strict zip
        hidden = [
            pooled_norm(norm, bridge(features)) for norm, bridge, features in layers
        ]  # [N, m]
        return F.sigmoid(self.generate(self.activation(paddle.add_n(hidden))))

    def make_identity(self) -> None:
        """See `insertion`."""
        zero(self.generate)
        self.undo_half_gates()


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, uniform_fan(inputs), bias_attr=False)
