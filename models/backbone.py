"""What every backbone is: a network that names its slots and knows no attention block."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from paddle import nn

from models.architecture import Backbone, Slot
from models.block import SlotShape
from models.cost import Cost

AttentionAt = Callable[[Slot], nn.Layer | None]
"""Gives the layer for a slot, called once for every slot, in the order data pass them.

The layer is called as `layer(x, bridged)`; see `models.block.AttentionBlock.forward`.
"""


@dataclass(frozen=True)
class Plan:
    """A backbone before it is built: its slots in the order data pass them, and its own cost."""

    slots: Mapping[Slot, SlotShape]
    cost: Cost


class BackboneNetwork(nn.Layer):
    """Maps images `[N, 3, H, W]` to logits `[N, classes]`.

    One backbone is one file of `models/backbones/`, and the file's name is its name in YAML.
    """

    def __init__(self, config: Backbone, attention_at: AttentionAt) -> None:  # noqa: ARG002
        super().__init__()

    @classmethod
    @abstractmethod
    def plan(cls, config: Backbone, image_size: int) -> Plan:
        """Slots and cost for square images of `image_size` pixels, without building anything.

        Raises InputError for a width or image size that the backbone cannot have.
        """
