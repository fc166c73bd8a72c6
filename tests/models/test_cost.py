"""Cost by formula is what building and watching the network counts, and what papers publish."""

import math

import paddle
import pytest
from counted_cost import counted
from thin_networks import (
    by_depth,
    everywhere,
    fitting,
    image_of,
    images,
    side_of,
    single,
    stems_of,
    thin,
)

from models.architecture import Architecture, Backbone, Placement
from models.attention import block_class, block_names, make_block
from models.backbones import backbone_names
from models.block import SlotShape
from models.build import build, cost, plan, refuse
from models.shorthand import slots_named

OPTIONS: dict[str, list[dict[str, object]]] = {
    "bat": [{"s": 2, "k": 1}, {"s": 2, "k": 2, "r": 4}, {"s": 4, "k": 4, "dropout": 0.0}],
    "bridge": [{"reduction": 1}, {"reduction": 3}, {"activation": "silu"}],
    "cbam": [{"reduction": 3}, {"spatial": False}],
    "coord": [{"reduction": 2}],
    "eca": [{"kernel": 1}, {"kernel": 7}],
    "fca": [
        {"reduction": 3, "dct_size": 7, "frequencies": "top1"},
        {"dct_size": 9, "frequencies": "low4"},
    ],
    "gc": [
        {"ratio": 0.25},
        {"ratio": 0.3, "fusion": "mul"},
        {"ratio": 1.5, "fusion": "mul+add", "pooling": "average"},
    ],
    "nonlocal": [
        {"bottleneck_ratio": 0.3},
        {"mode": "gaussian", "subsample": True},
        {"mode": "dot_product", "subsample": True, "bn": False},
        {"mode": "concatenation"},
        {"mode": "concatenation", "subsample": True, "bottleneck_ratio": 1.0},
    ],
    "ortho": [{"reduction": 3}],
    "se": [{"reduction": 3}, {"reduction": 4, "bias": True}],
    "snl": [{"bn": False}],
}
SHAPES = [
    SlotShape(16, 8, 8, bridged=(16,)),
    SlotShape(20, 7, 5, bridged=(12, 8)),
    SlotShape(33, 2, 3, bridged=(33, 33)),
]
CASES = [(name, given) for name in block_names() for given in ({}, *OPTIONS.get(name, []))]


@pytest.mark.parametrize(("name", "given"), CASES)
def test_a_blocks_cost_is_the_counted_one(name: str, given: dict[str, object]) -> None:
    block = make_block(name, given)
    options = dict(block.options)
    legal = [shape for shape in SHAPES if refuse(block, shape) is None]
    assert legal or (name, given) in [("gc", {}), ("fca", {})], "never counted"
    for shape in legal:
        x = paddle.ones((1, shape.channels, shape.height, shape.width))
        earlier = tuple(paddle.ones((1, c, shape.height, shape.width)) for c in shape.bridged)
        layer = block_class(name)(shape, **options)
        assert block_class(name).cost(shape, options) == counted(layer, x, earlier)


@pytest.mark.parametrize("name", block_names())
@pytest.mark.parametrize("backbone", by_depth(backbone_names()))
def test_a_network_with_a_block_in_every_slot(backbone: str, name: str) -> None:
    architecture = everywhere(fitting(name), thin(backbone))
    side = side_of(architecture.backbone)
    network = build(architecture, side, seed=0)
    assert cost(architecture, side) == counted(network, image_of(architecture.backbone, 1))


@pytest.mark.parametrize("name", block_names())
def test_a_network_with_a_block_in_each_slot_alone(name: str) -> None:
    """What a placement adds does not depend on what else is placed."""
    block, config = fitting(name), thin("resnet18", "imagenet")
    plain = cost(Architecture(config), 64)
    for slot, shape in plan(Architecture(config), 64).slots.items():
        if slot.block == 2 and slot.stage == 2 and refuse(block, shape) is None:
            architecture = single(config, slot, block)
            total = cost(architecture, 64)
            assert total == counted(build(architecture, 64, seed=0), images(1, side=64))
            assert total.params >= plain.params + (name != "simam")


@pytest.mark.parametrize("more", [0, 17, 34])
@pytest.mark.parametrize(
    ("backbone", "stem"), [(name, stem) for name in backbone_names() for stem in stems_of(name)]
)
def test_a_plain_backbone(backbone: str, stem: str, more: int) -> None:
    architecture = Architecture(thin(backbone, stem))
    side = side_of(architecture.backbone) + more
    network = build(architecture, side, seed=0)
    assert cost(architecture, side) == counted(network, images(1, side=side))


@pytest.mark.parametrize(
    ("backbone", "params", "macs"),
    [
        ("resnet18", 11_689_512, 1_814_073_344),
        ("resnet34", 21_797_672, 3_663_761_408),
        ("resnet50", 25_557_032, 4_089_184_256),
        ("resnet101", 44_549_160, 7_801_405_440),
    ],
)
def test_residual_networks_have_the_published_parameters_and_macs(
    backbone: str, params: int, macs: int
) -> None:
    """torchvision's models at 224×224: 1.814, 3.664, 4.089 and 7.801 GMACs."""
    total = cost(Architecture(_imagenet(backbone)), 224)
    assert (total.params, total.macs) == (params, macs)


