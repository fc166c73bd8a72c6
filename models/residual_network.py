"""Residual networks of basic blocks, with named slots. The depth is the subclass's."""

from typing import ClassVar

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import Backbone, Slot
from models.backbone import AttentionAt, BackboneNetwork, Plan
from models.block import SlotShape
from models.cost import Cost, batch_norm, conv2d, linear
from models.errors import InputError
from models.initial import he_normal, uniform_fan


class BasicBlock(nn.Layer):
    """Two 3×3 convolutions and a shortcut; slots `before_add` and `after_block`.

    He et al., "Deep Residual Learning", CVPR 2016, figure 5 left. The shortcut is the input, or a
    1×1 convolution of it where its shape changes.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        before_add: nn.Layer | None,
        after_block: nn.Layer | None,
    ) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv(inputs, outputs, 3, stride), nn.BatchNorm2D(outputs)
        self.conv2, self.norm2 = _conv(outputs, outputs, 3, 1), nn.BatchNorm2D(outputs)
        self.before_add, self.after_block = before_add, after_block
        self.shortcut: nn.Layer | None = None
        if _changes_shape(inputs, outputs, stride):
            self.shortcut = nn.Sequential(
                _conv(inputs, outputs, 1, stride), nn.BatchNorm2D(outputs)
            )

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """`[N, inputs, H, W]` to `[N, outputs, ⌈H/stride⌉, ⌈W/stride⌉]`."""
        first = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(first))
        if self.before_add is not None:
            out = self.before_add(out, (first,))
        out = F.relu(out + (x if self.shortcut is None else self.shortcut(x)))
        return out if self.after_block is None else self.after_block(out, ())


class ResidualNetwork(BackboneNetwork):
    """Stem, four stages of basic blocks, global average pooling, linear classifier.

    Stages count from 1 (res2 of the literature is stage 1); stage s has
    `64·width·2^(s−1)` channels.
    """

    depths: ClassVar[tuple[int, int, int, int]]

    def __init__(self, config: Backbone, attention_at: AttentionAt) -> None:
        super().__init__(config, attention_at)
        channels = _stage_channels(config)
        self.stem = _stem(config.stem, channels[0])
        blocks = []
        inputs = channels[0]
        for stage, (outputs, depth) in enumerate(zip(channels, self.depths, strict=True), 1):
            for block in range(1, depth + 1):
                before_add = attention_at(Slot(stage, block, "before_add"))
                after_block = attention_at(Slot(stage, block, "after_block"))
                stride = _stride(stage, block)
                blocks.append(BasicBlock(inputs, outputs, stride, before_add, after_block))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        fan = uniform_fan(inputs)
        self.classifier = nn.Linear(inputs, config.classes, fan, uniform_fan(inputs))

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """`[N, 3, H, W]` to logits `[N, classes]`."""
        features = self.blocks(self.stem(images))  # [N, C, H/8, W/8], or /32 with the imagenet stem
        return self.classifier(features.mean(axis=(2, 3)))

    @classmethod
    def plan(cls, config: Backbone, image_size: int) -> Plan:
        """Slots and cost; see `BackboneNetwork.plan`."""
        if image_size < 1:
            raise InputError(f"images of {image_size} pixels a side do not exist; at least 1")
        channels = _stage_channels(config)
        size, cost = _stem_plan(config.stem, channels[0], image_size)
        slots: dict[Slot, SlotShape] = {}
        inputs = channels[0]
        for stage, (outputs, depth) in enumerate(zip(channels, cls.depths, strict=True), 1):
            for block in range(1, depth + 1):
                stride = _stride(stage, block)
                size = _halved(size) if stride == 2 else size
                cost = cost + _block_cost(inputs, outputs, stride, size)
                before_add = SlotShape(outputs, size, size, bridged=(outputs,))
                slots[Slot(stage, block, "before_add")] = before_add
                slots[Slot(stage, block, "after_block")] = SlotShape(outputs, size, size)
                inputs = outputs
        return Plan(slots, cost + linear(inputs, config.classes))


def _stage_channels(config: Backbone) -> tuple[int, ...]:
    base = 64 * config.width
    if base != int(base):
        raise InputError(
            f"backbone.width {config.width:g}: 64·width must be a whole number of channels, "
            f"not {base:g}; allowed: multiples of 1/64"
        )
    return tuple(int(base) << stage for stage in range(4))


def _stride(stage: int, block: int) -> int:
    return 2 if stage > 1 and block == 1 else 1


def _halved(size: int) -> int:
    return (size + 1) // 2


def _changes_shape(inputs: int, outputs: int, stride: int) -> bool:
    return stride != 1 or inputs != outputs


def _conv(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Conv2D:
    return nn.Conv2D(
        inputs,
        outputs,
        kernel,
        stride,
        padding=kernel // 2,
        weight_attr=he_normal(outputs * kernel * kernel),
        bias_attr=False,
    )


def _stem(stem: str, channels: int) -> nn.Sequential:
    if stem == "cifar":
        return nn.Sequential(_conv(3, channels, 3, 1), nn.BatchNorm2D(channels), nn.ReLU())
    return nn.Sequential(
        _conv(3, channels, 7, 2), nn.BatchNorm2D(channels), nn.ReLU(), nn.MaxPool2D(3, 2, 1)
    )


def _stem_plan(stem: str, channels: int, image_size: int) -> tuple[int, Cost]:
    """The side of the map behind the stem, and the stem's cost."""
    if stem == "cifar":
        cost = conv2d(3, channels, (3, 3), image_size**2)
        return image_size, cost + batch_norm(channels)
    size = _halved(image_size)
    return _halved(size), conv2d(3, channels, (7, 7), size**2) + batch_norm(channels)


def _block_cost(inputs: int, outputs: int, stride: int, size: int) -> Cost:
    cost = conv2d(inputs, outputs, (3, 3), size**2) + batch_norm(outputs)
    cost = cost + conv2d(outputs, outputs, (3, 3), size**2) + batch_norm(outputs)
    if _changes_shape(inputs, outputs, stride):
        cost = cost + conv2d(inputs, outputs, (1, 1), size**2) + batch_norm(outputs)
    return cost
