"""Architecture → network: the one file that joins backbones and attention blocks."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import paddle
from paddle import nn

from models.architecture import Architecture, Backbone, Block, Slot
from models.attention import block_class
from models.backbone import BackboneNetwork, Plan
from models.backbones import backbone_class
from models.block import SlotShape
from models.cost import Cost
from models.errors import InputError
from models.shorthand import what_there_is


def plan(architecture: Architecture, image_size: int) -> Plan:
    """Slots and cost of the plain backbone of `architecture`, at square images of `image_size`."""
    return _plan(architecture.backbone, image_size)


@lru_cache(maxsize=64)
def _plan(backbone: Backbone, image_size: int) -> Plan:
    return backbone_class(backbone.name).plan(backbone, image_size)


def refuse(block: Block, shape: SlotShape) -> str | None:
    """Why `block` cannot sit in a slot of `shape`; None where it can."""
    return block_class(block.name).refuse(shape, dict(block.options))


def refuse_at(slot: Slot, block: Block, planned: Plan) -> str | None:
    """That `block` cannot sit at `slot`, which exists, and why; None where it can."""
    reason = refuse(block, planned.slots[slot])
    return None if reason is None else f"{block} cannot sit at {slot}: {reason}"


def check(architecture: Architecture, image_size: int) -> None:
    """Raises InputError naming the first placement that is not legal, and why."""
    planned = plan(architecture, image_size)
    for placement in architecture.placements:
        if placement.slot not in planned.slots:
            raise InputError(_no_slot(architecture.backbone, placement.slot, planned))
        refused = refuse_at(placement.slot, placement.block, planned)
        if refused is not None:
            raise InputError(refused)


def _no_slot(backbone: Backbone, slot: Slot, planned: Plan) -> str:
    message = f"{backbone.name} has no slot {slot}"
    if slot.position in planned.aliases:
        return f"{message}: there that position is called {planned.aliases[slot.position]}"
    missing, hint = what_there_is(str(slot.stage), str(slot.block), slot.position, planned)
    return f"{message}{hint or f': there is {missing}'}"


def cost(architecture: Architecture, image_size: int) -> Cost:
    """Parameters and MACs by formula. Raises InputError for an illegal placement."""
    check(architecture, image_size)
    planned = plan(architecture, image_size)
    total = planned.cost
    for placement in architecture.placements:
        total = total + block_cost(placement.block, planned.slots[placement.slot])
    return total


def block_cost(block: Block, shape: SlotShape) -> Cost:
    """Parameters and MACs that `block` adds in a slot of `shape`."""
    return block_class(block.name).cost(shape, dict(block.options))


def build(architecture: Architecture, image_size: int, seed: int) -> BackboneNetwork:
    """The network of `architecture`, its initial values drawn with `seed`.

    The backbone starts from the same values whatever is placed in it, and a block from the same
    values wherever else blocks are: differences between candidates are not those of their starts.
    Raises InputError for an illegal placement, and RuntimeError if the backbone did not ask for
    every placed block exactly once: a block that is not in the network must not be trained as one.
    """
    check(architecture, image_size)
    paddle.seed(seed)
    shapes = plan(architecture, image_size).slots
    blocks = {placement.slot: placement.block for placement in architecture.placements}
    filler = _Filler(blocks, dict(shapes), seed)
    network = backbone_class(architecture.backbone.name)(architecture.backbone, image_size, filler)
    if sorted(filler.filled) != sorted(filler.blocks):
        raise RuntimeError(f"placed {sorted(filler.blocks)} but built {sorted(filler.filled)}")
    return network


@dataclass
class _Filler:
    """Hands a backbone the layers for its slots, and remembers what it handed out."""

    blocks: dict[Slot, Block]
    shapes: dict[Slot, SlotShape]
    seed: int
    filled: list[Slot] = field(default_factory=list)

    def __call__(self, slot: Slot) -> nn.Layer | None:
        block = self.blocks.get(slot)
        if block is None:
            return None
        self.filled.append(slot)
        with _own_random_numbers(self.seed, slot):
            return block_class(block.name)(self.shapes[slot], **dict(block.options))


@contextmanager
def _own_random_numbers(seed: int, slot: Slot) -> Iterator[None]:
    """Draws a block's initial values apart, so that the backbone's do not depend on placements."""
    state = paddle.get_rng_state()
    paddle.seed(seed + zlib.crc32(str(slot).encode()))
    try:
        yield
    finally:
        paddle.set_rng_state(state)