@pytest.mark.parametrize("backbone", by_depth(["resnet18", "resnet34", "resnet50", "resnet101"]))
def test_residual_networks_are_paddles_own_in_size(backbone: str) -> None:
    theirs = getattr(paddle.vision.models, backbone)()
    total = cost(Architecture(_imagenet(backbone)), 224)
    assert total.summary_params == sum(p.size for p in theirs.parameters())


ARTICLES = [
    ("resnet18", 32, None, 11_183_562),
    ("resnet18", 32, ("ortho", {}, "before_add"), 11_270_602),
    ("alexnet", 128, None, 7_524_042),
    ("alexnet", 128, ("bridge", {}, "stage3.block1.after_conv3"), 7_529_258),
]


@pytest.mark.parametrize(("backbone", "side", "placed", "published"), ARTICLES)
def test_the_articles_totals_by_paddles_own_summary(
    capsys: pytest.CaptureFixture[str],
    backbone: str,
    side: int,
    placed: tuple[str, dict[str, object], str] | None,
    published: int,
) -> None:
    architecture = _placed(Backbone(name=backbone), side, placed)
    shown = paddle.summary(build(architecture, side, seed=0), (1, 3, side, side))
    assert f"Total params: {published:,}" in capsys.readouterr().out
    assert shown["total_params"] == published
    assert cost(architecture, side).summary_params == published


def test_the_articles_bridge_module() -> None:
    """[64, 64] → 64 with r = 16: 1,072."""
    shape = SlotShape(64, 8, 8, bridged=(64, 64))
    options = dict(make_block("bridge", {"reduction": 16}).options)
    assert block_class("bridge").cost(shape, options).summary_params == 1_072


NONLOCAL_PLACES = "stage2.every_second.after_block", "stage3.every_second.after_block"
REFERENCES = [
    ("resnet18", "bridge", {}, "before_add", 11_820_552),
    ("resnet34", "bridge", {}, "before_add", 22_034_392),
    ("resnet50", "bridge", {}, "before_add", 28_706_376),
    ("resnet101", "bridge", {}, "before_add", 50_490_312),
    ("resnet18", "ortho", {}, "before_add", 11_776_552),
    ("resnet34", "ortho", {}, "before_add", 21_954_856),
    ("resnet50", "ortho", {}, "before_add", 28_071_976),
    ("resnet50", "ortho", {}, "after_conv2", 25_714_216),
    ("resnet18", "se", {}, "before_add", 11_776_552),
    ("resnet50", "se", {}, "before_add", 28_071_976),
]


@pytest.mark.parametrize(("backbone", "name", "given", "position", "params"), REFERENCES)
def test_reference_totals(
    backbone: str, name: str, given: dict[str, object], position: str, params: int
) -> None:
    """BA-Net's and OrthoNet's own counts, standard and MOD; SE's MLP is OrthoNet's."""
    architecture = _placed(_imagenet(backbone), 224, (name, given, position))
    assert cost(architecture, 224).params == params


def test_reference_total_of_bat() -> None:
    """In ResNet-50 where non-local blocks are: after every second block of res3 and res4."""
    config = _imagenet("resnet50")
    planned = plan(Architecture(config), 224)
    slots = [slot for text in NONLOCAL_PLACES for slot in slots_named(text, planned)]
    assert [(slot.stage, slot.block) for slot in slots] == [(2, 1), (2, 3), (3, 1), (3, 3), (3, 5)]
    bat = make_block("bat", {"s": 7})
    architecture = Architecture(config, tuple(Placement(slot, bat) for slot in slots))
    assert cost(architecture, 224).params == 30_234_220


@pytest.mark.parametrize("name", ["bridge", "ortho"])
def test_a_reference_network_as_it_is_built(name: str) -> None:
    architecture = _placed(_imagenet("resnet18"), 224, (name, {}, "before_add"))
    assert len(architecture.placements) == 8
    network = build(architecture, 224, seed=0)
    trained = sum(p.size for p in network.parameters() if p.trainable)
    assert cost(architecture, 224).params == trained


def _imagenet(backbone: str) -> Backbone:
    return Backbone(name=backbone, stem="imagenet", classes=1000)


def _placed(
    backbone: Backbone, side: int, placed: tuple[str, dict[str, object], str] | None
) -> Architecture:
    """The block at every slot of a position, or at one slot."""
    if placed is None:
        return Architecture(backbone)
    name, given, where = placed
    block = make_block(name, given)
    slots = plan(Architecture(backbone), side).slots
    chosen = [slot for slot in slots if where in (slot.position, str(slot))]
    return Architecture(backbone, tuple(Placement(slot, block) for slot in chosen))


def test_the_count_fails_on_a_formula_that_forgets_the_products() -> None:
    """`paddle.flops` forgets them: a non-local block of it is off by a large factor."""
    shape = SlotShape(16, 16, 16)
    options = dict(make_block("nonlocal", {}).options)
    layer = block_class("nonlocal")(shape, **options)
    macs = counted(layer, paddle.ones((1, 16, 16, 16))).macs
    positions, inner = 256, 8
    assert macs == 4 * 16 * inner * positions + 2 * positions**2 * inner + positions**2
    assert macs > 8 * 4 * math.prod((16, inner, positions)) / 4
