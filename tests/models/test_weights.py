"""Weights of files: Paddle's own networks, ours, and what is refused without a trace."""

import contextlib
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.vision import models as paddles
from thin_networks import images

from models import weights
from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import make_block
from models.build import build
from models.errors import InputError
from models.residual_network import ResidualNetwork
from models.weights import load_weights, published_weights, read_weights

SIDE = 64
CLASSES = 7
Arrays = Mapping[str, np.ndarray]


def ours(name: str = "resnet18", *placed: Placement, seed: int = 0, **backbone: object) -> nn.Layer:
    """Our network; a sixteenth as wide as Paddle's unless it says so."""
    config = {"stem": "imagenet", "classes": CLASSES, "width": 0.0625, **backbone}
    chosen = Backbone.model_validate({"name": name, **config})
    network = build(Architecture(chosen, placed), SIDE, seed)
    network.eval()
    return network


def moved(network: nn.Layer) -> nn.Layer:
    """With statistics as a training leaves them, and other biases than zeros."""
    drawn = np.random.default_rng(1)
    for key, value in network.state_dict().items():
        if key.endswith("_variance"):
            value.set_value(drawn.uniform(0.5, 2, value.shape).astype(np.float32))
        elif key.endswith(("_mean", ".bias")):
            value.set_value(drawn.normal(0, 0.1, value.shape).astype(np.float32))
    network.eval()
    return network


def logits(network: nn.Layer) -> np.ndarray:
    with paddle.no_grad():
        return network(images(2, side=SIDE)).numpy()


def same(got: np.ndarray, wanted: np.ndarray) -> bool:
    """Equal, relative to the size of what is to be got."""
    return bool(np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max())


def state(network: nn.Layer) -> dict[str, np.ndarray]:
    return {key: value.numpy().copy() for key, value in network.state_dict().items()}


@contextlib.contextmanager
def unchanged(network: nn.Layer) -> Iterator[None]:
    before, mode = state(network), network.training
    yield
    after = state(network)
    assert before.keys() == after.keys()
    assert all(np.array_equal(value, after[key]) for key, value in before.items())
    assert network.training == mode


def named_by_paddle(network: ResidualNetwork) -> dict[str, np.ndarray]:
    """Our values by the names of Paddle's network of that depth."""
    at = [
        f"layer{stage}.{block}"
        for stage, depth in enumerate(network.depths, 1)
        for block in range(depth)
    ]
    found = {}
    for key, value in state(network).items():
        part, *rest, leaf = key.split(".")
        if part == "blocks":
            block, kind, index = rest
            inner = {"convs": "conv", "norms": "bn"}
            layer = f"{inner[kind]}{int(index) + 1}" if kind in inner else f"downsample.{index}"
            found[f"{at[int(block)]}.{layer}.{leaf}"] = value
        else:
            names = {("stem", "0"): "conv1", ("stem", "1"): "bn1", ("classifier",): "fc"}
            found[f"{names[(part, *rest)]}.{leaf}"] = value
    return found


def pickled(folder: Path, content: object, protocol: int = 4) -> Path:
    path = folder / "weights.pdparams"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def refusal(network: nn.Layer, path: Path, **options: bool) -> str:
    """How the file is refused, leaving the network as it was."""
    with unchanged(network), pytest.raises(InputError) as caught:
        load_weights(network, path, **options)
    return str(caught.value)


@pytest.fixture(scope="module")
def thin() -> dict[str, np.ndarray]:
    """A thin ResNet-18 as Paddle's would be."""
    return named_by_paddle(moved(ours(seed=5)))


