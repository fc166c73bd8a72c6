"""What every block and every backbone of the folders keeps to, whatever else it does."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from thin_networks import (
    IMAGE,
    STEMS,
    all_cases,
    attention_layers,
    everywhere,
    fitting,
    images,
    legal_slots,
    single,
    slots_of,
    thin,
)

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_class, block_names, make_block
from models.backbones import backbone_class, backbone_names
from models.block import AttentionBlock, SlotShape
from models.build import build, check, cost, plan, refuse
from models.errors import InputError

CASES = list(all_cases())
EVERYWHERE = [(block, backbone) for block in block_names() for backbone in backbone_names()]


@pytest.mark.parametrize(
    ("name", "backbone", "stem", "slot"),
    CASES,
    ids=[f"{block}-{backbone}-{stem}-{slot}" for block, backbone, stem, slot in CASES],
)
def test_a_block_in_a_slot(name: str, backbone: str, stem: str, slot: Slot) -> None:
    block, config = fitting(name), thin(backbone, stem)
    shape = slots_of(config)[slot]
    architecture = single(config, slot, block)
    reason = refuse(block, shape)
    if reason is not None:
        with pytest.raises(InputError, match=re.escape(f"cannot sit at {slot}: {reason}")):
            build(architecture, IMAGE, seed=0)
        return
    network = build(architecture, IMAGE, seed=0)
    (layer,) = attention_layers(network)
    calls: list[tuple[Any, Any]] = []
    layer.register_forward_post_hook(lambda _, given, out: calls.append((given[0].shape, out)))
    network.train()
    network(images(2)).square().mean().backward()
    for key, parameter in network.named_parameters():
        if parameter.trainable:
            assert parameter.grad is not None, key
            assert bool(paddle.isfinite(parameter.grad).all()), key
    network(images(1))
    network.eval()
    with paddle.no_grad():
        first, again, alone = network(images(2)), network(images(2)), network(images(2)[:1])
    assert np.array_equal(first.numpy(), again.numpy())
    np.testing.assert_allclose(alone.numpy(), first.numpy()[:1], atol=1e-4)
    assert [batch for (batch, *_), _ in calls] == [2, 1, 2, 2, 1]  # each forward, exactly once
    for given, out in calls:
        assert given[1:] == [shape.channels, shape.height, shape.width]
        assert out.shape == given
        assert bool(paddle.isfinite(out).all())


@pytest.mark.parametrize("name", block_names())
def test_a_block_has_a_slot_in_every_backbone(name: str) -> None:
    for backbone in backbone_names():
        assert legal_slots(fitting(name), thin(backbone))


@pytest.mark.parametrize(("name", "backbone"), EVERYWHERE)
def test_every_placement_is_in_the_network_once_and_called_once_in_order(
    name: str, backbone: str
) -> None:
    architecture = everywhere(fitting(name), thin(backbone))
    shapes = slots_of(architecture.backbone)
    network = build(architecture, IMAGE, seed=0)
    layers = attention_layers(network)
    assert len(layers) == len(architecture.placements)
    called: list[tuple[int, SlotShape]] = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda a, given: called.append((id(a), _shape(*given))))
    network.eval()
    network(images(1))
    assert [key for key, _ in called] == [id(layer) for layer in layers]
    placed = {placement.slot for placement in architecture.placements}
    assert [seen for _, seen in called] == [shapes[slot] for slot in shapes if slot in placed]


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("backbone", backbone_names())
@pytest.mark.parametrize("side", [16, 33])
def test_the_plan_is_what_the_network_does(backbone: str, stem: str, side: int) -> None:
    """Every slot is offered once, in the planned order, with the planned feature maps."""
    config = thin(backbone, stem)
    asked: list[Slot] = []
    seen: list[tuple[Slot, SlotShape]] = []

    def probe_at(slot: Slot) -> paddle.nn.Layer:
        asked.append(slot)
        return _Probe(slot, seen)

    network = backbone_class(backbone)(config, probe_at)
    network.eval()
    assert network(images(1, side=side)).shape == [1, config.classes]
    planned = plan(Architecture(config), side).slots
    assert asked == list(planned)
    assert seen == list(planned.items())


class _Probe(paddle.nn.Layer):
    def __init__(self, slot: Slot, seen: list[tuple[Slot, SlotShape]]) -> None:
        super().__init__()
        self.slot, self.seen = slot, seen

    def forward(self, x: paddle.Tensor, bridged: tuple[paddle.Tensor, ...]) -> paddle.Tensor:
        self.seen.append((self.slot, _shape(x, bridged)))
        return x


def _shape(x: paddle.Tensor, bridged: tuple[paddle.Tensor, ...]) -> SlotShape:
    return SlotShape(*x.shape[1:], bridged=tuple(features.shape[1] for features in bridged))


def test_the_same_architecture_holds_different_blocks() -> None:
    config = thin("resnet18")
    slots = list(slots_of(config))[::3]
    names = [name for name in block_names() if not block_class(name).wants_bridged]
    chosen = dict(zip(slots, names, strict=False))
    architecture = Architecture(config, tuple(Placement(s, fitting(n)) for s, n in chosen.items()))
    kinds = [type(layer) for layer in attention_layers(build(architecture, IMAGE, seed=0))]
    assert kinds == [block_class(name) for name in chosen.values()]


@pytest.mark.parametrize("name", block_names())
def test_state_survives_safetensors_bit_for_bit(name: str, tmp_path: Path) -> None:
    architecture = everywhere(fitting(name), thin("resnet18"))
    network = build(architecture, IMAGE, seed=1)
    network.train()
    network(images(2))  # moves the running statistics off their initial values
    path = str(tmp_path / "network.safetensors")
    paddle.save(network.state_dict(), path, safetensors=True)
    other = build(architecture, IMAGE, seed=2)
    missing, unexpected = other.set_state_dict(paddle.load(path, safetensors=True))
    assert (missing, unexpected) == ([], [])
    assert _bytes(other) == _bytes(network)
    network.eval()
    other.eval()
    assert np.array_equal(network(images(2)).numpy(), other(images(2)).numpy())


@pytest.mark.parametrize("name", block_names())
def test_the_seed_alone_decides_the_initial_values(name: str) -> None:
    architecture = everywhere(fitting(name), thin("resnet18"))
    first, again, other = (_bytes(build(architecture, IMAGE, seed=s)) for s in (7, 7, 8))
    assert first == again
    assert first != other


def _bytes(network: paddle.nn.Layer) -> dict[str, bytes]:
    return {key: value.numpy().tobytes() for key, value in network.state_dict().items()}


@pytest.mark.parametrize("name", block_names())
def test_a_block_describes_itself(name: str) -> None:
    kind = block_class(name)
    assert issubclass(kind, AttentionBlock)
    for text in (kind.title, kind.paper, kind.insertion, kind.deviations, kind.__doc__):
        assert isinstance(text, str)
        assert text.strip()
    assert re.fullmatch(r"arXiv:\d{4}\.\d{5}", kind.paper)
    names = [option.name for option in kind.options]
    assert len(set(names)) == len(names)
    for option in kind.options:
        assert option.parse(option.default) == option.default


@pytest.mark.parametrize(
    ("slot", "name", "options", "reason"),
    [
        ("stage1.block1.after_block", "bridge", {}, "needs earlier feature maps"),
        ("stage1.block1.before_add", "bridge", {"reduction": 17}, "leaves no hidden unit"),
        ("stage1.block1.before_add", "se", {"reduction": 32}, "leaves no hidden unit"),
        ("stage1.block1.before_add", "gc", {"ratio": 0.1}, "fewer than 2 inner channels"),
        ("stage4.block2.after_block", "nonlocal", {"subsample": True}, "too small to subsample"),
    ],
)
def test_an_illegal_size_is_refused_before_building(
    slot: str, name: str, options: dict[str, object], reason: str
) -> None:
    config = thin("resnet18", "imagenet")
    architecture = single(config, Slot.parse(slot), make_block(name, options))
    for refused in (check, cost, lambda a, side: build(a, side, seed=0)):
        with pytest.raises(InputError, match=f"{re.escape(slot)}.*{reason}"):
            refused(architecture, IMAGE)


def test_a_slot_that_is_not_there_is_refused_with_a_suggestion() -> None:
    architecture = single(Backbone(), Slot(4, 3, "before_add"), make_block("se", {}))
    with pytest.raises(InputError, match=r"has no slot stage4\.block3\.before_add; did you mean"):
        check(architecture, 32)


def test_a_width_of_broken_channels_is_refused() -> None:
    with pytest.raises(InputError, match="multiples of 1/64"):
        plan(Architecture(Backbone(width=0.1)), 32)


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
