"""Thin networks for contract tests: every backbone, every slot, any block of the folder."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from models.architecture import Architecture, Backbone, Block, Placement, Slot
from models.attention import make_block
from models.backbones import backbone_class
from models.block import AttentionBlock, SlotShape
from models.build import plan, refuse

STEMS = ("cifar", "imagenet")
# Backbones that fast tests fill in a few slots only, and slow ones in all.
DEEP = ("resnet34", "resnet50", "resnet101")
# Options that fit 16 channels and small maps, where a block's defaults are for full networks. A
# block that is not named here is tested with its defaults.
FITTING: dict[str, dict[str, object]] = {
    "bat": {"s": 2, "k": 2},
    "bottleneck": {"hidden": 4},  # of a single one the second batch norm undoes the first's scale
    "bridge": {"reduction": 4},
    "cbam": {"reduction": 4},
    "coord": {"reduction": 4},
    "fca": {"reduction": 4, "frequencies": "top4", "dct_size": 7},
    "gc": {"ratio": 0.25, "fusion": "mul+add"},
    "nonlocal": {"scale": True},
    "ortho": {"reduction": 4},
    "se": {"reduction": 4, "bias": True},
}


def thin(name: str, stem: str = "cifar") -> Backbone:
    """The backbone a quarter as wide."""
    return Backbone.model_validate({"name": name, "stem": stem, "width": 0.25})


def side_of(backbone: Backbone) -> int:
    """The side of the smallest images worth testing with."""
    return 64 if backbone.name == "alexnet" else 16


def stems_of(name: str) -> tuple[str, ...]:
    """The stems a backbone can have; the default where it has no choice."""
    return STEMS if backbone_class(name).has_stems else STEMS[:1]


def by_depth(names: Iterable[str]) -> list[Any]:
    """Backbones as parameters of a test, the deep ones marked slow."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=slow) if name in DEEP else name for name in names]


def fitting(name: str) -> Block:
    """The block with options for thin networks."""
    return make_block(name, FITTING.get(name, {}))


def slots_of(backbone: Backbone) -> dict[Slot, SlotShape]:
    return dict(plan(Architecture(backbone), side_of(backbone)).slots)


def legal_slots(block: Block, backbone: Backbone) -> list[Slot]:
    return [slot for slot, shape in slots_of(backbone).items() if refuse(block, shape) is None]


def everywhere(block: Block, backbone: Backbone) -> Architecture:
    """The block in every slot where it may sit."""
    placements = [Placement(slot, block) for slot in legal_slots(block, backbone)]
    return Architecture(backbone, tuple(placements))


def single(backbone: Backbone, slot: Slot, block: Block) -> Architecture:
    return Architecture(backbone, (Placement(slot, block),))


def image_of(backbone: Backbone, batch: int, seed: int = 0) -> paddle.Tensor:
    return images(batch, seed, side_of(backbone))


def images(batch: int, seed: int = 0, side: int = 16) -> paddle.Tensor:
    drawn = np.random.default_rng(seed).normal(size=(batch, 3, side, side))
    return paddle.to_tensor(drawn.astype(np.float32))


def attention_layers(network: nn.Layer) -> list[AttentionBlock]:
    return [layer for layer in network.sublayers() if isinstance(layer, AttentionBlock)]