# Paddle's networks at their full size. The slow ones: as many bytes as text, or 45 million numbers.


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("resnet18", 2),
        ("resnet18", 4),
        pytest.param("resnet34", 4, marks=pytest.mark.slow),
        ("resnet50", 4),
        pytest.param("resnet34", 2, marks=pytest.mark.slow),
        pytest.param("resnet50", 2, marks=pytest.mark.slow),
        pytest.param("resnet101", 2, marks=pytest.mark.slow),
        pytest.param("resnet101", 4, marks=pytest.mark.slow),
    ],
)
def test_paddles_networks_give_the_same_logits(tmp_path: Path, name: str, protocol: int) -> None:
    paddle.seed(3)
    theirs = moved(getattr(paddles, name)(num_classes=CLASSES))
    path = tmp_path / f"{name}.pdparams"
    paddle.save(theirs.state_dict(), str(path), protocol=protocol)
    network = ours(name, width=1.0)
    wanted = logits(theirs)
    assert not same(logits(network), wanted)
    assert load_weights(network, path) == ()
    assert same(logits(network), wanted)


def test_thin_files_are_what_paddles_would_be(thin: Arrays) -> None:
    """The names that the tests below write are those of Paddle, in its order."""
    theirs = paddles.resnet18(num_classes=CLASSES)
    assert set(thin) == set(theirs.state_dict())


# What fits.


def test_every_value_comes_from_the_file(tmp_path: Path, thin: Arrays) -> None:
    for protocol in (2, 3, 4):
        network = ours()
        assert load_weights(network, pickled(tmp_path, dict(thin), protocol)) == ()
        got = named_by_paddle(network)
        assert all(np.array_equal(got[key], value) for key, value in thin.items())


@pytest.mark.parametrize("name", ["resnet34", "resnet50", "resnet101"])
def test_every_value_of_deeper_networks(tmp_path: Path, name: str) -> None:
    there = moved(ours(name, seed=5))
    network = ours(name)
    assert load_weights(network, pickled(tmp_path, named_by_paddle(there))) == ()
    assert np.array_equal(logits(network), logits(there))


def test_tensors_with_their_names_and_paddles_own_table(tmp_path: Path, thin: Arrays) -> None:
    """`paddle.save` writes tensors as tuples, and older versions a table of names beside them."""
    content = {key: (f"{key}_tensor", value) for key, value in thin.items()}
    content["StructuredToParameterName@@"] = {key: key for key in thin}
    network = ours()
    assert load_weights(network, pickled(tmp_path, content)) == ()
    assert np.array_equal(network.stem[0].weight.numpy(), thin["conv1.weight"])


def test_arrays_in_another_order_of_memory(tmp_path: Path, thin: Arrays) -> None:
    network = ours()
    content = {key: np.asfortranarray(value) for key, value in thin.items()}
    load_weights(network, pickled(tmp_path, content))
    assert np.array_equal(network.stem[0].weight.numpy(), thin["conv1.weight"])


def test_our_own_names_in_a_pickle(tmp_path: Path) -> None:
    there, network = moved(ours(seed=5)), ours()
    assert load_weights(network, pickled(tmp_path, state(there))) == ()
    assert np.array_equal(logits(network), logits(there))


def test_attention_that_the_file_does_not_hold_changes_nothing(
    tmp_path: Path, thin: Arrays
) -> None:
    path = pickled(tmp_path, dict(thin))
    plain = ours()
    load_weights(plain, path)
    blocks = {
        Slot(1, 1, "after_conv1"): make_block("eca", {}),
        Slot(1, 2, "after_block"): make_block("simam", {}),
        Slot(2, 1, "before_add"): make_block("bridge", {"reduction": 4}),
        Slot(3, 2, "before_add"): make_block("se", {"reduction": 4}),
        Slot(4, 1, "after_block"): make_block("nonlocal", {}),
        Slot(4, 2, "after_conv1"): make_block("gc", {"ratio": 0.5, "fusion": "mul+add"}),
    }
    network = ours("resnet18", *(Placement(*pair) for pair in blocks.items()))
    wanted = logits(plain)
    assert not same(logits(network), wanted)
    assert load_weights(network, path) == tuple(
        f"blocks.{2 * (slot.stage - 1) + slot.block - 1}.attention.{slot.position}"
        for slot in blocks
    )
    assert same(logits(network), wanted)


def test_attention_and_other_classes(tmp_path: Path, thin: Arrays) -> None:
    placed = Placement(Slot(2, 1, "before_add"), make_block("se", {"reduction": 4}))
    network = ours("resnet18", placed, classes=5)
    own = network.classifier.weight.numpy().copy()
    missing = load_weights(network, pickled(tmp_path, dict(thin)), new_classifier=True)
    assert missing == ("blocks.2.attention.before_add", "classifier")
    assert np.array_equal(network.classifier.weight.numpy(), own)


