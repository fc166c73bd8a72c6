"""Non-local."""

import math
from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape
from models.cost import Cost, batch_norm, conv2d, matmul, softmax
from models.initial import constant, normal
from models.options import Option


class NonLocal(AttentionBlock):
    """`z = x + BN(W_z y)`, `y_i = Σ_j w_ij g(x_j)`, with w between *positions* i and j.

    Queries i are all N = H·W positions, keys j the same or, with `subsample`, the M positions left
    by a 2×2 max-pool of φ and g. `w_ij` is, by `mode`: `embedded_gaussian` softmax_j(θ_iᵀφ_j),
    divided by √Ci before the softmax with `scale`; `gaussian` softmax_j(x_iᵀx_j); `dot_product`
    θ_iᵀφ_j / M. `Ci = max(1, int(C·bottleneck_ratio))`.

    Wang et al., "Non-local Neural Networks", CVPR 2018. Parameters: `4C·Ci + 3Ci + C`, gaussian
    `2C·Ci + Ci + C`, and 2C more with `bn`. MACs: the convolutions, `N·M·(Ck + Ci)` for the two
    products (Ck = C for gaussian, else Ci) and N·M for the softmax.
    """

    title = "Non-local"
    paper = "arXiv:1711.07971"
    options = (
        Option("mode", "embedded_gaussian", ("embedded_gaussian", "gaussian", "dot_product")),
        Option("bottleneck_ratio", 0.5, low=1e-3, high=4.0),
        Option("subsample", False),
        Option("scale", False, active_if=("mode", ("embedded_gaussian",))),
        Option("bn", True),
    )
    insertion = "the identity: the last batch norm's scale (or, without it, W_z) starts at zero"
    deviations = "max-pool after the projections, as the text has it; the video code pools before"

    def __init__(
        self,
        shape: SlotShape,
        *,
        mode: str,
        bottleneck_ratio: float,
        subsample: bool,
        scale: bool = False,
        bn: bool,
    ) -> None:
        super().__init__()
        channels, inner = shape.channels, _inner(shape.channels, bottleneck_ratio)
        self.mode, self.scale, self.subsample = mode, scale, subsample
        self.inner = inner
        self.g = _projection(channels, inner)
        self.theta = None if mode == "gaussian" else _projection(channels, inner)
        self.phi = None if mode == "gaussian" else _projection(channels, inner)
        zero = constant(0.0)
        weight = normal(0.01) if bn else zero
        self.out = nn.Conv2D(inner, channels, 1, weight_attr=weight, bias_attr=zero)
        self.norm = nn.BatchNorm2D(channels, weight_attr=zero) if bn else None

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """A map smaller than the 2×2 max-pool is refused."""
        if options["subsample"] and min(shape.height, shape.width) < 2:
            return f"a {shape.height}×{shape.width} map is too small to subsample by 2×2"
        return None

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """Projections, affinity, weighted sum, output projection."""
        channels, queries, keys = shape.channels, shape.positions, shape.positions
        inner = _inner(channels, float(options["bottleneck_ratio"]))
        if options["subsample"]:
            keys = (shape.height // 2) * (shape.width // 2)
        gaussian = options["mode"] == "gaussian"
        projection = conv2d(channels, inner, (1, 1), queries, bias=True)
        total = projection + conv2d(inner, channels, (1, 1), queries, bias=True)
        if not gaussian:
            total = total + projection + projection
        total = total + matmul(queries, channels if gaussian else inner, keys)
        total = total + matmul(queries, keys, inner)
        if options["mode"] != "dot_product":
            total = total + softmax(queries * keys)
        return total + (batch_norm(channels) if options["bn"] else Cost())

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """`x` `[N, C, H, W]` plus, at every position, the weighted sum over all positions."""
        values = self._keys(self.g(x)).transpose((0, 2, 1))  # [N, M, Ci]
        y = paddle.matmul(self.affinity(x), values)  # [N, HW, Ci]
        y = y.transpose((0, 2, 1)).reshape((x.shape[0], self.inner, *x.shape[2:]))
        out = self.out(y)  # [N, C, H, W]
        return x + (out if self.norm is None else self.norm(out))

    def affinity(self, x: paddle.Tensor) -> paddle.Tensor:
        """The weights w `[N, HW, M]` between every position of `x` and every key."""
        queries = (x if self.theta is None else self.theta(x)).flatten(2)  # [N, Ck, HW]
        keys = self._keys(x if self.phi is None else self.phi(x))  # [N, Ck, M]
        products = paddle.matmul(queries, keys, transpose_x=True)
        if self.mode == "dot_product":
            return products / keys.shape[2]
        if self.scale:
            products = products / math.sqrt(self.inner)
        return F.softmax(products, axis=-1)

    def _keys(self, features: paddle.Tensor) -> paddle.Tensor:
        pooled = F.max_pool2d(features, 2) if self.subsample else features
        return pooled.flatten(2)


def _inner(channels: int, bottleneck_ratio: float) -> int:
    return max(1, int(channels * bottleneck_ratio))


def _projection(channels: int, inner: int) -> nn.Conv2D:
    return nn.Conv2D(channels, inner, 1, weight_attr=normal(0.01), bias_attr=constant(0.0))
