"""AlexNet, in the narrow form that is trained on CIFAR-10 at 128 × 128."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import Backbone, Slot
from models.backbone import AttentionAt, BackboneNetwork, Part, Plan, SlottedLayer
from models.block import SlotShape
from models.cost import Cost, conv2d, linear
from models.errors import InputError
from models.initial import he_normal, uniform_fan


class _Conv(NamedTuple):
    outputs: int
    kernel: int
    stride: int
    padding: int


_STAGES: tuple[tuple[_Conv, ...], ...] = (
    (_Conv(48, 11, 4, 5),),
    (_Conv(128, 5, 1, 2),),
    (_Conv(192, 3, 1, 1), _Conv(192, 3, 1, 1), _Conv(128, 3, 1, 1)),
)
_HIDDEN = 2048


class AlexNet(BackboneNetwork):
    """Three stages of one, one and three convolutions, each stage closed by a 3×3 max-pool.

    48-128-192-192-128 channels, biases, no batch norm; then two hidden layers of 2048 units with
    dropout of one half. One half of the two-GPU network of Krizhevsky et al., NeurIPS 2012. At
    128 × 128 pixels and 10 classes it has 7,524,042 parameters.

    A stage is one block. `after_conv<i>` is behind its i-th convolution, before the ReLU;
    `after_block` is behind the ReLU of the last one, before the max-pool. Bridge attention at
    `stage3.block1.after_conv3` sees the outputs of the two convolutions before it.
    """

    def __init__(self, config: Backbone, image_size: int, attention_at: AttentionAt) -> None:
        super().__init__(config, image_size, attention_at)
        stages = []
        inputs = 3
        for stage, given in enumerate(_stages(config), 1):

            def at(position: str, stage: int = stage) -> nn.Layer | None:
                return attention_at(Slot(stage, 1, position))

            stages.append(_Stage(inputs, given, at))
            inputs = given[-1].outputs
        self.stages = nn.Sequential(*stages)
        sizes = (*_features(config, image_size), config.classes)
        self.hidden = nn.LayerList([_linear(*pair) for pair in pairwise(sizes[:-1])])
        self.classifier = _linear(*sizes[-2:])

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """`[N, 3, H, W]` to logits `[N, classes]`."""
        features = self.stages(images).flatten(1)
        for layer in self.hidden:
            features = F.relu(layer(F.dropout(features, 0.5, training=self.training)))
        return self.classifier(features)

    @classmethod
    def plan(cls, config: Backbone, image_size: int) -> Plan:
        """Slots, cost and parts; see `BackboneNetwork.plan`."""
        slots: dict[Slot, SlotShape] = {}
        parts, cost, inputs = [], Cost(), 3
        sides = _sides(image_size)
        for stage, (given, side) in enumerate(zip(_stages(config), sides, strict=True), 1):
            steps: list[str | Slot] = []
            earlier: tuple[int, ...] = ()
            for i, conv in enumerate(given, 1):
                slot = Slot(stage, 1, f"after_conv{i}")
                slots[slot] = SlotShape(conv.outputs, side, side, bridged=earlier)
                steps += [f"conv{i}", slot]
                kernel = (conv.kernel, conv.kernel)
                cost = cost + conv2d(inputs, conv.outputs, kernel, side**2, bias=True)
                earlier, inputs = (*earlier, conv.outputs), conv.outputs
            slot = Slot(stage, 1, "after_block")
            slots[slot] = SlotShape(inputs, side, side, rectified=True)
            after = _pooled(side)
            steps += [slot, "max-pool"]
            parts.append(Part(f"stage {stage}, block 1", (inputs, after, after), tuple(steps)))
        sizes = (*_features(config, image_size), config.classes)
        for ins, outs in pairwise(sizes):
            cost = cost + linear(ins, outs)
            parts.append(Part("linear", (outs,)))
        return Plan(slots, cost, tuple(parts))


class _Stage(SlottedLayer):
    """Convolutions with a ReLU behind each, and a max-pool."""

    def __init__(
        self,
        inputs: int,
        given: tuple[_Conv, ...],
        attention_at: Callable[[str], nn.Layer | None],
    ) -> None:
        inner = (f"after_conv{i}" for i in range(1, len(given) + 1))
        super().__init__((*inner, "after_block"), attention_at)
        self.convs = nn.LayerList()
        for conv in given:
            fan = inputs * conv.kernel * conv.kernel
            attributes = {"weight_attr": he_normal(fan), "bias_attr": uniform_fan(fan)}
            self.convs.append(nn.Conv2D(inputs, *conv, **attributes))
            inputs = conv.outputs

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """`[N, inputs, H, W]` to the max-pooled output of the last convolution."""
        earlier: tuple[paddle.Tensor, ...] = ()
        for i, conv in enumerate(self.convs, 1):
            x = F.relu(self._attend(f"after_conv{i}", conv(x), earlier))
            earlier = (*earlier, x)
        return F.max_pool2d(self._attend("after_block", x, ()), 3, 2)


def _stages(config: Backbone) -> tuple[tuple[_Conv, ...], ...]:
    """`_STAGES` at the configured width."""
    if config.stem != Backbone().stem:
        raise InputError(
            f"backbone.stem {config.stem}: alexnet has no choice of stems; leave it out"
        )
    if 16 * config.width != int(16 * config.width):
        raise InputError(
            f"backbone.width {config.width:g}: 16·width must be a whole number of channels; "
            "allowed: multiples of 1/16"
        )
    return tuple(
        tuple(conv._replace(outputs=int(conv.outputs * config.width)) for conv in stage)
        for stage in _STAGES
    )


def _sides(image_size: int) -> tuple[int, int, int]:
    """The side of the maps in each stage."""
    first = (image_size + 2 * 5 - 11) // 4 + 1
    second = _pooled(first)
    third = _pooled(second)
    if _pooled(third) < 1:
        raise InputError(
            f"images of {image_size} pixels a side leave nothing behind alexnet's three max-pools; "
            "at least 57"
        )
    return first, second, third


def _pooled(side: int) -> int:
    return (side - 3) // 2 + 1


def _features(config: Backbone, image_size: int) -> tuple[int, int, int]:
    """How many values enter the hidden layers, and how many units these have."""
    hidden = int(_HIDDEN * config.width)
    channels = _stages(config)[-1][-1].outputs
    return channels * _pooled(_sides(image_size)[-1]) ** 2, hidden, hidden


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, uniform_fan(inputs), uniform_fan(inputs))
