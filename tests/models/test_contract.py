"""What every block and every backbone of the folders keeps to, whatever else it does."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from thin_networks import (
    attention_layers,
    by_depth,
    everywhere,
    fitting,
    image_of,
    images,
    legal_slots,
    side_of,
    single,
    slots_of,
    stems_of,
    thin,
)

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_class, block_names, make_block
from models.backbone import BackboneNetwork
from models.backbones import backbone_class, backbone_names
from models.block import AttentionBlock, SlotShape
from models.build import build, check, cost, plan, refuse
from models.errors import InputError


def _single_slots() -> Iterator[Any]:
    """Backbone, stem and slot: one of each position fast, every other of the small ones slow."""
    for slot in slots_of(thin("resnet50")):
        if str(slot) == "stage2.block1.after_conv2":
            yield pytest.param("resnet50", "cifar", slot, id=f"resnet50-cifar-{slot}")
    for backbone in ("resnet18", "alexnet"):
        for stem in stems_of(backbone):
            for slot in slots_of(thin(backbone, stem)):
                if stem == "imagenet" and slot.stage != 2:
                    continue  # the stem only changes the maps' size
                stage = {"resnet18": 2, "alexnet": 3}[backbone]
                fast = (slot.stage, slot.block, stem) == (stage, 1, "cifar")
                name = f"{backbone}-{stem}-{slot}"
                marks = () if fast else pytest.mark.slow
                yield pytest.param(backbone, stem, slot, id=name, marks=marks)


@pytest.mark.parametrize("name", block_names())
@pytest.mark.parametrize(("backbone", "stem", "slot"), list(_single_slots()))
def test_a_block_in_a_slot(name: str, backbone: str, stem: str, slot: Slot) -> None:
    block, config = fitting(name), thin(backbone, stem)
    shape = slots_of(config)[slot]
    architecture = single(config, slot, block)
    reason = refuse(block, shape)
    if reason is None:
        _keeps_the_contract(architecture)
        return
    with pytest.raises(InputError, match=re.escape(f"cannot sit at {slot}: {reason}")):
        build(architecture, side_of(config), seed=0)


@pytest.mark.parametrize("name", block_names())
@pytest.mark.parametrize("backbone", by_depth(backbone_names()))
def test_a_block_in_every_slot(name: str, backbone: str) -> None:
    """N placements are N layers, each called once and in order, whatever stands before them."""
    _keeps_the_contract(everywhere(fitting(name), thin(backbone)))


def _keeps_the_contract(architecture: Architecture) -> None:
    """Shapes, finite values and gradients, one call a forward, the same answer again."""
    config = architecture.backbone
    planned = slots_of(config)
    placed = {placement.slot for placement in architecture.placements}
    expected = [replace(planned[slot], rectified=False) for slot in planned if slot in placed]
    network = build(architecture, side_of(config), seed=0)
    layers = attention_layers(network)
    calls: list[tuple[int, SlotShape]] = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda a, given: calls.append((id(a), _shape(*given))))
        layer.register_forward_post_hook(_is_finite_and_as_large)
    order = [(id(layer), shape) for layer, shape in zip(layers, expected, strict=True)]

    network.train()
    network(image_of(config, 2)).square().mean().backward()
    _gradients_are_finite(network)
    network(image_of(config, 1))
    assert calls == order * 2
    network.eval()
    with paddle.no_grad():
        two = image_of(config, 2)
        first, again, alone = network(two), network(two), network(two[:1])
    assert calls == order * 5
    assert np.array_equal(first.numpy(), again.numpy())
    scale = max(1.0, float(first.abs().max()))
    np.testing.assert_allclose(alone.numpy() / scale, first.numpy()[:1] / scale, atol=1e-4)


def _is_finite_and_as_large(_: Any, given: tuple[Any, ...], out: paddle.Tensor) -> None:
    assert out.shape == given[0].shape
    assert bool(paddle.isfinite(out).all())


def _gradients_are_finite(network: BackboneNetwork) -> None:
    for key, parameter in network.named_parameters():
        if parameter.trainable:
            assert parameter.grad is not None, key
            assert bool(paddle.isfinite(parameter.grad).all()), key


@pytest.mark.parametrize("name", block_names())
@pytest.mark.parametrize("backbone", backbone_names())
def test_every_slot_takes_a_block_or_says_why_not(name: str, backbone: str) -> None:
    """Refused with the same reason by all who are asked, before anything is built."""
    block = make_block(name, {})
    for stem in stems_of(backbone):
        config = thin(backbone, stem)
        for slot, shape in slots_of(config).items():
            architecture = single(config, slot, block)
            reason = refuse(block, shape)
            if reason is None:
                check(architecture, side_of(config))
                continue
            assert len(reason) > 10
            for refused in (check, cost, lambda a, side: build(a, side, seed=0)):
                with pytest.raises(InputError, match=re.escape(f"{slot}: {reason}")):
                    refused(architecture, side_of(config))


@pytest.mark.parametrize("name", block_names())
def test_a_block_has_a_slot_in_every_backbone(name: str) -> None:
    for backbone in backbone_names():
        assert legal_slots(fitting(name), thin(backbone))


@pytest.mark.parametrize(
    ("backbone", "stem"), [(name, stem) for name in backbone_names() for stem in stems_of(name)]
)
@pytest.mark.parametrize("more", [0, 17])
def test_the_plan_is_what_the_network_does(backbone: str, stem: str, more: int) -> None:
    """Every slot is offered once, in the planned order, with the planned feature maps."""
    config = thin(backbone, stem)
    side = side_of(config) + more
    asked: list[Slot] = []
    seen: list[tuple[Slot, SlotShape]] = []

    def probe_at(slot: Slot) -> paddle.nn.Layer:
        asked.append(slot)
        return _Probe(slot, seen)

    network = backbone_class(backbone)(config, side, probe_at)
    network.eval()
    assert network(images(2, side=side)).shape == [2, config.classes]
    planned = plan(Architecture(config), side).slots
    assert asked == list(planned)
    assert seen == list(planned.items())


class _Probe(paddle.nn.Layer):
    def __init__(self, slot: Slot, seen: list[tuple[Slot, SlotShape]]) -> None:
        super().__init__()
        self.slot, self.seen = slot, seen

    def forward(self, x: paddle.Tensor, bridged: tuple[paddle.Tensor, ...]) -> paddle.Tensor:
        rectified = bool((x >= 0).all())
        self.seen.append((self.slot, replace(_shape(x, bridged), rectified=rectified)))
        return x


def _shape(x: paddle.Tensor, bridged: tuple[paddle.Tensor, ...]) -> SlotShape:
    return SlotShape(*x.shape[1:], bridged=tuple(features.shape[1] for features in bridged))


def test_the_same_architecture_holds_different_blocks() -> None:
    config = thin("resnet18")
    slots = list(slots_of(config))[::3]
    names = [name for name in block_names() if not block_class(name).wants_bridged]
    chosen = dict(zip(slots, names, strict=False))
    architecture = Architecture(config, tuple(Placement(s, fitting(n)) for s, n in chosen.items()))
    kinds = [type(layer) for layer in attention_layers(build(architecture, 16, seed=0))]
    assert kinds == [block_class(name) for name in chosen.values()]


@pytest.mark.parametrize("name", block_names())
def test_state_survives_safetensors_bit_for_bit(name: str, tmp_path: Path) -> None:
    architecture = _in_stage_2(name)
    network = build(architecture, 16, seed=1)
    network.train()
    network(images(2))  # moves the running statistics off their initial values
    path = str(tmp_path / "network.safetensors")
    paddle.save(network.state_dict(), path, safetensors=True)
    other = build(architecture, 16, seed=2)
    missing, unexpected = other.set_state_dict(paddle.load(path, safetensors=True))
    assert (missing, unexpected) == ([], [])
    assert _bytes(other) == _bytes(network)
    network.eval()
    other.eval()
    assert np.array_equal(network(images(2)).numpy(), other(images(2)).numpy())


@pytest.mark.parametrize("name", block_names())
def test_the_seed_alone_decides_the_initial_values(name: str) -> None:
    architecture = _in_stage_2(name)
    first, again, other = (_bytes(build(architecture, 16, seed=s)) for s in (7, 7, 8))
    assert first == again
    assert first != other


def _in_stage_2(name: str) -> Architecture:
    placements = everywhere(fitting(name), thin("resnet18")).placements
    return Architecture(thin("resnet18"), tuple(p for p in placements if p.slot.stage == 2))


def _bytes(network: paddle.nn.Layer) -> dict[str, bytes]:
    return {key: value.numpy().tobytes() for key, value in network.state_dict().items()}


@pytest.mark.parametrize("name", block_names())
def test_a_block_describes_itself(name: str) -> None:
    kind = block_class(name)
    assert issubclass(kind, AttentionBlock)
    texts = (kind.params_formula, kind.macs_formula, kind.legal_sizes, kind.__doc__)
    for text in (kind.title, kind.paper, kind.insertion, kind.deviations, *texts):
        assert isinstance(text, str)
        assert text.strip()
    assert re.fullmatch(r"arXiv:\d{4}\.\d{5}|(CVPR|ICML) \d{4}", kind.paper)
    names = [option.name for option in kind.options]
    assert len(set(names)) == len(names)
    for option in kind.options:
        assert option.parse(option.default) == option.default
        assert option.meaning


NO_MAPS = "needs earlier feature maps of the same block, and there are none"


@pytest.mark.parametrize(
    ("slot", "name", "options", "reason"),
    [
        ("stage1.block1.after_block", "bridge", {}, NO_MAPS),
        ("stage1.block1.before_add", "bridge", {"reduction": 17}, "leaves no hidden unit"),
        ("stage1.block1.before_add", "se", {"reduction": 32}, "leaves no hidden unit"),
        ("stage1.block1.before_add", "gc", {"ratio": 0.1}, "fewer than 2 inner channels"),
        ("stage4.block2.after_block", "nonlocal", {"subsample": True}, "too small to subsample"),
        ("stage1.block1.after_conv1", "bridge", {}, NO_MAPS),
        ("stage1.block1.before_add", "bat", {"s": 3}, "no multiple of s = 3"),
        ("stage1.block1.before_add", "bat", {"s": 2, "k": 3}, "split into k = 3 groups"),
        ("stage1.block1.before_add", "bat", {"s": 2, "k": 4, "r": 8}, "into k = 4 groups"),
        ("stage1.block1.before_add", "fca", {}, "they need 7×7"),
        ("stage1.block1.before_add", "fca", {"dct_size": 6}, "they need 7×7"),
        ("stage1.block1.before_add", "fca", {"dct_size": 7, "frequencies": "top32"}, "evenly"),
        ("stage1.block1.before_add", "fca", {"dct_size": 7, "reduction": 17}, "no hidden unit"),
        ("stage1.block1.before_add", "ortho", {"reduction": 33}, "leaves no hidden unit"),
        ("stage1.block1.before_add", "cbam", {"reduction": 17}, "leaves no hidden unit"),
        ("stage4.block1.before_add", "simam", {}, "has no variance"),
        ("stage4.block1.before_add", "gc", {"ratio": 1.0}, "softmax over a single position"),
        ("stage4.block1.before_add", "snl", {}, "softmax over a single position"),
        ("stage4.block1.before_add", "nonlocal", {}, "softmax over a single key"),
        ("stage4.block1.before_add", "nonlocal", {"mode": "gaussian"}, "over a single key"),
        ("stage2.block1.before_add", "nonlocal", {"subsample": True}, "over a single key"),
    ],
)
def test_an_illegal_size_is_refused_before_building(
    slot: str, name: str, options: dict[str, object], reason: str
) -> None:
    config = thin("resnet18", "imagenet")
    architecture = single(config, Slot.parse(slot), make_block(name, options))
    for refused in (check, cost, lambda a, side: build(a, side, seed=0)):
        with pytest.raises(InputError, match=f"{re.escape(slot)}.*{reason}"):
            refused(architecture, 16)


def test_a_slot_that_is_not_there_is_refused_with_a_suggestion() -> None:
    architecture = single(Backbone(), Slot(4, 3, "before_add"), make_block("se", {}))
    with pytest.raises(InputError, match=r"has no slot stage4\.block3\.before_add; did you mean"):
        check(architecture, 32)


def test_a_slot_by_another_name_is_refused_with_the_right_one() -> None:
    architecture = single(Backbone(), Slot(4, 2, "after_conv2"), make_block("se", {}))
    with pytest.raises(InputError, match=r"after_conv2: there that position is called before_add"):
        check(architecture, 32)


@pytest.mark.parametrize(
    ("given", "side", "reason"),
    [
        ({"width": 0.1}, 32, "multiples of 1/64"),
        ({"name": "resnet50", "width": 0.1}, 32, "multiples of 1/64"),
        ({"name": "alexnet", "width": 0.1}, 128, "multiples of 1/16"),
        ({"name": "alexnet", "stem": "imagenet"}, 128, "alexnet has no choice of stems"),
        ({"name": "alexnet"}, 56, "at least 57"),
        ({}, 0, "at least 1"),
    ],
)
def test_a_backbone_that_cannot_be_is_refused(
    given: dict[str, object], side: int, reason: str
) -> None:
    architecture = Architecture(Backbone.model_validate(given))
    for refused in (plan, check, cost, lambda a, size: build(a, size, seed=0)):
        with pytest.raises(InputError, match=reason):
            refused(architecture, side)


def test_the_smallest_image_of_alexnet() -> None:
    architecture = Architecture(Backbone(name="alexnet", width=0.25))
    network = build(architecture, 57, seed=0)
    network.eval()
    assert network(images(1, side=57)).shape == [1, 10]


def test_a_placement_leaves_all_other_initial_values_alone():
    """Common random numbers: candidates differ by their blocks, not by a new draw of the rest."""
    backbone = Backbone(width=0.125)
    slots = [Slot.parse("stage2.block1.before_add"), Slot.parse("stage4.block2.after_block")]
    first = Placement(slots[0], make_block("se", {"reduction": 4}))
    second = Placement(slots[1], make_block("gc", {"ratio": 0.25}))
    plain = build(Architecture(backbone), 16, seed=3).state_dict()
    alone = build(Architecture(backbone, (second,)), 16, seed=3).state_dict()
    both = build(Architecture(backbone, (first, second)), 16, seed=3).state_dict()
    assert set(plain) < set(alone) < set(both)
    for name, value in alone.items():
        assert (both[name].numpy() == value.numpy()).all(), name
    for name, value in plain.items():
        assert (both[name].numpy() == value.numpy()).all(), name
    other = build(Architecture(backbone), 16, seed=4).state_dict()
    assert any((other[name].numpy() != value.numpy()).any() for name, value in plain.items())
