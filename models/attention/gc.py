"""Global context."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape
from models.cost import Cost, conv2d, layer_norm, matmul, softmax
from models.initial import constant, he_normal, uniform_fan
from models.options import Option

_FUSIONS = {"add": (False, True), "mul": (True, False), "mul+add": (True, True)}


class GlobalContext(AttentionBlock):
    """One attention map for all positions, transformed and fused into every one of them.

    `ctx = Σ_j softmax_j(w_k·x_j + b) x_j` (`pooling: attention`) or the mean (`average`);
    `T = conv C→P, LayerNorm, ReLU, conv P→C` with `P = int(C·ratio)`; the output is
    `x·σ(T_mul(ctx))` and then `+ T_add(ctx)`, each branch with its own weights.

    Cao et al., "GCNet", arXiv:1904.11492, and "Global Context Networks", TPAMI 2020. Parameters:
    `2CP + 3P + C` a branch, `C + 1` for the attention map. MACs: `2CP` a branch, `(2C + 1)·H·W`
    for attention pooling. Refused where P < 2: LayerNorm of one value is constant.
    """

    title = "Global context"
    paper = "arXiv:1904.11492"
    options = (
        Option("ratio", 1 / 16, low=1e-3, high=4.0),
        Option("pooling", "attention", choices=("attention", "average")),
        Option("fusion", "add", choices=tuple(_FUSIONS)),
    )
    insertion = "the identity with fusion add (last convolution zero); exactly ½·x with mul"

    def __init__(self, shape: SlotShape, *, ratio: float, pooling: str, fusion: str) -> None:
        super().__init__()
        channels, planes = shape.channels, int(shape.channels * ratio)
        multiplies, adds = _FUSIONS[fusion]
        self.mask = None
        if pooling == "attention":
            self.mask = nn.Conv2D(channels, 1, 1, weight_attr=he_normal(channels))
        self.mul = _transform(channels, planes) if multiplies else None
        self.add = _transform(channels, planes) if adds else None

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """Fewer than two inner channels are refused."""
        ratio = float(options["ratio"])
        if int(shape.channels * ratio) < 2:
            return f"{shape.channels} channels × ratio {ratio:g} leaves fewer than 2 inner channels"
        return None

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """The attention map and the branches."""
        channels, positions = shape.channels, shape.positions
        planes = int(channels * float(options["ratio"]))
        branch = (
            conv2d(channels, planes, (1, 1), 1, bias=True)
            + layer_norm(planes)
            + conv2d(planes, channels, (1, 1), 1, bias=True)
        )
        total = Cost()
        for used in _FUSIONS[str(options["fusion"])]:
            total = total + (branch if used else Cost())
        if options["pooling"] == "attention":
            total = total + conv2d(channels, 1, (1, 1), positions, bias=True)
            total = total + softmax(positions) + matmul(channels, positions, 1)
        return total

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Fuse the global context of `x` `[N, C, H, W]` into every position."""
        context = self.context(x)
        out = x if self.mul is None else x * F.sigmoid(self.mul(context))
        return out if self.add is None else out + self.add(context)

    def context(self, x: paddle.Tensor) -> paddle.Tensor:
        """The context `[N, C, 1, 1]` of `x`."""
        if self.mask is None:
            return x.mean(axis=(2, 3), keepdim=True)
        batch, channels = x.shape[:2]
        weights = F.softmax(self.mask(x).reshape((batch, -1, 1)), axis=1)  # [N, HW, 1]
        pooled = paddle.matmul(x.reshape((batch, channels, -1)), weights)  # [N, C, 1]
        return pooled.unsqueeze(-1)


def _transform(channels: int, planes: int) -> nn.Sequential:
    zero = constant(0.0)
    return nn.Sequential(
        nn.Conv2D(channels, planes, 1, weight_attr=uniform_fan(channels)),
        nn.LayerNorm([planes, 1, 1], epsilon=1e-5),
        nn.ReLU(),
        nn.Conv2D(planes, channels, 1, weight_attr=zero, bias_attr=zero),
    )
