"""A block put into a trained network changes nothing, and learns from there."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import paddle
import pytest
from reference_check import randomise
from thin_networks import DEEP, FITTING, image_of, legal_slots, side_of, slots_of, stems_of, thin
from trained_networks import difference, train, trained

from models.architecture import Architecture, Backbone, OptionValue, Placement, Slot
from models.attention import block_class, block_names, make_block
from models.attention.bat import BilinearAttentionalTransform
from models.attention.se import SqueezeExcitation
from models.backbone import BackboneNetwork
from models.backbones import backbone_names
from models.block import AttentionBlock, SlotShape
from models.build import build
from models.insertion import attention_layers, inherit

TOLERANCE = 1e-4

# Every option that changes a block's function, and hidden layers of as few units as there can be
# (`stage2`, where the fast tests put them, has 32 channels), in a form that fits thin networks.
FEWEST: dict[str, dict[str, object]] = {
    "bridge": {"reduction": 32},
    "cbam": {"reduction": 32},
    "coord": {"reduction": 32},
    "fca": {"reduction": 32},
    "gc": {"ratio": 0.0625},
    "nonlocal": {"bottleneck_ratio": 0.001},
    "ortho": {"reduction": 32},
    "se": {"reduction": 32},
    "bat": {"k": 1, "r": 8},
}
VARIANTS: dict[str, list[dict[str, object]]] = {
    "bridge": [{}, {"activation": "silu"}],
    "cbam": [{}, {"spatial": False}],
    "gc": [
        {"fusion": fusion, "pooling": pooling}
        for fusion in ("add", "mul", "mul+add")
        for pooling in ("attention", "average")
    ],
    "nonlocal": [
        *({"mode": m} for m in ("embedded_gaussian", "gaussian", "dot_product", "concatenation")),
        {"mode": "concatenation", "subsample": True},
        {"bn": False},
        {"mode": "concatenation", "bn": False},
        {"subsample": True},
    ],
    "se": [{}, {"bias": False}],
    "snl": [{}, {"bn": False}],
}


def variants(name: str) -> list[dict[str, object]]:
    """The options to try a block with, beyond those that make it fit; the usual ones first."""
    given = [*VARIANTS.get(name, [{}]), *([FEWEST[name]] if name in FEWEST else [])]
    return [each | ({"scale": False} if "mode" in each else {}) for each in given]


def _places(config: Backbone) -> Iterator[Any]:
    """Of small backbones one slot alone; of each, and slow, all legal slots at once."""
    label = f"{config.name}-{config.stem}"
    alone = {"resnet18": "stage2.block1.before_add", "alexnet": "stage3.block1.after_conv3"}
    if config.name in alone:
        slot = alone[config.name]
        yield pytest.param(config, (slot,), id=f"{label}-{slot}")
    slots = tuple(map(str, slots_of(config)))
    yield pytest.param(config, slots, id=f"{label}-everywhere", marks=pytest.mark.slow)


PLACES = [
    place
    for name in backbone_names()
    for stem in stems_of(name)
    if name == "resnet18" or stem == "cifar"  # the stem only changes the maps' size
    for place in _places(thin(name, stem))
]


def _cases() -> Iterator[Any]:
    """Deep backbones, which take the longest, with a block's usual options only."""
    for name in block_names():
        for number, given in enumerate(variants(name)):
            for place in PLACES:
                if number == 0 or place.values[0].name not in DEEP:
                    label = "-".join(map(str, (name, *given.values(), place.id)))
                    yield pytest.param(name, given, *place.values, id=label, marks=place.marks)


@pytest.mark.parametrize(("name", "given", "config", "slots"), list(_cases()))
def test_nothing_changes_and_everything_learns(
    name: str, given: dict[str, object], config: Backbone, slots: tuple[str, ...]
) -> None:
    block = make_block(name, {**FITTING.get(name, {}), **given})
    legal = legal_slots(block, config)
    chosen = [Slot.parse(slot) for slot in slots if Slot.parse(slot) in legal]
    if not chosen:
        assert slots == slots[:1], "a block without any slot"
        return  # the refusal is test_contract's
    plain, state = trained(config)
    architecture = Architecture(config, tuple(Placement(slot, block) for slot in chosen))
    network = build(architecture, side_of(config), seed=5)
    assert len(inherit(network, state)) == len(chosen)
    assert difference(plain, network) <= TOLERANCE
    _learns(network, silent_parameters(name, dict(block.options)))


