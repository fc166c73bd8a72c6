"""Residual networks. How deep, and of which kind of block, is the subclass's to say."""

from collections.abc import Iterator
from typing import ClassVar

import paddle
from paddle import nn

from models.architecture import Backbone, Slot
from models.backbone import AttentionAt, BackboneNetwork, Part, Plan
from models.block import SlotShape
from models.cost import Cost, batch_norm, conv2d, linear
from models.errors import InputError
from models.initial import uniform_fan
from models.residual_block import (
    BlockKind,
    ResidualBlock,
    block_cost,
    block_shapes,
    conv_layer,
    halved,
)


class ResidualNetwork(BackboneNetwork):
    """Stem, four stages of residual blocks, global average pooling, linear classifier.

    Stages count from 1 (res2 of the literature is stage 1); inside the blocks of stage s there are
    `64·width·2^(s−1)` channels.
    """

    has_stems = True
    kind: ClassVar[BlockKind]
    depths: ClassVar[tuple[int, int, int, int]]

    def __init__(self, config: Backbone, image_size: int, attention_at: AttentionAt) -> None:
        super().__init__(config, image_size, attention_at)
        base = _base_channels(config)
        self.stem = _stem(config.stem, base)
        blocks = []
        inputs = base
        for stage, block, planes, stride in self._blocks(base):

            def at(position: str, stage: int = stage, block: int = block) -> nn.Layer | None:
                return attention_at(Slot(stage, block, position))

            blocks.append(ResidualBlock(self.kind, inputs, planes, stride, at))
            inputs = planes * self.kind.expansion
        self.blocks = nn.Sequential(*blocks)
        fan = uniform_fan(inputs)
        self.classifier = nn.Linear(inputs, config.classes, fan, uniform_fan(inputs))

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """`[N, 3, H, W]` to logits `[N, classes]`."""
        features = self.blocks(self.stem(images))  # [N, C, H/8, W/8], or /32 with the imagenet stem
        return self.classifier(features.mean(axis=(2, 3)))

    @classmethod
    def plan(cls, config: Backbone, image_size: int) -> Plan:
        """Slots, cost and parts; see `BackboneNetwork.plan`."""
        if image_size < 1:
            raise InputError(f"images of {image_size} pixels a side do not exist; at least 1")
        inputs = _base_channels(config)
        size, cost, parts = _stem_plan(config.stem, inputs, image_size)
        slots: dict[Slot, SlotShape] = {}
        for stage, block, planes, stride in cls._blocks(inputs):
            cost = cost + block_cost(cls.kind, inputs, planes, stride, size)
            shapes = block_shapes(cls.kind, inputs, planes, stride, size)
            slots |= {Slot(stage, block, position): shape for position, shape in shapes.items()}
            inputs, size = planes * cls.kind.expansion, shapes["after_block"].height
            parts.append(_part(cls.kind, stage, block, (inputs, size, size)))
        parts.append(Part("average, linear", (config.classes,)))
        total = cost + linear(inputs, config.classes)
        return Plan(slots, total, tuple(parts), cls.kind.aliases)

    @classmethod
    def _blocks(cls, base: int) -> Iterator[tuple[int, int, int, int]]:
        """Stage, block, planes and stride of every block."""
        for stage, depth in enumerate(cls.depths, 1):
            for block in range(1, depth + 1):
                yield stage, block, base << (stage - 1), 2 if stage > 1 and block == 1 else 1


def _base_channels(config: Backbone) -> int:
    base = 64 * config.width
    if base != int(base):
        raise InputError(
            f"backbone.width {config.width:g}: 64·width must be a whole number of channels, "
            f"not {base:g}; allowed: multiples of 1/64"
        )
    return int(base)


def _stem(stem: str, channels: int) -> nn.Sequential:
    if stem == "cifar":
        return nn.Sequential(conv_layer(3, channels, 3, 1), nn.BatchNorm2D(channels), nn.ReLU())
    return nn.Sequential(
        conv_layer(3, channels, 7, 2), nn.BatchNorm2D(channels), nn.ReLU(), nn.MaxPool2D(3, 2, 1)
    )


def _stem_plan(stem: str, channels: int, image_size: int) -> tuple[int, Cost, list[Part]]:
    """The side of the map behind the stem, the stem's cost, and its part of the diagram."""
    if stem == "cifar":
        size = image_size
        cost, title = conv2d(3, channels, (3, 3), size**2), "stem 3×3"
    else:
        size = halved(image_size)
        cost, title = conv2d(3, channels, (7, 7), size**2), "stem 7×7, max-pool"
        size = halved(size)
    return size, cost + batch_norm(channels), [Part(title, (channels, size, size))]


def _part(kind: BlockKind, stage: int, block: int, shape: tuple[int, int, int]) -> Part:
    slots = [Slot(stage, block, position) for position in kind.positions]
    steps: list[str | Slot] = []
    for i, slot in enumerate(slots[:-1], 1):
        steps += [f"conv{i}", slot]
    return Part(f"stage {stage}, block {block}", shape, (*steps, "add", slots[-1]))
