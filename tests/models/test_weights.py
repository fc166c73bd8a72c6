"""Weights of files: Paddle's own networks, ours, and the ones that are fetched."""

from functools import lru_cache
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.vision import models as paddles
from weight_files import (
    ATTENTION,
    CLASSES,
    SIDE,
    logits,
    moved,
    named_by_paddle,
    ours,
    pickled,
    same,
    saved,
    state,
    thin_weights,
)

from models import weights
from models.architecture import Backbone, Placement, Slot
from models.attention import make_block
from models.errors import InputError
from models.weights import load_weights, published_weights

# Paddle's networks at their full size. The slow ones: as many bytes as text, or 45 million numbers.


@lru_cache(maxsize=1)  # they are large, and asked for one after the other
def published(name: str) -> tuple[nn.Layer, np.ndarray]:
    """Paddle's network and what it makes of two images; not to be changed."""
    paddle.seed(3)
    network = moved(getattr(paddles, name)(num_classes=CLASSES))
    return network, logits(network)


def test_thin_files_are_what_paddles_would_be() -> None:
    """The names of the thin weights are those of Paddle."""
    theirs, _ = published("resnet18")
    assert set(thin_weights()) == set(theirs.state_dict())


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("resnet18", 2),
        ("resnet18", 4),
        pytest.param("resnet34", 2, marks=pytest.mark.slow),
        pytest.param("resnet34", 4, marks=pytest.mark.slow),
        pytest.param("resnet50", 2, marks=pytest.mark.slow),
        ("resnet50", 4),
        pytest.param("resnet101", 2, marks=pytest.mark.slow),
        pytest.param("resnet101", 4, marks=pytest.mark.slow),
    ],
)
def test_paddles_networks_give_the_same_logits(tmp_path: Path, name: str, protocol: int) -> None:
    theirs, wanted = published(name)
    path = tmp_path / f"{name}.pdparams"
    paddle.save(theirs.state_dict(), str(path), protocol=protocol)
    network = ours(name, width=1.0)
    assert not same(logits(network), wanted)
    assert load_weights(network, path) == ()
    assert same(logits(network), wanted)


# What fits.


def test_every_value_comes_from_the_file(tmp_path: Path) -> None:
    for protocol in (2, 3, 4):
        network = ours()
        assert load_weights(network, pickled(tmp_path, dict(thin_weights()), protocol)) == ()
        got = named_by_paddle(network)
        assert all(np.array_equal(got[key], value) for key, value in thin_weights().items())


@pytest.mark.parametrize("name", ["resnet34", "resnet50", "resnet101"])
def test_every_value_of_deeper_networks(tmp_path: Path, name: str) -> None:
    there = moved(ours(name, seed=5))
    network = ours(name)
    assert load_weights(network, pickled(tmp_path, named_by_paddle(there))) == ()
    assert np.array_equal(logits(network), logits(there))


def test_tensors_with_their_names_and_paddles_own_table(tmp_path: Path) -> None:
    """`paddle.save` writes tensors as tuples, and older versions a table of names beside them."""
    content = {key: (f"{key}_tensor", value) for key, value in thin_weights().items()}
    content["StructuredToParameterName@@"] = {key: key for key in thin_weights()}
    network = ours()
    assert load_weights(network, pickled(tmp_path, content)) == ()
    assert np.array_equal(network.stem[0].weight.numpy(), thin_weights()["conv1.weight"])


def test_arrays_in_another_order_of_memory(tmp_path: Path) -> None:
    network = ours()
    content = {key: np.asfortranarray(value) for key, value in thin_weights().items()}
    load_weights(network, pickled(tmp_path, content))
    assert np.array_equal(network.stem[0].weight.numpy(), thin_weights()["conv1.weight"])


def test_our_own_names_in_a_pickle(tmp_path: Path) -> None:
    there, network = moved(ours(seed=5)), ours()
    assert load_weights(network, pickled(tmp_path, state(there))) == ()
    assert np.array_equal(logits(network), logits(there))


@pytest.mark.parametrize("placed", [(), ATTENTION], ids=["plain", "attention"])
def test_our_files_bit_for_bit(tmp_path: Path, placed: tuple[Placement, ...]) -> None:
    there = moved(ours("resnet18", *placed, seed=5))
    network = ours("resnet18", *placed)
    assert load_weights(network, saved(tmp_path, there)) == ()
    assert all(np.array_equal(v, state(there)[k]) for k, v in state(network).items())
    assert np.array_equal(logits(network), logits(there))


def test_attention_that_the_file_does_not_hold_changes_nothing(tmp_path: Path) -> None:
    path = pickled(tmp_path, dict(thin_weights()))
    without = ours()
    load_weights(without, path)
    blocks = {
        Slot(1, 1, "after_conv1"): make_block("eca", {}),
        Slot(1, 2, "after_block"): make_block("simam", {}),
        Slot(2, 1, "before_add"): make_block("bridge", {"reduction": 4}),
        Slot(3, 2, "before_add"): make_block("se", {"reduction": 4}),
        Slot(4, 1, "after_block"): make_block("nonlocal", {}),
        Slot(4, 2, "after_conv1"): make_block("gc", {"ratio": 0.5, "fusion": "mul+add"}),
    }
    network = ours("resnet18", *(Placement(*pair) for pair in blocks.items()))
    wanted = logits(without)
    assert not same(logits(network), wanted)
    assert load_weights(network, path) == tuple(
        f"blocks.{2 * (slot.stage - 1) + slot.block - 1}.attention.{slot.position}"
        for slot in blocks
    )
    assert same(logits(network), wanted)


