"""Cost by formula is what building and watching the network counts, and what papers publish."""

import math

import paddle
import pytest
from counted_cost import counted
from thin_networks import IMAGE, STEMS, everywhere, fitting, images, single, slots_of, thin

from models.architecture import Architecture, Backbone, Placement
from models.attention import block_class, block_names, make_block
from models.backbones import backbone_names
from models.block import SlotShape
from models.build import build, cost, refuse

OPTIONS: dict[str, list[dict[str, object]]] = {
    "bridge": [{"reduction": 1}, {"reduction": 3}],
    "gc": [
        {"ratio": 0.25},
        {"ratio": 0.3, "fusion": "mul"},
        {"ratio": 1.5, "fusion": "mul+add", "pooling": "average"},
    ],
    "nonlocal": [
        {"bottleneck_ratio": 0.3},
        {"mode": "gaussian", "subsample": True},
        {"mode": "dot_product", "subsample": True, "bn": False},
    ],
    "se": [{"reduction": 3}, {"reduction": 4, "bias": True}],
}
SHAPES = [
    SlotShape(16, 8, 8, bridged=(16,)),
    SlotShape(20, 7, 5, bridged=(12, 8)),
    SlotShape(33, 2, 3, bridged=(33, 33)),
]
CASES = [(name, given) for name in block_names() for given in ({}, *OPTIONS.get(name, []))]
IMAGENET = Backbone(stem="imagenet", classes=1000)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "given"), CASES)
def test_a_blocks_cost_is_the_counted_one(
    name: str, given: dict[str, object], shape: SlotShape
) -> None:
    block = make_block(name, given)
    options = dict(block.options)
    if refuse(block, shape) is not None:
        assert (name, given) in [("gc", {})]  # 1/16 of so few channels: too thin
        return
    x = paddle.ones((1, shape.channels, shape.height, shape.width))
    earlier = tuple(paddle.ones((1, c, shape.height, shape.width)) for c in shape.bridged)
    layer = block_class(name)(shape, **options)
    assert block_class(name).cost(shape, options) == counted(layer, x, earlier)


@pytest.mark.parametrize("name", block_names())
@pytest.mark.parametrize("backbone", backbone_names())
def test_a_network_with_a_block_in_every_slot(backbone: str, name: str) -> None:
    architecture = everywhere(fitting(name), thin(backbone))
    network = build(architecture, IMAGE, seed=0)
    assert cost(architecture, IMAGE) == counted(network, images(1))


@pytest.mark.parametrize("name", block_names())
def test_a_network_with_a_block_in_each_slot_alone(name: str) -> None:
    """What a placement adds does not depend on what else is placed."""
    block, config = fitting(name), thin("resnet18", "imagenet")
    plain = cost(Architecture(config), 64)
    for slot, shape in slots_of(config).items():
        if slot.block == 2 and refuse(block, shape) is None:
            architecture = single(config, slot, block)
            total = cost(architecture, 64)
            assert total == counted(build(architecture, 64, seed=0), images(1, side=64))
            assert total.params > plain.params


@pytest.mark.parametrize("side", [16, 33, 50])
@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("backbone", backbone_names())
def test_a_plain_backbone(backbone: str, stem: str, side: int) -> None:
    architecture = Architecture(thin(backbone, stem))
    network = build(architecture, side, seed=0)
    assert cost(architecture, side) == counted(network, images(1, side=side))


def test_resnet18_has_the_published_parameters_and_macs() -> None:
    """torchvision's resnet18: 11,689,512 parameters, 1.814 GMACs at 224×224."""
    total = cost(Architecture(IMAGENET), 224)
    assert (total.params, total.macs) == (11_689_512, 1_814_073_344)


def test_resnet18_of_the_articles_by_paddles_own_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    architecture = Architecture(Backbone())
    shown = paddle.summary(build(architecture, 32, seed=0), (1, 3, 32, 32))
    assert "Total params: 11,183,562" in capsys.readouterr().out
    assert shown["total_params"] == 11_183_562
    assert cost(architecture, 32).summary_params == 11_183_562


def test_orthonet18_of_the_articles_by_paddles_own_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """OrthoNet's MLP is SE's without bias; its filters are buffers and count nothing."""
    architecture = _before_every_add("se", Backbone())
    paddle.summary(build(architecture, 32, seed=0), (1, 3, 32, 32))
    assert "Total params: 11,270,602" in capsys.readouterr().out
    assert cost(architecture, 32).summary_params == 11_270_602


@pytest.mark.parametrize(("name", "params"), [("bridge", 11_820_552), ("se", 11_776_552)])
def test_reference_totals_of_resnet18_with_attention(name: str, params: int) -> None:
    """BA-Net's own count, and OrthoNet's, whose MLP is SE's without bias."""
    architecture = _before_every_add(name, IMAGENET)
    assert len(architecture.placements) == 8
    assert cost(architecture, 224).params == params
    network = build(architecture, 224, seed=0)
    assert sum(p.size for p in network.parameters() if p.trainable) == params


def test_the_count_fails_on_a_formula_that_forgets_the_products() -> None:
    """`paddle.flops` forgets them: a non-local block of it is off by a large factor."""
    shape = SlotShape(16, 16, 16)
    options = dict(make_block("nonlocal", {}).options)
    layer = block_class("nonlocal")(shape, **options)
    macs = counted(layer, paddle.ones((1, 16, 16, 16))).macs
    positions, inner = 256, 8
    assert macs == 4 * 16 * inner * positions + 2 * positions**2 * inner + positions**2
    assert macs > 8 * 4 * math.prod((16, inner, positions)) / 4


def _before_every_add(name: str, backbone: Backbone) -> Architecture:
    slots = slots_of(backbone)
    block = make_block(name, {"reduction": 16})
    chosen = [slot for slot in slots if slot.position == "before_add"]
    return Architecture(backbone, tuple(Placement(slot, block) for slot in chosen))
