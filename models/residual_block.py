"""The blocks residual networks are made of, basic and bottleneck, with named slots."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.backbone import SlottedLayer
from models.block import SlotShape
from models.cost import Cost, batch_norm, conv2d
from models.initial import he_normal


@dataclass(frozen=True)
class BlockKind:
    """A chain of convolutions with kernels of the given sizes, and a shortcut around it.

    Each convolution is followed by a batch norm and, but for the last, a ReLU. With `planes`
    channels inside, the output has `planes · expansion`. The stride is that of the first 3×3.
    """

    kernels: tuple[int, ...]
    expansion: int

    @property
    def positions(self) -> tuple[str, ...]:
        """Where attention may sit, in the order data pass.

        `after_conv<i>` is behind the i-th batch norm, before its ReLU; behind the last one it is
        called `before_add`; `after_block` is behind the ReLU of the sum.
        """
        inner = range(1, len(self.kernels))
        return (*(f"after_conv{i}" for i in inner), "before_add", "after_block")

    @property
    def aliases(self) -> dict[str, str]:
        """The other name of `before_add`."""
        return {f"after_conv{len(self.kernels)}": "before_add"}

    def convolutions(
        self, inputs: int, planes: int, stride: int
    ) -> Iterator[tuple[int, int, int, int]]:
        """Inputs, outputs, kernel and stride of each convolution."""
        strided = self.kernels.index(3)
        for i, kernel in enumerate(self.kernels):
            last = i == len(self.kernels) - 1
            outputs = planes * self.expansion if last else planes
            yield inputs, outputs, kernel, stride if i == strided else 1
            inputs = outputs


BASIC = BlockKind(kernels=(3, 3), expansion=1)
"""Two 3×3 convolutions. He et al., "Deep Residual Learning", CVPR 2016, figure 5 left."""

BOTTLENECK = BlockKind(kernels=(1, 3, 1), expansion=4)
"""1×1, 3×3, 1×1. The same figure, right, with the stride in the 3×3, as Paddle's and PyTorch's."""


class ResidualBlock(SlottedLayer):
    """One block of a residual network.

    The shortcut is the input, or a 1×1 convolution of it where its shape changes. `attention_at`
    gives the layer for a position, or None.
    """

    def __init__(
        self,
        kind: BlockKind,
        inputs: int,
        planes: int,
        stride: int,
        attention_at: Callable[[str], nn.Layer | None],
    ) -> None:
        super().__init__(kind.positions, attention_at)
        self.positions = kind.positions
        convolutions = list(kind.convolutions(inputs, planes, stride))
        self.convs = nn.LayerList([conv_layer(*given) for given in convolutions])
        self.norms = nn.LayerList([nn.BatchNorm2D(given[1]) for given in convolutions])
        outputs = planes * kind.expansion
        self.shortcut: nn.Layer | None = None
        if _changes_shape(inputs, outputs, stride):
            self.shortcut = nn.Sequential(
                conv_layer(inputs, outputs, 1, stride), nn.BatchNorm2D(outputs)
            )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """`[N, inputs, H, W]` to `[N, planes · expansion, ⌈H/stride⌉, ⌈W/stride⌉]`."""
        out = x
        earlier: tuple[paddle.Tensor, ...] = ()
        # Not strict: Paddle exports no other zip, and the last position has no convolution.
        layers = zip(self.convs, self.norms, self.positions)  # noqa: B905
        for conv, norm, position in layers:
            out = self._attend(position, norm(conv(out)), earlier)
            if position != "before_add":
                out = F.relu(out)
                earlier = (*earlier, out)
        out = F.relu(out + (x if self.shortcut is None else self.shortcut(x)))
        return self._attend("after_block", out, ())


def block_shapes(
    kind: BlockKind, inputs: int, planes: int, stride: int, size: int
) -> dict[str, SlotShape]:
    """The map at each position of a block that is given maps of `size` × `size`."""
    shapes: dict[str, SlotShape] = {}
    earlier: tuple[int, ...] = ()
    outputs = 0
    given = kind.convolutions(inputs, planes, stride)
    for position, (_, outputs, _, step) in zip(kind.positions[:-1], given, strict=True):
        size = halved(size) if step == 2 else size
        shapes[position] = SlotShape(outputs, size, size, bridged=earlier)
        earlier = (*earlier, outputs)
    shapes["after_block"] = SlotShape(outputs, size, size, rectified=True)
    return shapes


def block_cost(kind: BlockKind, inputs: int, planes: int, stride: int, size: int) -> Cost:
    """Convolutions and batch norms of a block that is given maps of `size` × `size`."""
    total = Cost()
    given = list(kind.convolutions(inputs, planes, stride))
    if _changes_shape(inputs, planes * kind.expansion, stride):
        after = halved(size) if stride == 2 else size
        total = conv2d(inputs, planes * kind.expansion, (1, 1), after**2)
        total = total + batch_norm(planes * kind.expansion)
    for ins, outs, kernel, step in given:
        size = halved(size) if step == 2 else size
        total = total + conv2d(ins, outs, (kernel, kernel), size**2) + batch_norm(outs)
    return total


def conv_layer(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Conv2D:
    """A convolution without bias, padded so that stride 1 keeps the size; He et al. 2015."""
    return nn.Conv2D(
        inputs,
        outputs,
        kernel,
        stride,
        padding=kernel // 2,
        weight_attr=he_normal(outputs * kernel * kernel),
        bias_attr=False,
    )


def halved(size: int) -> int:
    """The side of a map behind a padded layer of stride 2."""
    return (size + 1) // 2


def _changes_shape(inputs: int, outputs: int, stride: int) -> bool:
    return stride != 1 or inputs != outputs
