"""What every backbone is: a network that names its slots and knows no attention block."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import paddle
from paddle import nn

from models.architecture import Backbone, Slot
from models.block import SlotShape
from models.cost import Cost

AttentionAt = Callable[[Slot], nn.Layer | None]
"""Gives the layer for a slot, called once for every slot, in the order data pass them.

The layer is called as `layer(x, bridged)`; see `models.block.AttentionBlock.forward`.
"""


@dataclass(frozen=True)
class Part:
    """A part of a backbone as people see it: a line of the diagram `python -m models` draws.

    `shape` is the part's output `[C, H, W]` without the batch, or `[C]`; `steps` are the layers
    data pass in it, by name, with the slots among them where they are.
    """

    title: str
    shape: tuple[int, ...]
    steps: tuple[str | Slot, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A backbone before it is built: its slots in the order data pass them, and its own cost.

    `aliases` are other names of positions: what `after_conv2` is called where it is `before_add`.
    """

    slots: Mapping[Slot, SlotShape]
    cost: Cost
    parts: tuple[Part, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)


class SlottedLayer(nn.Layer):
    """A part of a backbone that has slots: holds the layers of those that are filled."""

    def __init__(
        self, positions: Iterable[str], attention_at: Callable[[str], nn.Layer | None]
    ) -> None:
        super().__init__()
        placed = {position: attention_at(position) for position in positions}
        self.attention = nn.LayerDict({p: layer for p, layer in placed.items() if layer})

    def _attend(
        self, position: str, x: paddle.Tensor, earlier: tuple[paddle.Tensor, ...]
    ) -> paddle.Tensor:
        """`x` through the layer at `position`, or as it is where there is none."""
        return self.attention[position](x, earlier) if position in self.attention else x


class BackboneNetwork(nn.Layer):
    """Maps images `[N, 3, H, W]` to logits `[N, classes]`.

    One backbone is one file of `models/backbones/`, and the file's name is its name in YAML. It is
    built for square images of `image_size` pixels. `has_stems`: `Backbone.stem` is a choice.
    """

    has_stems: ClassVar[bool] = False

    def __init__(
        self,
        config: Backbone,  # noqa: ARG002
        image_size: int,
        attention_at: AttentionAt,  # noqa: ARG002
    ) -> None:
        super().__init__()
        self.image_size = image_size

    @classmethod
    @abstractmethod
    def plan(cls, config: Backbone, image_size: int) -> Plan:
        """Slots, cost and parts for images of `image_size` pixels, without building anything.

        Raises InputError for a width or image size that the backbone cannot have.
        """
