"""Weights of other networks: refused with what does not fit and what to do, and nothing changed."""

from pathlib import Path

import numpy as np
import pytest
from weight_files import (
    ATTENTION,
    CLASSES,
    HINT,
    named_by_paddle,
    ours,
    pickled,
    plain,
    refusal,
    saved,
    state,
    thin_weights,
)

from models.architecture import Architecture, Backbone, Placement
from models.attention import make_block
from models.build import build
from models.weights import load_weights

# Other classes.


def test_other_classes_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = pickled(tmp_path, dict(thin_weights()))
    message = refusal(ours(classes=5), path)
    assert message.startswith(f"{path}: ")
    assert message.endswith(
        "of another shape in the weights: classifier.weight [32, 7] instead of [32, 5], "
        f"classifier.bias [7] instead of [5]{HINT}"
    )


def test_without_a_classifier_in_the_file_the_hint_is_given(tmp_path: Path) -> None:
    content = {key: value for key, value in thin_weights().items() if not key.startswith("fc.")}
    message = refusal(plain(), pickled(tmp_path, content))
    assert message.endswith(f"not in the weights: classifier.weight, classifier.bias{HINT}")


def test_the_hint_is_given_where_it_helps(tmp_path: Path) -> None:
    """Not where the classifier is new already, nor where other layers are what does not fit."""
    content = {key: value for key, value in thin_weights().items() if key != "conv1.weight"}
    path = pickled(tmp_path, content)
    for options in ({}, {"new_classifier": True}):
        assert HINT not in refusal(plain(), path, **options)
    assert HINT not in refusal(ours(classes=5), path, new_classifier=True)
    assert HINT not in refusal(plain(), tmp_path / "classifier.pdparams")
    more = pickled(tmp_path, {**state(plain()), "classifier.more": thin_weights()["bn1.bias"]})
    message = refusal(plain(), more, new_classifier=True)
    assert message.endswith("in the weights, but not in the network: classifier.more")


# Other backbones.

IMAGENET = "the file has the imagenet stem (7×7) and the network the cifar stem (3×3)"
CIFAR = "the file has the cifar stem (3×3) and the network the imagenet stem (7×7)"


@pytest.mark.parametrize(
    ("stem", "facts"), [("imagenet", IMAGENET), ("cifar", CIFAR)], ids=["imagenet", "cifar"]
)
def test_the_other_stem_is_named_with_what_to_do(tmp_path: Path, stem: str, facts: str) -> None:
    """By Paddle's names and by ours; the width may be another as well."""
    other = {"imagenet": "cifar", "cifar": "imagenet"}[stem]
    there, network = ours(stem=stem), ours(stem=other)
    shapes = {"imagenet": "[4, 3, 7, 7] instead of [4, 3, 3, 3]"}.get(
        stem, "[4, 3, 3, 3] instead of [4, 3, 7, 7]"
    )
    hint = f"; {facts}: `stem: {stem}` in the backbone section takes it"
    for content in (named_by_paddle(there), state(there)):
        path = pickled(tmp_path, content)
        assert refusal(network, path) == (
            f"{path}: the weights do not fit the network; "
            f"of another shape in the weights: stem.0.weight {shapes}{hint}"
        )
        assert load_weights(ours(stem=stem), path) == ()
    for options in ({}, {"new_classifier": True}):
        assert refusal(ours(stem=other, width=0.125), path, **options).endswith(f" more{hint}")