def _learns(network: BackboneNetwork, silent: set[str]) -> None:
    """Within two steps every parameter of the blocks has a gradient, but the `silent` ones."""
    largest = train(network, 2, seed=100)
    for name, layer in attention_layers(network):
        for key, parameter in layer.named_parameters():
            if parameter.trainable and key not in silent:
                assert largest[f"{name}.{key}"] > 0, f"{name}.{key} gets no gradient"


def silent_parameters(name: str, options: Mapping[str, OptionValue]) -> set[str]:
    """What cannot act in training: constants that a softmax or a batch norm takes away again."""
    if name == "bat":
        return {f"{part}.0.bias" for part in ("reduce", "observe", "transform", "restore")}
    if name == "coord":
        return {"conv.bias"}
    if name == "gc":
        return {"pool.mask.bias"} if options["pooling"] == "attention" else set()
    if name == "snl":
        return {"pool.mask.bias"} | ({"value.bias"} if options["bn"] else set())
    if name != "nonlocal":
        return set()
    embedded, normed = options["mode"] == "embedded_gaussian", bool(options["bn"])
    softmax = embedded or options["mode"] == "gaussian"
    found = {"phi.bias": embedded, "out.bias": normed, "g.bias": normed and softmax}
    return {key for key, is_silent in found.items() if is_silent}


class _DeadBat(BilinearAttentionalTransform):
    """Identity by a last batch norm of zeros: the ReLU behind it passes nothing back."""

    def make_identity(self) -> None:
        super().make_identity()
        weight = self.restore[1].weight
        weight.set_value(paddle.zeros_like(weight))


class _HalfSqueeze(SqueezeExcitation):
    """The gate's ½ is not made up for."""

    def make_identity(self) -> None:
        super().make_identity()
        self.gain.set_value(paddle.ones([1]))


