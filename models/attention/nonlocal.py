"""Non-local."""

import math
from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape
from models.cost import Cost, batch_norm, conv2d, matmul, softmax
from models.gate import sign_of_most, zero
from models.initial import constant, normal, uniform_fan
from models.options import Option
from models.pooled_norm import pooled_norm

_SOFTMAX = ("embedded_gaussian", "gaussian")


class NonLocal(AttentionBlock):
    """`z = x + BN(W_z y)`, `y_i = Σ_j w_ij g(x_j)`, with w between *positions* i and j.

    Queries i are all N = H·W positions, keys j the same or, with `subsample`, the M positions left
    by a 2×2 max-pool of φ and g. `w_ij` is, by `mode`: `embedded_gaussian` softmax_j(θ_iᵀφ_j),
    divided by √Ci before the softmax with `scale`; `gaussian` softmax_j(x_iᵀx_j); `dot_product`
    θ_iᵀφ_j / M; `concatenation` ReLU(wᵀ[θ_i; φ_j]) / M. `Ci = max(1, int(C·bottleneck_ratio))`.

    Wang et al., "Non-local Neural Networks", CVPR 2018. The paper has it `after_block`: in a
    ResNet-50 after every second block of stages 2 and 3 (res3 and res4).
    """

    title = "Non-local"
    paper = "arXiv:1711.07971"
    options = (
        Option(
            "mode",
            "embedded_gaussian",
            ("embedded_gaussian", "gaussian", "dot_product", "concatenation"),
            meaning="what w is",
        ),
        Option("bottleneck_ratio", 0.5, low=1e-3, high=4.0, meaning="Ci ÷ C"),
        Option("subsample", False, meaning="2×2 max-pool of φ and g"),
        Option(
            "scale",
            False,
            active_if=("mode", ("embedded_gaussian",)),
            meaning="divide by √Ci before the softmax",
        ),
        Option("bn", True, meaning="whether a batch norm follows W_z"),
    )
    params_formula = (
        "4C·Ci + 3Ci + C (`gaussian` 2C·Ci + Ci + C), 2Ci more for `concatenation`, 2C more with"
        " `bn`"
    )
    macs_formula = (
        "4C·Ci·N + 2Ci·N·M + N·M (`gaussian` 2C·Ci·N + (C + Ci)·N·M + N·M; `dot_product` without"
        " the last N·M; `concatenation` 4C·Ci·N + Ci·(N + M) + Ci·N·M)"
    )
    legal_sizes = (
        "H, W ≥ 2 with `subsample`; M ≥ 2 with a softmax (`embedded_gaussian`, `gaussian`), which"
        " is constant over one key"
    )
    insertion = "the identity from the start: the batch norm's scale (or, without it, W_z) is zero"
    deviations = (
        "max-pool after the projections, as the text, mmcv and AlexHex7 have it; the original video"
        " code pools before them; a training batch of a single value a channel is normalised by the"
        " running statistics; for images, without the official codes' 1-D and 3-D variants"
    )

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
        self.pair: nn.Layer | None = None
        if mode == "concatenation":
            self.pair = nn.Linear(2 * inner, 1, uniform_fan(2 * inner), bias_attr=False)
        zero = constant(0.0)
        weight = normal(0.01) if bn else zero
        self.out = nn.Conv2D(inner, channels, 1, weight_attr=weight, bias_attr=zero)
        self.norm = nn.BatchNorm2D(channels, weight_attr=zero) if bn else None

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """A map smaller than the 2×2 max-pool is refused, and a softmax over a single key."""
        if options["subsample"] and min(shape.height, shape.width) < 2:
            return f"a {shape.height}×{shape.width} map is too small to subsample by 2×2"
        if options["mode"] in _SOFTMAX and _keys_of(shape, options) < 2:
            return "the softmax over a single key is constant"
        return None

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """Projections, affinity, weighted sum, output projection."""
        channels, queries, keys = shape.channels, shape.positions, _keys_of(shape, options)
        inner = _inner(channels, float(options["bottleneck_ratio"]))
        projection = conv2d(channels, inner, (1, 1), queries, bias=True)
        total = projection + conv2d(inner, channels, (1, 1), queries, bias=True)
        if options["mode"] != "gaussian":
            total = total + projection + projection
        total = total + _affinity_cost(str(options["mode"]), (channels, inner), queries, keys)
        total = total + matmul(queries, keys, inner)
        return total + (batch_norm(channels) if options["bn"] else Cost())

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """`x` `[N, C, H, W]` plus, at every position, the weighted sum over all positions."""
        values = self._keys(self.g(x)).transpose((0, 2, 1))  # [N, M, Ci]
        y = paddle.matmul(self.affinity(x), values)  # [N, HW, Ci]
        y = y.transpose((0, 2, 1)).reshape((x.shape[0], self.inner, *x.shape[2:]))
        out = self.out(y)  # [N, C, H, W]
        return x + (out if self.norm is None else pooled_norm(self.norm, out))

    def affinity(self, x: paddle.Tensor) -> paddle.Tensor:
        """The weights w `[N, HW, M]` between every position of `x` and every key."""
        queries = (x if self.theta is None else self.theta(x)).flatten(2)  # [N, Ck, HW]
        keys = self._keys(x if self.phi is None else self.phi(x))  # [N, Ck, M]
        if self.pair is not None:
            return F.relu(_pair_scores(self.pair.weight, queries, keys)) / keys.shape[2]
        products = paddle.matmul(queries, keys, transpose_x=True)
        if self.mode == "dot_product":
            return products / keys.shape[2]
        if self.scale:
            products = products / math.sqrt(self.inner)
        return F.softmax(products, axis=-1)

    def make_identity(self) -> None:
        """See `insertion`."""
        zero(self.out if self.norm is None else self.norm)

    def wake(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> None:  # noqa: ARG002
        """Of `concatenation`: negates the w that its ReLU would silence for most pairs."""
        if self.pair is None or self.theta is None or self.phi is None:
            return
        scores = _pair_scores(self.pair.weight, self.theta(x).flatten(2), self._keys(self.phi(x)))
        self.pair.weight.set_value(self.pair.weight * sign_of_most(scores.reshape((-1, 1))))

    def _keys(self, features: paddle.Tensor) -> paddle.Tensor:
        pooled = F.max_pool2d(features, 2) if self.subsample else features
        return pooled.flatten(2)


def _pair_scores(
    weight: paddle.Tensor, queries: paddle.Tensor, keys: paddle.Tensor
) -> paddle.Tensor:
    """`wᵀ[θ_i; φ_j]` `[N, HW, M]`: the two halves of w are products of their own, then added."""
    of_queries, of_keys = paddle.split(weight, 2)  # [Ci, 1] each
    first = paddle.matmul(queries, of_queries, transpose_x=True)  # [N, HW, 1]
    second = paddle.matmul(of_keys, keys, transpose_x=True)  # [N, 1, M]
    return first + second


def _affinity_cost(mode: str, widths: tuple[int, int], queries: int, keys: int) -> Cost:
    """What w costs with `widths` C and Ci."""
    channels, inner = widths
    if mode == "concatenation":
        halves = matmul(queries, inner, 1) + matmul(1, inner, keys)
        return halves + Cost(params=2 * inner)
    products = matmul(queries, channels if mode == "gaussian" else inner, keys)
    return products if mode == "dot_product" else products + softmax(queries * keys)


def _keys_of(shape: SlotShape, options: Mapping[str, OptionValue]) -> int:
    """M: the positions that are left as keys."""
    if not options["subsample"]:
        return shape.positions
    return (shape.height // 2) * (shape.width // 2)


def _inner(channels: int, bottleneck_ratio: float) -> int:
    """Ci. The ratio of two integers gives back the first, however its last digit was rounded."""
    return max(1, int(channels * bottleneck_ratio + 1e-9))


def _projection(channels: int, inner: int) -> nn.Conv2D:
    return nn.Conv2D(channels, inner, 1, weight_attr=normal(0.01), bias_attr=constant(0.0))
