"""Grouped bilinear attentional transforms."""

from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape
from models.cost import Cost, batch_norm, conv2d, matmul
from models.gate import zero
from models.initial import constant, he_normal
from models.options import Option

_SMALL = 1e-8
"""The last scale of an inserted block. At zero its ReLU would pass nothing back, for ever."""


class BilinearAttentionalTransform(AttentionBlock):
    """`x + Dropout2D(ReLU(BN(conv(ReLU(BN(conv(P u Q)))))))`: rows and columns of a map recombined.

    `u = ReLU(BN(conv C→Ci))`, `Ci = C // r`, in k groups of consecutive channels. From
    `o = ReLU(BN(conv Ci→k))`, max-pooled to s × 1, a convolution makes k matrices s × s, and P is
    their sigmoid divided by the sum of each row; likewise Q from the pool to 1 × s, divided by the
    sum of each column. P and Q act on a map of H = t·s rows as P ⊗ I_t and Q ⊗ I_t.

    Chi et al., "Non-Local Neural Networks with Grouped Bilinear Attentional Transforms", CVPR 2020.
    """

    title = "Bilinear attentional transform (BAT)"
    paper = "CVPR 2020"
    options = (
        Option("s", 4, low=2, high=64, meaning="side of P and Q; 7 in the paper, of 14 × 14 maps"),
        Option("k", 4, low=1, high=256, meaning="groups of channels with their own P and Q"),
        Option("r", 2, low=1, high=256, meaning="reduction of the channels"),
        Option("dropout", 0.2, low=0.0, high=0.9, meaning="share of channels dropped in training"),
    )
    params_formula = "2C·Ci + Ci² + Ci·k + 6Ci + 3C + 3k + 2(s³·k² + s²·k)"
    macs_formula = "(2C·Ci + Ci² + Ci·k + 2s·Ci)·H·W + 2s³·k²"
    legal_sizes = "H = W, a multiple of s; Ci a multiple of k"
    insertion = (
        f"the identity within about {_SMALL:g}: that is the last batch norm's scale (at zero the"
        " ReLU behind it would pass nothing back), and the batch norms begin with the statistics of"
        " some images. A channel whose shift falls before its scale has grown closes for ever: in"
        " our tests 17 % of them within 5 steps and 35 % within 40, of a block as drawn none"
    )

    def __init__(self, shape: SlotShape, *, s: int, k: int, r: int, dropout: float) -> None:
        super().__init__()
        channels, inner = shape.channels, shape.channels // r
        self.side, self.groups = s, k
        self.reduce = _conv_norm_relu(channels, inner)
        self.observe = _conv_norm_relu(inner, k)
        self.rows = _conv(k, s * s * k, (s, 1))
        self.columns = _conv(k, s * s * k, (1, s))
        self.transform = _conv_norm_relu(inner, inner)
        self.restore = _conv_norm_relu(inner, channels)
        self.dropout = nn.Dropout2D(dropout)

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """Maps that are not square or not s·t, and channels that cannot be grouped, are refused."""
        s, k, r = (int(options[name]) for name in ("s", "k", "r"))
        if shape.height != shape.width:
            return f"a {shape.height}×{shape.width} map is not square"
        if shape.height % s:
            return f"a {shape.height}×{shape.width} map is no multiple of s = {s}"
        inner = shape.channels // r
        if inner < k or inner % k:
            return (
                f"{shape.channels} channels // r {r} = {inner} cannot be split into k = {k} groups"
            )
        return None

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """Six convolutions, four of them with batch norm, and the products with P and Q."""
        s, k, positions = int(options["s"]), int(options["k"]), shape.positions
        channels, inner = shape.channels, shape.channels // int(options["r"])
        total = Cost()
        for inputs, outputs in ((channels, inner), (inner, k), (inner, inner), (inner, channels)):
            total = total + conv2d(inputs, outputs, (1, 1), positions, bias=True)
            total = total + batch_norm(outputs)
        matrices = conv2d(k, s * s * k, (s, 1), 1, bias=True)
        product = matmul(s, s, inner * positions // s)
        return total + matrices + matrices + product + product

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """`x` `[N, C, H, W]` plus its transform."""
        return x + self.dropout(self.recombined(x))

    def recombined(self, x: paddle.Tensor) -> paddle.Tensor:
        """What is added to `x` `[N, C, H, W]`, before dropout."""
        u = self.reduce(x)  # [N, Ci, H, W]
        return self.restore(self.transform(self.mix(u, *self.matrices(u))))

    def matrices(self, u: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        """P, its rows summing to one, and Q, its columns: each `[N, k, s, s]`."""
        o, s = self.observe(u), self.side
        shape = (u.shape[0], self.groups, s, s)
        p = F.sigmoid(self.rows(F.adaptive_max_pool2d(o, (s, 1)))).reshape(shape)
        q = F.sigmoid(self.columns(F.adaptive_max_pool2d(o, (1, s)))).reshape(shape)
        return p / p.sum(axis=3, keepdim=True), q / q.sum(axis=2, keepdim=True)

    def mix(self, u: paddle.Tensor, p: paddle.Tensor, q: paddle.Tensor) -> paddle.Tensor:
        """`(P ⊗ I_t) u (Q ⊗ I_t)` of `u` `[N, Ci, H, W]`, without building the large matrices.

        Row `a·t + τ` of P u is the sum over b of `P[a, b]` times row `b·t + τ`: a product with P
        of u seen as s rows of t·W values.
        """
        batch, inner, height, width = u.shape
        s, groups, each = self.side, self.groups, inner // self.groups
        rows = u.reshape((batch, groups, each, s, -1))  # [N, k, Ci/k, s, t·W]
        mixed = paddle.matmul(p.unsqueeze(2), rows)
        columns = mixed.reshape((batch, groups, each * height, s, width // s))  # [.., H, s, t]
        mixed = paddle.matmul(q.unsqueeze(2), columns, transpose_x=True)
        return mixed.reshape((batch, inner, height, width))

    def make_identity(self) -> None:
        """See `insertion`."""
        norm = self.restore[1]
        zero(norm)
        norm.weight.set_value(paddle.full_like(norm.weight, _SMALL))

    def wake(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> None:  # noqa: ARG002
        """Takes the running statistics from these inputs, so that small stays small."""
        norms = [layer for layer in self.sublayers() if isinstance(layer, nn.BatchNorm2D)]
        momenta = [norm._momentum for norm in norms]
        self.train()
        for norm in norms:
            norm._momentum = 0.0
        self.recombined(x)  # without dropout, which would draw random numbers
        for norm, momentum in zip(norms, momenta, strict=True):
            norm._momentum = momentum
        self.eval()


def _conv(inputs: int, outputs: int, kernel: tuple[int, int]) -> nn.Conv2D:
    weight = he_normal(outputs * max(kernel))
    return nn.Conv2D(inputs, outputs, kernel, weight_attr=weight, bias_attr=constant(0.0))


def _conv_norm_relu(inputs: int, outputs: int) -> nn.Sequential:
    conv = nn.Conv2D(inputs, outputs, 1, weight_attr=he_normal(outputs), bias_attr=constant(0.0))
    return nn.Sequential(conv, nn.BatchNorm2D(outputs), nn.ReLU())