class _NeverAlive(SqueezeExcitation):
    """Every hidden unit negative for every image."""

    def make_identity(self) -> None:
        super().make_identity()
        weight = self.mlp.squeeze.weight
        weight.set_value(-weight.abs())

    def wake(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> None:
        """Nobody sees to it that it is alive."""


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [(_DeadBat, "gets no gradient"), (_NeverAlive, "gets no gradient"), (_HalfSqueeze, "differs")],
)
def test_a_wrong_identity_is_caught(
    kind: type[AttentionBlock], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "bat" if kind is _DeadBat else "se"
    config = thin("resnet18")
    plain, state = trained(config)
    placement = Placement(Slot(1, 2, "after_block"), make_block(name, FITTING[name]))
    monkeypatch.setattr(block_class(name), "make_identity", kind.make_identity)
    network = build(Architecture(config, (placement,)), side_of(config), seed=5)
    ((_, layer),) = attention_layers(network)
    layer.__class__ = kind
    monkeypatch.undo()
    inherit(network, state)
    with pytest.raises(AssertionError, match=complaint):
        assert difference(plain, network) <= TOLERANCE, "the output differs"
        _learns(network, silent_parameters(name, dict(placement.block.options)))


@pytest.mark.parametrize(
    ("name", "given"), [(name, given) for name in block_names() for given in variants(name)]
)
def test_all_parameters_act_but_those_that_cannot(name: str, given: dict[str, object]) -> None:
    """In training, where batch norms take constants away, with any of some random values."""
    options = dict(make_block(name, {**FITTING.get(name, {}), **given}).options)
    options |= {"dropout": 0.0} if "dropout" in options else {}
    idle = set.intersection(*(_idle_parameters(name, options, seed) for seed in range(4)))
    assert idle == silent_parameters(name, options)


def _idle_parameters(name: str, options: dict[str, OptionValue], seed: int) -> set[str]:
    """The parameters that, but for rounding, do not change what a layer of random values says."""
    rng = np.random.default_rng(seed)
    layer = block_class(name)(SlotShape(32, 8, 8, bridged=(16,), rectified=True), **options)
    randomise(layer, rng)
    layer.train()
    x, earlier = (paddle.to_tensor(rng.normal(size=(6, c, 8, 8)).astype("f4")) for c in (32, 16))
    bridged = (earlier,) if layer.wants_bridged else ()
    before = layer(x, bridged).numpy()
    idle = set()
    for key, parameter in layer.named_parameters():
        value = parameter.numpy()
        parameter.set_value(value + rng.normal(size=value.shape).astype("f4"))
        if parameter.trainable and np.abs(layer(x, bridged).numpy() - before).max() <= 1e-3:
            idle.add(key)
        parameter.set_value(value)
    return idle


@pytest.mark.parametrize(
    ("steps", "inserted"), [(5, 0.25), pytest.param(40, 0.5, marks=pytest.mark.slow)]
)
def test_most_channels_of_an_inserted_bat_stay_alive(steps: int, inserted: float) -> None:
    """Its last ReLU closes the channels whose shift falls before their scale has grown.

    17 % in 5 steps and 35 % in 40, about the same for any scale at insertion up to 1e-5, none if
    the block begins as drawn; a scale of zero closes all. A mean of some networks, for a single one
    is a matter of rounding.
    """
    dead = [_dead_channels(seed, steps, as_drawn=False) for seed in range(4)]
    assert np.mean(dead) <= inserted
    assert _dead_channels(0, steps, as_drawn=True) == 0.0


def _dead_channels(seed: int, steps: int, *, as_drawn: bool) -> float:
    """The share of channels that are closed for all of 64 images after so many steps."""
    config = thin("resnet18")
    _, state = trained(config)
    placement = Placement(Slot(2, 2, "after_block"), make_block("bat", FITTING["bat"]))
    network = build(Architecture(config, (placement,)), side_of(config), seed=seed)
    if as_drawn:
        network.set_state_dict(network.state_dict() | state)
    else:
        inherit(network, state)
    train(network, steps, seed=100 + 10 * seed)
    ((_, layer),) = attention_layers(network)
    answers: list[np.ndarray] = []
    layer.restore.register_forward_post_hook(lambda _, __, out: answers.append(out.numpy()))
    network(image_of(config, 64, seed=55))
    return float((answers[0].max(axis=(0, 2, 3)) <= 0).mean())


@pytest.mark.parametrize("name", ["bridge", "snl"])
def test_a_training_batch_of_one_is_normalised_by_the_running_statistics(name: str) -> None:
    shape = SlotShape(32, 6, 5, bridged=(32,))
    layer = block_class(name)(shape, **dict(make_block(name, {}).options))
    randomise(layer, np.random.default_rng(0))  # initial statistics would hide a skipped norm
    x, earlier = paddle.randn((1, 32, 6, 5)), paddle.randn((1, 32, 6, 5))
    statistics = [value.numpy() for key, value in layer.state_dict().items() if "._" in key]
    assert len(statistics) == {"bridge": 4, "snl": 2}[name]
    layer.train()
    training = layer(x, (earlier,)).numpy()
    after = [value.numpy() for key, value in layer.state_dict().items() if "._" in key]
    assert all(np.array_equal(a, b) for a, b in zip(statistics, after, strict=True))
    layer.eval()
    np.testing.assert_allclose(training, layer(x, (earlier,)).numpy(), atol=1e-6)


FROM_THE_START = [
    ("nonlocal", {}, 1.0),
    ("nonlocal", {"bn": False, "mode": "dot_product"}, 1.0),
    ("snl", {}, 1.0),
    ("gc", {"fusion": "add"}, 1.0),
    ("gc", {"fusion": "mul"}, 0.5),
    ("gc", {"fusion": "mul+add"}, 0.5),
]


@pytest.mark.parametrize(("name", "options", "factor"), FROM_THE_START)
def test_what_the_papers_blocks_are_when_they_are_drawn(
    name: str, options: dict[str, object], factor: float
) -> None:
    """Identities by the paper's own initial values, and exactly ½·x for gc's gate."""
    layer = block_class(name)(SlotShape(32, 6, 5), **dict(make_block(name, options).options))
    x = paddle.randn((3, 32, 6, 5))
    assert np.array_equal(layer(x).numpy(), x.numpy() * np.float32(factor))
