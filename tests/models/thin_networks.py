"""Thin networks for contract tests: every backbone, every slot, any block of the folder."""

from collections.abc import Iterable

import numpy as np
import paddle
from paddle import nn

from models.architecture import Architecture, Backbone, Block, Placement, Slot
from models.attention import block_names, make_block
from models.backbones import backbone_names
from models.block import AttentionBlock, SlotShape
from models.build import plan, refuse

IMAGE = 16
STEMS = ("cifar", "imagenet")
# Options that fit 16 channels, where a block's defaults are for full networks. A block that is not
# named here is tested with its defaults.
FITTING: dict[str, dict[str, object]] = {
    "bridge": {"reduction": 4},
    "gc": {"ratio": 0.25, "fusion": "mul+add"},
    "nonlocal": {"scale": True},
    "se": {"reduction": 4, "bias": True},
}


def thin(name: str, stem: str = "cifar") -> Backbone:
    """The backbone a quarter as wide."""
    return Backbone.model_validate({"name": name, "stem": stem, "width": 0.25})


def fitting(name: str) -> Block:
    """The block with options for thin networks."""
    return make_block(name, FITTING.get(name, {}))


def slots_of(backbone: Backbone) -> dict[Slot, SlotShape]:
    return dict(plan(Architecture(backbone), IMAGE).slots)


def legal_slots(block: Block, backbone: Backbone) -> list[Slot]:
    return [slot for slot, shape in slots_of(backbone).items() if refuse(block, shape) is None]


def everywhere(block: Block, backbone: Backbone) -> Architecture:
    """The block in every slot where it may sit."""
    placements = [Placement(slot, block) for slot in legal_slots(block, backbone)]
    return Architecture(backbone, tuple(placements))


def single(backbone: Backbone, slot: Slot, block: Block) -> Architecture:
    return Architecture(backbone, (Placement(slot, block),))


def all_cases() -> Iterable[tuple[str, str, str, Slot]]:
    """Block, backbone, stem, slot: all there are with the first stem, one stage with the second."""
    for backbone in backbone_names():
        for stem in STEMS:
            for slot in slots_of(thin(backbone, stem)):
                if stem == STEMS[0] or slot.stage == 2:
                    yield from ((block, backbone, stem, slot) for block in block_names())


def images(batch: int, seed: int = 0, side: int = IMAGE) -> paddle.Tensor:
    drawn = np.random.default_rng(seed).normal(size=(batch, 3, side, side))
    return paddle.to_tensor(drawn.astype(np.float32))


def attention_layers(network: nn.Layer) -> list[AttentionBlock]:
    return [layer for layer in network.sublayers() if isinstance(layer, AttentionBlock)]