def test_nothing_is_drawn_from_generators_of_others(tmp_path: Path, thin: Arrays) -> None:
    """Whoever seeded them, for a training that follows, draws what they would have drawn."""
    path = pickled(tmp_path, dict(thin))

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


def test_the_network_is_run_for_new_blocks_only(tmp_path: Path, thin: Arrays) -> None:
    for placed, runs in (((), 0), (ATTENTION, 1)):
        network = ours("resnet18", *placed)
        forward = Mock(wraps=network.forward)
        network.forward = forward
        load_weights(network, pickled(tmp_path, dict(thin)))
        assert [call.args[0].shape for call in forward.call_args_list] == [
            [8, 3, SIDE, SIDE]
        ] * runs
        again = ours("resnet18", *placed)
        again.register_forward_pre_hook(lambda *_: pytest.fail("it was run"))
        assert load_weights(again, saved(tmp_path, network)) == ()


# Other classes.


HINT = "; for other classes than the file's: --new-classifier"


def test_other_classes_are_refused_with_what_to_do(tmp_path: Path, thin: Arrays) -> None:
    path = pickled(tmp_path, dict(thin))
    message = refusal(ours(classes=5), path)
    assert message.startswith(f"{path}: ")
    assert "of another shape in the weights: classifier.weight, classifier.bias" in message
    assert message.endswith(f": classifier.weight, classifier.bias{HINT}")


@pytest.mark.parametrize("classes", [5, CLASSES])
@pytest.mark.parametrize("kept", [True, False])
def test_a_new_classifier_stays_as_it_was_drawn(
    tmp_path: Path, thin: Arrays, classes: int, kept: bool
) -> None:
    content = {key: value for key, value in thin.items() if kept or not key.startswith("fc.")}
    network = ours(classes=classes)
    before = state(network)
    assert load_weights(network, pickled(tmp_path, content), new_classifier=True) == ("classifier",)
    got = named_by_paddle(network)
    for key, value in thin.items():
        if key.startswith("fc."):
            assert np.array_equal(got[key], before[f"classifier.{key[3:]}"])
        else:
            assert np.array_equal(got[key], value)


def test_without_a_classifier_in_the_file_the_hint_is_given(tmp_path: Path, thin: Arrays) -> None:
    content = {key: value for key, value in thin.items() if not key.startswith("fc.")}
    message = refusal(ours(), pickled(tmp_path, content))
    assert message.endswith(f"not in the weights: classifier.weight, classifier.bias{HINT}")


def test_the_hint_is_given_where_it_helps(tmp_path: Path, thin: Arrays) -> None:
    """Not where the classifier is new already, nor where other layers are what does not fit."""
    content = {key: value for key, value in thin.items() if key != "conv1.weight"}
    path = pickled(tmp_path, content)
    for options in ({}, {"new_classifier": True}):
        assert HINT not in refusal(ours(), path, **options)
    assert HINT not in refusal(ours(classes=5), path, new_classifier=True)
    assert HINT not in refusal(ours(), tmp_path / "classifier.pdparams")
    more = pickled(tmp_path, {**state(ours()), "classifier.more": thin["bn1.bias"]})
    message = refusal(ours(), more, new_classifier=True)
    assert message.endswith("in the weights, but not in the network: classifier.more")


# What does not fit.


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
    thin: Arrays,
    *,
    name: str,
    backbone: dict[str, object],
    parts: list[str],
    new_classifier: bool,
) -> None:
    path = pickled(tmp_path, dict(thin))
    message = refusal(ours(name, **backbone), path, new_classifier=new_classifier)
    assert message.startswith(f"{path}: the weights do not fit the network; ")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(("there", "here"), [("resnet34", "resnet18"), ("resnet50", "resnet34")])
