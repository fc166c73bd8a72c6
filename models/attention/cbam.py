"""Convolutional block attention."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import SlotShape, refuse_reduction
from models.cost import Cost, batch_norm, conv2d
from models.gate import Excitation, GatingBlock, excitation_cost, zero
from models.initial import uniform_fan
from models.options import Option
from models.pooled_norm import pooled_norm


class ConvolutionalBlockAttention(GatingBlock):
    """Channel gates, then a gate for every position.

    `x' = x · σ(MLP(mean(x)) + MLP(max(x)))` over positions, with `MLP(s) = W2 ReLU(W1 s + b1) + b2`
    and `m = C // r` hidden units; then, with `spatial`, `x' · σ(BN(conv7×7([max(x'), mean(x')])))`
    over channels.

    Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018.
    """

    title = "Convolutional block attention"
    paper = "arXiv:1807.06521"
    options = (
        Option("reduction", 16, low=1, high=1024, meaning="r"),
        Option("spatial", True, meaning="whether the gate of positions follows"),
    )
    params_formula = "2C·m + m + C, and 98 + 2 more with `spatial`"
    macs_formula = "4C·m, and 98·H·W more with `spatial`"
    legal_sizes = "C ≥ r"
    insertion = (
        "the identity: W2, b2 and the batch norm start at zero, so both gates are ½, and the gain"
        " is 4 (2 without `spatial`)"
    )
    deviations = (
        "a training batch of one image of one position is normalised by the running statistics; of"
        " channels that share the largest value at a position, all get a part of its gradient; the"
        " official code's other poolings (`lp`, `lse`) are not offered"
    )

    def __init__(self, shape: SlotShape, *, reduction: int, spatial: bool) -> None:
        super().__init__()
        self.mlp = Excitation(shape.channels, shape.channels // reduction, bias=True)
        self.conv: nn.Layer | None = None
        if spatial:
            weight = uniform_fan(2 * 7 * 7)
            self.conv = nn.Conv2D(2, 1, 7, padding=3, weight_attr=weight, bias_attr=False)
            self.norm = nn.BatchNorm2D(1, momentum=0.99)

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """A hidden layer of no units is refused."""
        return refuse_reduction(shape.channels, int(options["reduction"]))

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """The MLP, which is applied twice, and the convolution."""
        channels, hidden = shape.channels, shape.channels // int(options["reduction"])
        once = excitation_cost(channels, hidden, bias=True)
        total = once + Cost(macs=once.macs)
        if options["spatial"]:
            total = total + conv2d(2, 1, (7, 7), shape.positions) + batch_norm(1)
        return total

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Scale `x` `[N, C, H, W]` by the gates of its channels and of its positions."""
        logits = self.mlp(x.mean(axis=(2, 3))) + self.mlp(_largest(x))  # [N, C]
        if self.conv is None:
            return self.scale_channels(x, F.sigmoid(logits))
        out = x * F.sigmoid(logits).unsqueeze((2, 3))
        maps = [out.max(axis=1, keepdim=True), out.mean(axis=1, keepdim=True)]
        seen = pooled_norm(self.norm, self.conv(paddle.concat(maps, axis=1)))  # [N, 1, H, W]
        gate = F.sigmoid(seen)
        return out * (gate * self.gain)

    def make_identity(self) -> None:
        """See `insertion`."""
        self.mlp.make_zero()
        if self.conv is None:
            self.undo_half_gates()
        else:
            zero(self.norm)
            self.undo_half_gates(2)

    def wake(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> None:  # noqa: ARG002
        """See `AttentionBlock.wake`."""
        self.mlp.wake(x.mean(axis=(2, 3)), _largest(x))


def _largest(x: paddle.Tensor) -> paddle.Tensor:
    """The largest value of each channel of `x` `[N, C, H, W]`, its gradient to one position."""
    return F.adaptive_max_pool2d(x, 1).flatten(1)
