"""Global context."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.attention_pooling import (
    AttentionPooling,
    attention_pooling_cost,
    refuse_single_position,
)
from models.block import SlotShape
from models.cost import Cost, conv2d, layer_norm
from models.gate import GatingBlock, zero
from models.initial import constant, uniform_fan
from models.options import Option

_FUSIONS = {"add": (False, True), "mul": (True, False), "mul+add": (True, True)}


class GlobalContext(GatingBlock):
    """One attention map for all positions, transformed and fused into every one of them.

    `ctx = Σ_j softmax_j(w_k·x_j + b) x_j` (`pooling: attention`) or the mean (`average`);
    `T = conv C→P, LayerNorm, ReLU, conv P→C` with `P = int(C·ratio)`; the output is
    `x·σ(T_mul(ctx))` and then `+ T_add(ctx)`, each branch with its own weights, ctx of x for both.

    Cao et al., "GCNet", arXiv:1904.11492, and "Global Context Networks", TPAMI 2020.
    """

    title = "Global context"
    paper = "arXiv:1904.11492"
    options = (
        Option("ratio", 1 / 16, low=1e-3, high=4.0, meaning="P ÷ C"),
        Option("pooling", "attention", ("attention", "average"), meaning="how ctx is made"),
        Option("fusion", "add", tuple(_FUSIONS), meaning="how ctx acts on x"),
    )
    params_formula = "2C·P + 3P + C a branch, and C + 1 more for attention pooling"
    macs_formula = "2C·P a branch, and (2C + 1)·H·W more for attention pooling"
    legal_sizes = (
        "P ≥ 2: LayerNorm of one value is constant; H·W ≥ 2 with attention pooling: so is the"
        " softmax of one position"
    )
    insertion = (
        "the identity: the last convolutions are zero from the start, which is all for `add`; with"
        " `mul` the gate is then ½, and the gain is 2"
    )

    def __init__(self, shape: SlotShape, *, ratio: float, pooling: str, fusion: str) -> None:
        super().__init__()
        channels, planes = shape.channels, int(shape.channels * ratio)
        multiplies, adds = _FUSIONS[fusion]
        self.pool = AttentionPooling(channels) if pooling == "attention" else None
        self.mul = _transform(channels, planes) if multiplies else None
        self.add = _transform(channels, planes) if adds else None

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """Fewer than two inner channels are refused, and a single position to attend."""
        ratio = float(options["ratio"])
        if int(shape.channels * ratio) < 2:
            return f"{shape.channels} channels × ratio {ratio:g} leaves fewer than 2 inner channels"
        return refuse_single_position(shape) if options["pooling"] == "attention" else None

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """The attention map and the branches."""
        channels = shape.channels
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
            total = total + attention_pooling_cost(channels, shape.positions)
        return total

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Fuse the global context of `x` `[N, C, H, W]` into every position."""
        context = self.context(x)
        out = x
        if self.mul is not None:
            out = x * (F.sigmoid(self.mul(context)) * self.gain)
        return out if self.add is None else out + self.add(context)

    def context(self, x: paddle.Tensor) -> paddle.Tensor:
        """The context `[N, C, 1, 1]` of `x`."""
        return x.mean(axis=(2, 3), keepdim=True) if self.pool is None else self.pool(x)

    def make_identity(self) -> None:
        """See `insertion`."""
        for branch in (self.mul, self.add):
            if branch is not None:
                zero(branch[3])
        if self.mul is not None:
            self.undo_half_gates()


def _transform(channels: int, planes: int) -> nn.Sequential:
    zero = constant(0.0)
    return nn.Sequential(
        nn.Conv2D(channels, planes, 1, weight_attr=uniform_fan(channels)),
        nn.LayerNorm([planes, 1, 1], epsilon=1e-5),
        nn.ReLU(),
        nn.Conv2D(planes, channels, 1, weight_attr=zero, bias_attr=zero),
    )