def test_deeper_networks_are_refused(tmp_path: Path, there: str, here: str) -> None:
    path = pickled(tmp_path, named_by_paddle(ours(there)))
    message = refusal(ours(here), path)
    assert "the weights do not fit the network" in message or "'layer1.2." in message


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
def test_a_missing_tensor_is_refused(tmp_path: Path, thin: Arrays, key: str) -> None:
    content = {each: value for each, value in thin.items() if each != key}
    path = pickled(tmp_path, content)
    message = refusal(ours(), path).removesuffix(HINT)
    assert message == (
        f"{path}: the weights do not fit the network; not in the weights: {OUR_NAMES[key]}"
    )


def test_paddles_names_are_known_by_any_of_them(tmp_path: Path, thin: Arrays) -> None:
    """A file with one name of a block is Paddle's; one with none of them is taken for ours."""
    one = {"layer4.1.bn2.bias": thin["layer4.1.bn2.bias"]}
    for key in ("layer1.0.conv1.weight", "layer1.1.bn2._mean"):
        message = refusal(ours(), pickled(tmp_path, {key: thin[key], **one}))
        assert "not in the weights: stem.0.weight, stem.1.weight, " in message
    message = refusal(ours(), pickled(tmp_path, one))
    assert "layer4" in message or "not in the weights: stem.0.weight" in message
    key = "layer1.9.conv1.weight"
    message = refusal(ours(), pickled(tmp_path, {key: thin["layer1.0.conv1.weight"]}))
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
def test_one_more_tensor_is_refused(tmp_path: Path, thin: Arrays, key: str) -> None:
    for content in ({**thin, key: thin["bn1.bias"]}, {key: thin["bn1.bias"], **thin}):
        message = refusal(ours(), pickled(tmp_path, content))
        assert repr(key) in message or "but not in the network: " in message


@pytest.mark.parametrize("leaf", ["conv1.weight", "bn1._mean", "downsample.0.weight"])
def test_a_block_too_many_is_refused(tmp_path: Path, thin: Arrays, leaf: str) -> None:
    """`layer1.2` of a network with two blocks a stage, before what it would be taken for."""
    content = {f"layer1.2.{leaf}": thin[f"layer2.0.{leaf}"] + 1, **thin}
    assert "layer1.2" in refusal(ours(), pickled(tmp_path, content))


def test_a_foreign_name_is_refused_with_its_file(tmp_path: Path, thin: Arrays) -> None:
    path = pickled(tmp_path, {**thin, "more.weight": thin["bn1.bias"]})
    assert refusal(ours(), path).startswith(f"{path}: 'more.weight' is no layer")


def test_a_tensor_of_another_shape_is_refused(tmp_path: Path, thin: Arrays) -> None:
    for key, value in (("layer2.1.conv2.weight", thin["conv1.weight"]), ("bn1.bias", np.ones(()))):
        path = pickled(tmp_path, {**thin, key: value.astype(np.float32)})
        assert "of another shape in the weights: " in refusal(ours(), path)


def test_alexnet_takes_its_own_names_only(tmp_path: Path, thin: Arrays) -> None:
    config = Backbone(name="alexnet", width=0.0625)
    network = build(Architecture(config), 64, 0)
    there = build(Architecture(config), 64, 1)
    message = refusal(network, pickled(tmp_path, dict(thin)))
    assert "not in the weights: stages.0.convs.0.weight" in message
    assert load_weights(network, pickled(tmp_path, state(there))) == ()
    assert all(np.array_equal(v, state(there)[k]) for k, v in state(network).items())


# Our own files.


def saved(folder: Path, network: nn.Layer, **changed: np.ndarray) -> Path:
    path = folder / "weights.safetensors"
    tensors = {k: paddle.to_tensor(v) for k, v in ({**state(network), **changed}).items()}
    paddle.save(tensors, str(path), safetensors=True)
    return path


ATTENTION = (
    Placement(Slot(1, 1, "after_conv1"), make_block("ortho", {"reduction": 2})),
    Placement(Slot(1, 2, "before_add"), make_block("bridge", {"reduction": 2})),
    Placement(Slot(2, 2, "after_block"), make_block("nonlocal", {})),
    Placement(Slot(3, 2, "before_add"), make_block("se", {"reduction": 4})),
    Placement(Slot(4, 1, "after_block"), make_block("simam", {})),
    Placement(Slot(4, 2, "before_add"), make_block("gc", {"ratio": 0.5})),
)