def test_other_classes_and_the_other_stem(tmp_path: Path) -> None:
    """Paddle's weights in a network of the default stem: both are said."""
    path = pickled(tmp_path, dict(thin_weights()))
    network = ours(stem="cifar", classes=5)
    takes = "`stem: imagenet` in the backbone section takes it"
    assert refusal(network, path).endswith(f"; {IMAGENET}: {takes}{HINT}")
    assert refusal(network, path, new_classifier=True).endswith(f"; {IMAGENET}: {takes}")


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (4, 1, 7, 7), (8, 3, 7, 7), (4, 147), ()])
def test_another_stem_is_not_named_where_there_is_none(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    content = {**thin_weights(), "conv1.weight": np.ones(shape, np.float32)}
    message = refusal(plain(), pickled(tmp_path, content))
    assert message.endswith(f": stem.0.weight {list(shape)} instead of [4, 3, 7, 7]")


@pytest.mark.parametrize("new_classifier", [False, True])
@pytest.mark.parametrize(
    ("name", "backbone", "parts"),
    [
        ("resnet18", {"stem": "cifar"}, ["of another shape in the weights: stem.0.weight"]),
        ("resnet18", {"width": 0.125}, ["of another shape in the weights: stem.0.weight", "more"]),
        ("resnet34", {}, ["not in the weights: blocks.2.convs.0.weight", "more"]),
        ("resnet50", {}, ["not in the weights: blocks.0.convs.2.weight", "more"]),
    ],
)
def test_other_networks_are_refused(
    tmp_path: Path,
    *,
    name: str,
    backbone: dict[str, object],
    parts: list[str],
    new_classifier: bool,
) -> None:
    path = pickled(tmp_path, dict(thin_weights()))
    message = refusal(ours(name, **backbone), path, new_classifier=new_classifier)
    assert message.startswith(f"{path}: the weights do not fit the network; ")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(("there", "here"), [("resnet34", "resnet18"), ("resnet50", "resnet34")])
def test_deeper_networks_are_refused(tmp_path: Path, there: str, here: str) -> None:
    path = pickled(tmp_path, named_by_paddle(ours(there)))
    message = refusal(ours(here), path)
    assert "the weights do not fit the network" in message or "'layer1.2." in message


def test_alexnet_takes_its_own_names_only(tmp_path: Path) -> None:
    config = Backbone(name="alexnet", width=0.0625)
    network = build(Architecture(config), 64, 0)
    there = build(Architecture(config), 64, 1)
    message = refusal(network, pickled(tmp_path, dict(thin_weights())))
    assert "not in the weights: stages.0.convs.0.weight" in message
    assert load_weights(network, pickled(tmp_path, state(there))) == ()
    assert all(np.array_equal(v, state(there)[k]) for k, v in state(network).items())


# Other tensors.

OUR_NAMES = {
    "conv1.weight": "stem.0.weight",
    "bn1._mean": "stem.1._mean",
    "layer1.0.conv1.weight": "blocks.0.convs.0.weight",
    "layer3.1.bn2._variance": "blocks.5.norms.1._variance",
    "layer4.0.downsample.0.weight": "blocks.6.shortcut.0.weight",
    "layer4.1.bn2.bias": "blocks.7.norms.1.bias",
    "fc.weight": "classifier.weight",
}


@pytest.mark.parametrize("key", OUR_NAMES)
def test_a_missing_tensor_is_refused(tmp_path: Path, key: str) -> None:
    content = {each: value for each, value in thin_weights().items() if each != key}
    path = pickled(tmp_path, content)
    message = refusal(plain(), path).removesuffix(HINT)
    assert message == (
        f"{path}: the weights do not fit the network; not in the weights: {OUR_NAMES[key]}"
    )


def test_paddles_names_are_known_by_any_of_them(tmp_path: Path) -> None:
    """A file with one name of a block is Paddle's; one with none of them is taken for ours."""
    one = {"layer4.1.bn2.bias": thin_weights()["layer4.1.bn2.bias"]}
    for key in ("layer1.0.conv1.weight", "layer1.1.bn2._mean"):
        message = refusal(plain(), pickled(tmp_path, {key: thin_weights()[key], **one}))
        assert "not in the weights: stem.0.weight, stem.1.weight, " in message
    message = refusal(plain(), pickled(tmp_path, one))
    assert "layer4" in message or "not in the weights: stem.0.weight" in message
    key = "layer1.9.conv1.weight"
    message = refusal(plain(), pickled(tmp_path, {key: thin_weights()["layer1.0.conv1.weight"]}))
    assert f"{key!r}: this network has 2 blocks in that stage" in message


@pytest.mark.parametrize(
    "key",
    [
        "more.weight", "conv1.bias", "conv2.weight", "layer5.0.conv1.weight", "layer0.0.bn1.weight",
        "layer1.0.conv3.weight", "layer1.0.downsample.0.weight", "layer1.0.downsample.2.weight",
        "layer4.2.conv1.weight", "layer4.99.conv1.weight", "layer1.0.conv1.weight.more", "fc.more",
        "bn1.running_mean", "classifier.weight", "stem.0.weight", "",
    ],
)  # fmt: skip
def test_one_more_tensor_is_refused(tmp_path: Path, key: str) -> None:
    for content in (
        {**thin_weights(), key: thin_weights()["bn1.bias"]},
        {key: thin_weights()["bn1.bias"], **thin_weights()},
    ):
        message = refusal(plain(), pickled(tmp_path, content))
        assert repr(key) in message or "but not in the network: " in message


@pytest.mark.parametrize("leaf", ["conv1.weight", "bn1._mean", "downsample.0.weight"])
def test_a_block_too_many_is_refused(tmp_path: Path, leaf: str) -> None:
    """`layer1.2` of a network with two blocks a stage, before what it would be taken for."""
    content = {f"layer1.2.{leaf}": thin_weights()[f"layer2.0.{leaf}"] + 1, **thin_weights()}
    assert "layer1.2" in refusal(plain(), pickled(tmp_path, content))


def test_a_foreign_name_is_refused_with_its_file(tmp_path: Path) -> None:
    path = pickled(tmp_path, {**thin_weights(), "more.weight": thin_weights()["bn1.bias"]})
    assert refusal(plain(), path).startswith(f"{path}: 'more.weight' is no layer")


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    for key, value in (
        ("layer2.1.conv2.weight", thin_weights()["conv1.weight"]),
        ("bn1.bias", np.ones(())),
    ):
        path = pickled(tmp_path, {**thin_weights(), key: value.astype(np.float32)})
        assert "of another shape in the weights: " in refusal(plain(), path)


@pytest.mark.parametrize("kind", ["float64", "float16", "int32"])
def test_other_types_of_numbers_are_refused(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path, plain(), **{"classifier.bias": np.zeros(CLASSES, kind)})
    message = refusal(plain(), path)
    assert message.startswith(f"{path}: ")
    assert kind in message


# Other blocks of attention.


def test_a_network_without_a_block_of_the_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, ours("resnet18", *ATTENTION))
    message = refusal(ours("resnet18", *ATTENTION[:-1]), path)
    assert "in the weights, but not in the network: blocks.7.attention.before_add." in message


def test_part_of_a_block_is_refused(tmp_path: Path) -> None:
    whole = state(ours("resnet18", ATTENTION[3]))
    key = next(key for key in whole if "attention" in key)
    path = pickled(tmp_path, {each: value for each, value in whole.items() if each != key})
    assert f"not in the weights: {key}" in refusal(ours("resnet18", ATTENTION[3]), path)


def test_a_block_with_other_options_is_refused(tmp_path: Path) -> None:
    other = Placement(ATTENTION[3].slot, make_block("se", {"reduction": 8}))
    message = refusal(ours("resnet18", other), saved(tmp_path, ours("resnet18", ATTENTION[3])))
    assert "of another shape in the weights: blocks.5.attention.before_add." in message
