"""Architecture → network: the one file that joins backbones and attention blocks."""

from dataclasses import dataclass, field

import paddle
from paddle import nn

from models.architecture import Architecture, Block, Slot
from models.attention import block_class
from models.backbone import BackboneNetwork, Plan
from models.backbones import backbone_class
from models.block import SlotShape
from models.cost import Cost
from models.errors import InputError
from models.options import did_you_mean


def plan(architecture: Architecture, image_size: int) -> Plan:
    """Slots and cost of the plain backbone of `architecture`, at square images of `image_size`."""
    return backbone_class(architecture.backbone.name).plan(architecture.backbone, image_size)


def refuse(block: Block, shape: SlotShape) -> str | None:
    """Why `block` cannot sit in a slot of `shape`; None where it can."""
    return block_class(block.name).refuse(shape, dict(block.options))


def check(architecture: Architecture, image_size: int) -> None:
    """Raises InputError naming the first placement that is not legal, and why."""
    slots = plan(architecture, image_size).slots
    for placement in architecture.placements:
        if placement.slot not in slots:
            hint = did_you_mean(str(placement.slot), map(str, slots))
            raise InputError(f"{architecture.backbone.name} has no slot {placement.slot}{hint}")
        reason = refuse(placement.block, slots[placement.slot])
        if reason is not None:
            raise InputError(f"{placement.block} cannot sit at {placement.slot}: {reason}")


def cost(architecture: Architecture, image_size: int) -> Cost:
    """Parameters and MACs by formula. Raises InputError for an illegal placement."""
    check(architecture, image_size)
    planned = plan(architecture, image_size)
    total = planned.cost
    for placement in architecture.placements:
        block, shape = placement.block, planned.slots[placement.slot]
        total = total + block_class(block.name).cost(shape, dict(block.options))
    return total


def build(architecture: Architecture, image_size: int, seed: int) -> BackboneNetwork:
    """The network of `architecture`, its initial values drawn with `seed`.

    Raises InputError for an illegal placement, and RuntimeError if the backbone did not ask for
    every placed block exactly once: a block that is not in the network must not be trained as one.
    """
    check(architecture, image_size)
    paddle.seed(seed)
    shapes = plan(architecture, image_size).slots
    filler = _Filler({p.slot: p.block for p in architecture.placements}, dict(shapes))
    network = backbone_class(architecture.backbone.name)(architecture.backbone, filler)
    if sorted(filler.filled) != sorted(filler.blocks):
        raise RuntimeError(f"placed {sorted(filler.blocks)} but built {sorted(filler.filled)}")
    return network


@dataclass
class _Filler:
    """Hands a backbone the layers for its slots, and remembers what it handed out."""

    blocks: dict[Slot, Block]
    shapes: dict[Slot, SlotShape]
    filled: list[Slot] = field(default_factory=list)

    def __call__(self, slot: Slot) -> nn.Layer | None:
        block = self.blocks.get(slot)
        if block is None:
            return None
        self.filled.append(slot)
        return block_class(block.name)(self.shapes[slot], **dict(block.options))