@pytest.mark.parametrize("placed", [(), ATTENTION], ids=["plain", "attention"])
def test_our_files_bit_for_bit(tmp_path: Path, placed: tuple[Placement, ...]) -> None:
    there = moved(ours("resnet18", *placed, seed=5))
    network = ours("resnet18", *placed)
    assert load_weights(network, saved(tmp_path, there)) == ()
    assert all(np.array_equal(v, state(there)[k]) for k, v in state(network).items())
    assert np.array_equal(logits(network), logits(there))


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


@pytest.mark.parametrize("kind", ["float64", "float16", "int32"])
def test_other_types_of_numbers_are_refused(tmp_path: Path, kind: str) -> None:
    network = ours()
    last = {"classifier.bias": np.zeros(CLASSES, kind)}
    path = saved(tmp_path, ours(seed=5), **last)
    message = refusal(network, path)
    assert message.startswith(f"{path}: ")
    assert kind in message


# Files that are none.


@pytest.mark.parametrize(
    "built", [b"c_codecs\nencode\n", b"cbuiltins\ntuple\n", b"ccollections\nOrderedDict\n", b"}"]
)
def test_a_file_cannot_change_this_program(tmp_path: Path, built: bytes) -> None:
    path = tmp_path / "weights.pdparams"
    path.write_bytes(b"\x80\x02" + built + b"N}U\x0c__defaults__K\x01\x85s\x86b.")
    with pytest.raises(InputError, match=r"cannot be read: .* it changes something"):
        read_weights(path)
    assert weights._encode.__defaults__ == ("utf-8",)
    assert weights._as_tuple.__defaults__ == ((),)


def test_numbers_in_the_other_order_of_bytes_are_refused(tmp_path: Path, thin: Arrays) -> None:
    foreign = thin["bn1.bias"].astype(thin["bn1.bias"].dtype.newbyteorder())
    message = refusal(ours(), pickled(tmp_path, {**thin, "bn1.bias": foreign}))
    assert message.endswith("cannot be read: UnpicklingError: numbers of another byte order")


class Payload:
    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_payload_does_not_run(tmp_path: Path, thin: Arrays, protocol: int) -> None:
    mark = tmp_path / "ran"
    payload = Payload(os.system, f"touch {mark}")
    for content in (payload, {"conv1.weight": payload}, {**thin, "more": ("name", payload)}):
        message = refusal(ours(), pickled(tmp_path, content, protocol))
        assert "cannot be read: UnpicklingError: it names " in message
    assert not mark.exists()


def objects(thin: Arrays) -> object:
    return {**thin, "conv1.weight": np.array([None])}


def without_a_name(thin: Arrays) -> object:
    return {3: thin["bn1.bias"]}


HOSTILE: dict[str, tuple[Callable[[Arrays], object], str]] = {
    "objects": (objects, "array of 'O8', expected f4"),
    "doubles": (lambda thin: {**thin, "bn1.bias": np.zeros(4)}, "array of 'f8', expected f4"),
    "bytes as numbers": (lambda thin: {"a": np.zeros(4, np.uint8)}, "array of 'u1', expected f4"),
    "a class of Paddle": (lambda thin: {"a": paddle.CPUPlace}, "it names "),
    "a function": (lambda thin: {"a": os.getcwd}, "it names "),
    "a scalar of NumPy": (lambda thin: {"a": np.float32(1)}, "it names "),
    "a set": (lambda thin: {"a": frozenset([1])}, "it names|is no array"),
    "list": (list, "holds no mapping of names to arrays"),
    "nothing": (lambda thin: None, "holds no mapping of names to arrays"),
    "an array": (lambda thin: thin["bn1.bias"], "holds no mapping of names to arrays"),
    "nested": (lambda thin: {"state_dict": dict(thin)}, "'state_dict' is no array"),
    "a number": (lambda thin: {**thin, "epoch": 3}, "'epoch' is no array"),
    "bytes for a name": (lambda thin: {b"conv1.weight": thin["conv1.weight"]}, "is no array"),
    "a number for a name": (without_a_name, "3 is no array"),
    "a tuple of three": (lambda thin: {"a": ("a", thin["bn1.bias"], 0)}, "'a' is no array"),
    "no arrays": (lambda thin: {}, "not in the weights: stem.0.weight, stem.1.weight, .* and"),
}