def test_attention_and_other_classes(tmp_path: Path) -> None:
    placed = Placement(Slot(2, 1, "before_add"), make_block("se", {"reduction": 4}))
    network = ours("resnet18", placed, classes=5)
    own = network.classifier.weight.numpy().copy()
    missing = load_weights(network, pickled(tmp_path, dict(thin_weights())), new_classifier=True)
    assert missing == ("blocks.2.attention.before_add", "classifier")
    assert np.array_equal(network.classifier.weight.numpy(), own)


@pytest.mark.parametrize("classes", [5, CLASSES])
@pytest.mark.parametrize("kept", [True, False])
def test_a_new_classifier_stays_as_it_was_drawn(tmp_path: Path, classes: int, kept: bool) -> None:
    content = {
        key: value for key, value in thin_weights().items() if kept or not key.startswith("fc.")
    }
    network = ours(classes=classes)
    before = state(network)
    assert load_weights(network, pickled(tmp_path, content), new_classifier=True) == ("classifier",)
    got = named_by_paddle(network)
    for key, value in thin_weights().items():
        if key.startswith("fc."):
            assert np.array_equal(got[key], before[f"classifier.{key[3:]}"])
        else:
            assert np.array_equal(got[key], value)


def test_nothing_is_drawn_from_generators_of_others(tmp_path: Path) -> None:
    """Whoever seeded them, for a training that follows, draws what they would have drawn."""
    path = pickled(tmp_path, dict(thin_weights()))

    def drawn() -> tuple[list[float], list[float]]:
        return paddle.randn([8]).tolist(), np.random.normal(size=8).tolist()

    def seed() -> None:
        paddle.seed(11)
        np.random.seed(11)

    seed()
    wanted = drawn()
    for placed in ((), ATTENTION):
        network = ours("resnet18", *placed)
        seed()
        assert len(load_weights(network, path)) == len(placed)
        assert drawn() == wanted


def test_the_network_is_run_for_new_blocks_only(tmp_path: Path) -> None:
    for placed, runs in (((), 0), (ATTENTION, 1)):
        network = ours("resnet18", *placed)
        forward = Mock(wraps=network.forward)
        network.forward = forward
        load_weights(network, pickled(tmp_path, dict(thin_weights())))
        assert [call.args[0].shape for call in forward.call_args_list] == [
            [8, 3, SIDE, SIDE]
        ] * runs
        again = ours("resnet18", *placed)
        again.register_forward_pre_hook(lambda *_: pytest.fail("it was run"))
        assert load_weights(again, saved(tmp_path, network)) == ()


# Published files.


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_published_weights_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[tuple[str, str]] = []

    def fetch(url: str, checksum: str) -> str:
        asked.append((url, checksum))
        return str(tmp_path / "there.pdparams")

    monkeypatch.setattr(weights, "get_weights_path_from_url", fetch)
    backbone = Backbone(name=name, stem="imagenet")
    assert published_weights(backbone) == tmp_path / "there.pdparams"
    ((url, checksum),) = asked
    assert url.startswith("https://")
    assert url.endswith(f"/{name}.pdparams")
    assert len(checksum) == 32


def test_published_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str, checksum: str) -> str:
        raise RuntimeError("no route to host")

    monkeypatch.setattr(weights, "get_weights_path_from_url", fetch)
    with pytest.raises(InputError) as caught:
        published_weights(Backbone(stem="imagenet"))
    message = str(caught.value)
    assert message.startswith("https://")
    assert message.endswith(
        "/resnet18.pdparams cannot be fetched (no route to host); "
        "fetch it elsewhere and give its path"
    )


OTHER = "what Paddle publishes for resnet18 has the 7×7 stem and width 1, not "


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        (Backbone(name="alexnet"), "Paddle publishes no weights for alexnet"),
        (Backbone(name="alexnet", width=0.5), "Paddle publishes no weights for alexnet"),
        (Backbone(name="resnet19"), "Paddle publishes no weights for resnet19"),
        (Backbone(), f"{OTHER}stem cifar and width 1; allowed with "),
        (Backbone(stem="imagenet", width=0.5), f"{OTHER}stem imagenet and width 0.5; allowed "),
    ],
)
def test_what_paddle_does_not_publish(
    monkeypatch: pytest.MonkeyPatch, backbone: Backbone, said: str
) -> None:
    monkeypatch.setattr(
        weights, "get_weights_path_from_url", lambda *_: pytest.fail("it was asked for")
    )
    with pytest.raises(InputError, match=f"^{said}"):
        published_weights(backbone)
