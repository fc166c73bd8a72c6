"""Networks a sixteenth as wide as Paddle's, files of their weights, and how these are refused."""

import contextlib
import pickle
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import paddle
import pytest
from paddle import nn
from thin_networks import images

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import make_block
from models.build import build
from models.errors import InputError
from models.residual_network import ResidualNetwork
from models.weights import load_weights

SIDE = 64
CLASSES = 7
HINT = "; for other classes than the file's: --new-classifier"
Arrays = Mapping[str, np.ndarray]

ATTENTION = (
    Placement(Slot(1, 1, "after_conv1"), make_block("ortho", {"reduction": 2})),
    Placement(Slot(1, 2, "before_add"), make_block("bridge", {"reduction": 2})),
    Placement(Slot(2, 2, "after_block"), make_block("nonlocal", {})),
    Placement(Slot(3, 2, "before_add"), make_block("se", {"reduction": 4})),
    Placement(Slot(4, 1, "after_block"), make_block("simam", {})),
    Placement(Slot(4, 2, "before_add"), make_block("gc", {"ratio": 0.5})),
)


def ours(name: str = "resnet18", *placed: Placement, seed: int = 0, **backbone: object) -> nn.Layer:
    """Our network; a sixteenth as wide as Paddle's unless it says so."""
    config = {"stem": "imagenet", "classes": CLASSES, "width": 0.0625, **backbone}
    chosen = Backbone.model_validate({"name": name, **config})
    network = build(Architecture(chosen, placed), SIDE, seed)
    network.eval()
    return network


@cache
def plain() -> nn.Layer:
    """The ResNet-18 of `ours`, built once: for tests that leave it as it is."""
    return ours()


@cache
def thin_weights() -> Arrays:
    """A thin trained ResNet-18 as Paddle's would be, by Paddle's names; not to be written to."""
    values = named_by_paddle(moved(ours(seed=5)))
    for value in values.values():
        value.flags.writeable = False
    return MappingProxyType(values)


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


def saved(folder: Path, network: nn.Layer, **changed: np.ndarray) -> Path:
    path = folder / "weights.safetensors"
    tensors = {k: paddle.to_tensor(v) for k, v in ({**state(network), **changed}).items()}
    paddle.save(tensors, str(path), safetensors=True)
    return path


def refusal(network: nn.Layer, path: Path, **options: bool) -> str:
    """How the file is refused, leaving the network as it was."""
    with unchanged(network), pytest.raises(InputError) as caught:
        load_weights(network, path, **options)
    return str(caught.value)
