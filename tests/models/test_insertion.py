"""A block put into a trained network changes nothing, and learns from there."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import paddle
import pytest
from reference_check import randomise
from thin_networks import DEEP, FITTING, attention_layers, image_of, legal_slots, side_of, thin

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_class, block_names, make_block
from models.attention.bat import BilinearAttentionalTransform
from models.attention.se import SqueezeExcitation
from models.attention.simam import SimpleAttention
from models.backbone import BackboneNetwork
from models.backbones import backbone_names
from models.block import AttentionBlock, SlotShape
from models.build import build
from models.errors import InputError
from models.insertion import fade_in, inherit

TOLERANCE = 1e-4

# Every option that changes a block's function, in a form that fits thin networks.
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
    "se": [{}, {"bias": False}, {"reduction": 8}],
    "snl": [{}, {"bn": False}],
}


@cache
def _trained(backbone: Backbone) -> tuple[BackboneNetwork, dict[str, np.ndarray]]:
    """A network after some steps on random images, and its state."""
    network = build(Architecture(backbone), side_of(backbone), seed=0)
    _train(network, 20, seed=1)
    with paddle.no_grad():  # so short a training leaves the running statistics far behind
        for step in range(40):
            network(image_of(backbone, 16, seed=200 + step))
    network.eval()
    return network, {key: value.numpy() for key, value in network.state_dict().items()}


def _train(network: BackboneNetwork, steps: int, seed: int) -> dict[str, float]:
    """The largest gradient each parameter saw."""
    rng = np.random.default_rng(seed)
    optimizer = paddle.optimizer.Momentum(0.02, 0.9, parameters=network.parameters())
    largest: dict[str, float] = {}
    network.train()
    for step in range(steps):
        images = image_of(_backbone_of(network), 8, seed=seed + step)
        labels = paddle.to_tensor(rng.integers(0, 10, 8))
        paddle.nn.functional.cross_entropy(network(images), labels).backward()
        for key, parameter in network.named_parameters():
            if parameter.trainable:
                found = 0.0 if parameter.grad is None else float(parameter.grad.abs().max())
                largest[key] = max(largest.get(key, 0.0), found)
        optimizer.step()
        optimizer.clear_grad()
    return largest


def _backbone_of(network: BackboneNetwork) -> Backbone:
    kinds = {"AlexNet": "alexnet", "ResNet18": "resnet18", "ResNet34": "resnet34"}
    kinds |= {"ResNet50": "resnet50", "ResNet101": "resnet101"}
    return thin(kinds[type(network).__name__])


def _places(backbone: str) -> Iterator[Any]:
    """Slots of a backbone as parameters: a few, the rest marked slow."""
    slots = list(map(str, legal_slots(make_block("eca", {}), thin(backbone))))
    fast = {"resnet18": "stage2.block1.before_add", "alexnet": "stage3.block1.after_conv3"}
    for slot in slots:
        marks = () if slot.startswith(fast.get(backbone, "no")) else pytest.mark.slow
        if backbone not in DEEP or slot.startswith("stage2.block1."):
            yield pytest.param(backbone, (slot,), id=f"{backbone}-{slot}", marks=marks)
    everywhere = f"{backbone}-everywhere"
    yield pytest.param(backbone, tuple(slots), id=everywhere, marks=pytest.mark.slow)


PLACES = [place for backbone in backbone_names() for place in _places(backbone)]


def _cases() -> Iterator[Any]:
    """Every variant in the fast places and everywhere at once; one of each block in each slot."""
    for name in block_names():
        for number, given in enumerate(VARIANTS.get(name, [{}])):
            for place in PLACES:
                if number == 0 or not place.marks or place.id.endswith("everywhere"):
                    label = "-".join(map(str, (name, *given.values(), place.id)))
                    yield pytest.param(name, given, *place.values, id=label, marks=place.marks)


@pytest.mark.parametrize(("name", "given", "backbone", "slots"), list(_cases()))
def test_nothing_changes_and_everything_learns(
    name: str, given: dict[str, object], backbone: str, slots: tuple[str, ...]
) -> None:
    block = make_block(name, {**FITTING.get(name, {}), **given, **_without_scale(given)})
    legal = legal_slots(block, thin(backbone))
    chosen = [Slot.parse(slot) for slot in slots if Slot.parse(slot) in legal]
    if not chosen:
        assert slots == slots[:1], "a block without any slot"
        return  # the refusal is test_contract's
    plain, state = _trained(thin(backbone))
    architecture = Architecture(thin(backbone), tuple(Placement(slot, block) for slot in chosen))
    network = build(architecture, side_of(thin(backbone)), seed=5)
    assert len(inherit(network, state)) == len(chosen)
    assert _difference(plain, network) <= TOLERANCE
    _learns(network)


def _without_scale(given: dict[str, object]) -> dict[str, object]:
    """`scale` belongs to one mode of nonlocal."""
    return {"scale": False} if "mode" in given else {}


def _difference(plain: BackboneNetwork, network: BackboneNetwork) -> float:
    plain.eval()
    network.eval()
    images = image_of(_backbone_of(network), 4, seed=77)
    with paddle.no_grad():
        return float((plain(images) - network(images)).abs().max())


def _learns(network: BackboneNetwork) -> None:
    """Within two steps every parameter of a block has a gradient, or provably never acts.

    Provably: neither does it where all others of the block are random, so that a dead unit, whose
    weights do nothing on either side, does not count as such.
    """
    largest = _train(network, 2, seed=100)
    silent = [key for key, value in largest.items() if value == 0.0]
    parameters = dict(network.named_parameters())
    for layer in attention_layers(network):
        of_block = {id(parameter) for parameter in layer.parameters()}
        for key in silent:
            if id(parameters[key]) in of_block:
                randomise(layer, np.random.default_rng(1))
                assert not _acts(network, parameters[key]), f"{key} gets no gradient, yet it acts"


def _acts(network: BackboneNetwork, parameter: paddle.Tensor) -> bool:
    """Whether a change of the parameter changes what the network learns from."""
    network.train()
    images = image_of(_backbone_of(network), 4, seed=78)

    def answer() -> np.ndarray:
        paddle.seed(3)  # of dropout
        with paddle.no_grad():
            return network(images).numpy()

    before = answer()
    value = parameter.numpy()
    parameter.set_value(value + np.random.default_rng(0).normal(size=value.shape).astype("f4"))
    after = answer()
    parameter.set_value(value)
    return bool(np.abs(after - before).max() > TOLERANCE * max(1.0, np.abs(before).max()))


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
    plain, state = _trained(config)
    placement = Placement(Slot(1, 2, "after_block"), make_block(name, FITTING[name]))
    monkeypatch.setattr(block_class(name), "make_identity", kind.make_identity)
    network = build(Architecture(config, (placement,)), side_of(config), seed=5)
    (layer,) = attention_layers(network)
    layer.__class__ = kind
    monkeypatch.undo()
    inherit(network, state)
    with pytest.raises(AssertionError, match=complaint):
        assert _difference(plain, network) <= TOLERANCE, "the output differs"
        _learns(network)


SILENT: dict[tuple[str, str], list[str]] = {
    ("gc", "attention"): ["pool.mask.bias"],
    ("snl", ""): ["pool.mask.bias", "value.bias"],
    ("nonlocal", "embedded_gaussian"): ["g.bias", "phi.bias", "out.bias"],
    ("coord", ""): ["conv.bias"],
    ("bat", ""): [f"{part}.0.bias" for part in ("reduce", "observe", "transform", "restore")],
}


@pytest.mark.parametrize(("name", "variant"), SILENT)
def test_biases_that_cannot_act(name: str, variant: str) -> None:
    """Before a softmax or a batch norm in training a constant cancels: no gradient, no effect."""
    given = {"gc": {"pooling": variant}, "nonlocal": {"mode": variant}}.get(name, {})
    shape = SlotShape(16, 4, 4)
    options = {**FITTING.get(name, {}), **given, "dropout": 0.0}
    if name != "bat":
        del options["dropout"]
    layer = block_class(name)(shape, **dict(make_block(name, options).options))
    randomise(layer, np.random.default_rng(0))
    layer.train()
    x = paddle.randn((6, 16, 4, 4))
    before = layer(x).numpy()
    acting = []
    for key, parameter in layer.named_parameters():
        if not parameter.trainable:
            continue
        value = parameter.numpy()
        drawn = np.random.default_rng(1).normal(size=value.shape).astype(np.float32)
        parameter.set_value(value + drawn)
        if np.abs(layer(x).numpy() - before).max() > 1e-4:
            acting.append(key)
        parameter.set_value(value)
    trained = [key for key, parameter in layer.named_parameters() if parameter.trainable]
    assert sorted(set(trained) - set(acting)) == sorted(SILENT[name, variant])


def test_simam_is_faded_in_until_it_is_the_papers_block() -> None:
    config = thin("resnet18")
    plain, state = _trained(config)
    architecture = Architecture(
        config, (Placement(Slot(2, 2, "after_block"), make_block("simam", {})),)
    )
    network, paper = (build(architecture, side_of(config), seed=0) for _ in range(2))
    inherit(network, state)
    paper.set_state_dict(
        {**paper.state_dict(), **{k: paddle.to_tensor(v) for k, v in state.items()}}
    )
    assert _difference(plain, network) <= TOLERANCE
    assert _difference(paper, network) > 0.01
    fade_in(network, 0.5)
    assert _difference(paper, network) > 0.01
    assert _difference(plain, network) > 0.01
    fade_in(network, 1.0)
    assert _difference(paper, network) == 0.0
    (layer,) = attention_layers(network)
    assert isinstance(layer, SimpleAttention)


def test_most_channels_of_an_inserted_bat_are_alive_after_some_steps() -> None:
    """Its last ReLU could close channels for ever, the more the smaller the scale before it."""
    config = thin("resnet18")
    _, state = _trained(config)
    placement = Placement(Slot(2, 2, "after_block"), make_block("bat", FITTING["bat"]))
    network = build(Architecture(config, (placement,)), side_of(config), seed=5)
    inherit(network, state)
    _train(network, 5, seed=100)
    (layer,) = attention_layers(network)
    answers: list[np.ndarray] = []
    layer.restore.register_forward_post_hook(lambda _, __, out: answers.append(out.numpy()))
    network(image_of(config, 64, seed=55))
    dead = (answers[0].max(axis=(0, 2, 3)) <= 0).mean()
    assert dead <= 0.1


def test_an_inserted_block_is_the_same_layer_with_other_values() -> None:
    """What is inserted saves and loads as any network of its architecture does."""
    config = thin("resnet18")
    _, state = _trained(config)
    architecture = Architecture(
        config, (Placement(Slot(2, 2, "after_block"), make_block("se", {"reduction": 4})),)
    )
    inserted, fresh = (build(architecture, side_of(config), seed=s) for s in (0, 1))
    inherit(inserted, state)
    assert list(inserted.state_dict()) == list(fresh.state_dict())
    inherit(fresh, inserted.state_dict())  # it holds the block as well, so nothing is an identity
    assert _difference(inserted, fresh) == 0.0
    _train(inserted, 3, seed=9)
    assert inherit(fresh, inserted.state_dict()) == ()
    assert _difference(inserted, fresh) == 0.0


def test_a_second_block_goes_into_a_network_whose_first_one_has_learnt() -> None:
    config = thin("resnet18")
    _, state = _trained(config)
    first = Placement(Slot(2, 1, "after_block"), make_block("se", {"reduction": 4}))
    second = Placement(Slot(2, 2, "after_block"), make_block("cbam", {"reduction": 4}))
    one = build(Architecture(config, (first,)), side_of(config), seed=0)
    inherit(one, state)
    _train(one, 5, seed=3)
    two = build(Architecture(config, (first, second)), side_of(config), seed=0)
    assert inherit(two, one.state_dict()) == ("blocks.3.attention.after_block",)
    assert _difference(one, two) <= TOLERANCE


def _drop(state: dict[str, Any]) -> None:
    del state["classifier.bias"]


def _add(state: dict[str, Any]) -> None:
    state["blocks.0.attention.before_add.mlp.squeeze.weight"] = np.zeros((16, 4), np.float32)


def _reshape(state: dict[str, Any]) -> None:
    state["stem.0.weight"] = np.zeros((16, 3, 7, 7), np.float32)


def _half_a_block(state: dict[str, Any]) -> None:
    state["blocks.3.attention.after_block.mlp.squeeze.weight"] = np.zeros((32, 8), np.float32)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_drop, r"not in the weights: classifier\.bias$"),
        (_add, r"in the weights, but not in the network: blocks\.0\.attention"),
        (_reshape, r"of another shape in the weights: stem\.0\.weight$"),
        (_half_a_block, r"not in the weights: blocks\.3\.attention\.after_block\.gain"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(
    spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    config = thin("resnet18")
    _, state = _trained(config)
    state = dict(state)
    spoil(state)
    architecture = Architecture(
        config, (Placement(Slot(2, 2, "after_block"), make_block("se", {"reduction": 4})),)
    )
    network = build(architecture, side_of(config), seed=0)
    before = {key: value.numpy() for key, value in network.state_dict().items()}
    with pytest.raises(InputError, match=message):
        inherit(network, state)
    assert all(np.array_equal(v.numpy(), before[k]) for k, v in network.state_dict().items())


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