@pytest.mark.parametrize(("content", "words"), HOSTILE.values(), ids=HOSTILE.keys())
def test_other_contents_are_refused(
    tmp_path: Path, thin: Arrays, content: Callable[[Arrays], object], words: str
) -> None:
    path = pickled(tmp_path, content(thin))
    network = ours()
    with unchanged(network), pytest.raises(InputError, match=words) as caught:
        load_weights(network, path)
    assert str(caught.value).startswith(f"{path}: ")


def test_only_what_paddle_writes_may_be_encoded(tmp_path: Path) -> None:
    """`_codecs.encode` is known for the bytes of arrays in protocol 2, and for nothing else."""
    path = tmp_path / "weights.pdparams"
    for encoding in (b"rot13", b"zlib", b"utf-8"):
        call = b"c_codecs\nencode\nU\x01aU" + bytes([len(encoding)]) + encoding + b"\x86R."
        path.write_bytes(b"\x80\x02" + call)
        with pytest.raises(InputError, match="encodes something that is no array's bytes"):
            read_weights(path)


@pytest.mark.parametrize("protocol", [2, 4])
def test_cut_off_anywhere(tmp_path: Path, protocol: int) -> None:
    """A dictionary with one array, cut after every byte."""
    whole = pickle.dumps({"conv1.weight": np.ones((2, 3), np.float32)}, protocol)
    path = tmp_path / "weights.pdparams"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            read_weights(path)
        assert str(caught.value).startswith(f"{path}: cannot be read: ")
    path.write_bytes(whole)
    assert list(read_weights(path)) == ["conv1.weight"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        (2**40).to_bytes(8, "little") + b"{}",
        b"\x02" + bytes(7) + b"{}x",
        b"\x02" + bytes(7) + b"[]",
        b"not at all such a file, but longer than a header",
    ],
)
def test_damaged_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    message = refusal(ours(), path)
    assert message.startswith(f"{path}: cannot be read: ")


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, ours())
    whole = path.read_bytes()
    for length in (4, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert refusal(ours(), path).startswith(f"{path}: cannot be read: ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.pdparams", "there is no such file"),
        ("folder.pdparams", "there is no such file"),
        ("weights.npz", "weights are read from .safetensors and .pdparams files"),
        ("weights", "weights are read from .safetensors and .pdparams files"),
    ],
)
def test_files_that_are_not_read(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder.pdparams").mkdir()
    for path in (tmp_path / "weights.npz", tmp_path / "weights"):
        path.write_bytes(b"x")
    with pytest.raises(InputError) as caught:
        read_weights(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {words}"


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
    assert published_weights(name) == tmp_path / "there.pdparams"
    ((url, checksum),) = asked
    assert url.startswith("https://")
    assert url.endswith(f"/{name}.pdparams")
    assert len(checksum) == 32


def test_published_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str, checksum: str) -> str:
        raise RuntimeError("no route to host")

    monkeypatch.setattr(weights, "get_weights_path_from_url", fetch)
    with pytest.raises(InputError) as caught:
        published_weights("resnet18")
    message = str(caught.value)
    assert message.startswith("https://")
    assert message.endswith(
        "/resnet18.pdparams cannot be fetched (no route to host); "
        "fetch it elsewhere and give its path"
    )


@pytest.mark.parametrize("name", ["alexnet", "resnet19", ""])
def test_what_paddle_does_not_publish(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(
        weights, "get_weights_path_from_url", lambda *_: pytest.fail("it was asked for")
    )
    with pytest.raises(InputError, match=f"^Paddle publishes no weights for {name}$"):
        published_weights(name)
