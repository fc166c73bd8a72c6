"""Weights from files: this program's own safetensors, and the ones Paddle publishes.

Paddle's ResNets are pickles (`.pdparams`), read without letting them name any code. Their names
are translated to ours, every shape is checked, and nothing is passed over in silence.
"""

import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle.utils.download import get_weights_path_from_url
from paddle.vision.models.resnet import model_urls

from models.architecture import Backbone
from models.array_pickle import ArrayUnpickler
from models.backbone import BackboneNetwork
from models.checksum import refuse_damaged
from models.errors import InputError
from models.insertion import inherit
from models.residual_network import ResidualNetwork

Arrays = Mapping[str, npt.NDArray[np.float32]]

_STRUCTURE = "StructuredToParameterName@@"
"""The key under which Paddle's files keep names of its own."""

_STEM = "stem.0.weight"
_STEMS = {(3, 3): "cifar", (7, 7): "imagenet"}
"""The stems of residual networks by the size of their kernels."""


def load_weights(
    network: BackboneNetwork,
    path: Path,
    *,
    new_classifier: bool = False,
    images: paddle.Tensor | None = None,
) -> tuple[str, ...]:
    """Gives `network` the weights in a file: `.safetensors` by our names, `.pdparams` by Paddle's.

    Blocks of attention that the file does not hold become identities (`models.insertion.inherit`).
    `new_classifier`: the last layer stays as it was drawn, for other classes than the file's;
    `images`: as for `inherit`.
    Returns the names of what does not come from the file: layers made identities, and `classifier`.
    Raises InputError where anything else of the network or of the file has no counterpart.
    """
    arrays = read_weights(path)
    try:
        if isinstance(network, ResidualNetwork) and any(k.startswith("layer1.") for k in arrays):
            arrays = from_paddle(network, arrays)
        if not new_classifier:
            return inherit(network, arrays, images)
        own = {k: v for k, v in network.state_dict().items() if k.startswith("classifier.")}
        return (*inherit(network, {**arrays, **own}, images), "classifier")
    except InputError as error:
        hint = _stem_hint(str(error), network, arrays)
        misfit = "do not fit" in str(error) and "classifier." in str(error)
        if misfit and not new_classifier:
            hint += "; for other classes than the file's: --new-classifier"
        raise InputError(f"{path}: {error}{hint}") from None


def _stem_hint(misfit: str, network: BackboneNetwork, arrays: Arrays) -> str:
    """What to do where the file's stem is the other one."""
    if f"of another shape in the weights: {_STEM}" not in misfit:
        return ""
    kernels = [tuple(each[_STEM].shape[2:]) for each in (arrays, network.state_dict())]
    there, here = (_STEMS.get(kernel) for kernel in kernels)
    if there is None or here is None or there == here:
        return ""
    (a, b), (c, d) = kernels
    return (
        f"; the file has the {there} stem ({a}×{b}) and the network the {here} stem ({c}×{d}): "
        f"`stem: {there}` in the backbone section takes it"
    )


def read_weights(path: Path) -> Arrays:
    """The arrays in a weights file by the names in it.

    Raises InputError, in one line that begins with the path, for any other file.
    """
    try:
        return _read(path)
    except InputError as error:
        message = str(error)
    except EOFError:
        message = "cannot be read: it ends too early, so it was cut short: copy or fetch it again"
    except Exception as error:  # hostile or damaged bytes can raise nearly anything
        message = f"cannot be read: {type(error).__name__}: {error}"
        if not isinstance(error, (pickle.UnpicklingError, OSError, MemoryError)):
            message += "; it is damaged, cut short or no file of weights"
    raise InputError(f"{path}: {message}")


def _read(path: Path) -> Arrays:
    if path.is_dir():
        raise InputError("is a folder, not a file of weights")
    if not path.is_file():
        raise InputError("there is no such file")
    readers = {".safetensors": _read_safetensors, ".pdparams": _read_pdparams}
    if path.suffix not in readers:
        raise InputError("weights are read from .safetensors and .pdparams files")
    if not path.stat().st_size:
        raise InputError("the file is empty")
    refuse_damaged(path)
    arrays = readers[path.suffix](path)
    for name in arrays:
        if not name.isprintable():
            raise InputError(f"{name!r} is no layer's name")
    return arrays


def from_paddle(network: ResidualNetwork, arrays: Arrays) -> Arrays:
    """Weights of Paddle's own ResNet of the same depth, by our names.

    Raises InputError for a name that its ResNets do not have.
    """
    return {_our_name(key, network.depths): value for key, value in arrays.items()}


def published_weights(backbone: Backbone) -> Path:
    """The file of ImageNet weights that Paddle publishes for a backbone, fetched into its cache.

    Raises InputError where there is none, before anything is fetched, or it cannot be fetched.
    """
    if backbone.name not in model_urls:
        raise InputError(f"Paddle publishes no weights for {backbone.name}")
    if (backbone.stem, backbone.width) != ("imagenet", 1):
        raise InputError(
            f"what Paddle publishes for {backbone.name} has the 7×7 stem and width 1, not "
            f"stem {backbone.stem} and width {backbone.width:g}; allowed with "
            "`backbone: {stem: imagenet, width: 1}`"
        )
    url, checksum = model_urls[backbone.name]
    try:
        return Path(get_weights_path_from_url(url, checksum))
    except Exception as error:
        message = f"{url} cannot be fetched ({error}); fetch it elsewhere and give its path"
        raise InputError(message) from None


_LEAF = r"(weight|bias|_mean|_variance)"
_NAMES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"conv1\.{_LEAF}"), r"stem.0.\1"),
    (re.compile(rf"bn1\.{_LEAF}"), r"stem.1.\1"),
    (re.compile(rf"fc\.{_LEAF}"), r"classifier.\1"),
)
_IN_BLOCK = re.compile(rf"layer([1-4])\.([0-9]+)\.(?:(conv|bn)([1-3])|downsample\.([01]))\.{_LEAF}")


def _our_name(name: str, depths: Sequence[int]) -> str:
    """`layer2.0.conv1.weight` → `blocks.2.convs.0.weight` where stage 1 has two blocks."""
    for pattern, ours in _NAMES:
        match = pattern.fullmatch(name)
        if match:
            return match.expand(ours)
    match = _IN_BLOCK.fullmatch(name)
    if match is None:
        raise InputError(f"{name!r} is no layer of Paddle's ResNets")
    stage, block, kind, index, shortcut, leaf = match.groups()
    depth = depths[int(stage) - 1]
    if int(block) >= depth:
        raise InputError(f"{name!r}: this network has {depth} blocks in that stage")
    at = f"blocks.{sum(depths[: int(stage) - 1]) + int(block)}"
    if shortcut is not None:
        return f"{at}.shortcut.{shortcut}.{leaf}"
    layers = {"conv": "convs", "bn": "norms"}[kind]
    return f"{at}.{layers}.{int(index) - 1}.{leaf}"


def _read_safetensors(path: Path) -> Arrays:
    state = paddle.load(str(path), safetensors=True, return_numpy=True)
    return {key: np.asarray(value) for key, value in state.items()}


def _read_pdparams(path: Path) -> Arrays:
    data = path.read_bytes()
    if not data.startswith(pickle.PROTO):  # as of protocol 2, the oldest that Paddle writes
        begin = f"it begins with {data[:8]!r}, not as Paddle's weights do"
        raise InputError(f"cannot be read: {begin}: it is another kind of file")
    more = {
        ("_codecs", "encode"): _encode,
        ("builtins", "tuple"): _as_tuple,
        ("__builtin__", "tuple"): _as_tuple,
        ("collections", "OrderedDict"): dict,
    }
    state = ArrayUnpickler(data, frozenset({"f4"}), more).load()
    if not isinstance(state, dict):
        raise InputError("holds no mapping of names to arrays")
    arrays = {}
    for key, value in state.items():
        if key == _STRUCTURE:
            continue
        array = value[1] if isinstance(value, tuple) and len(value) == 2 else value
        if not isinstance(key, str) or not isinstance(array, np.ndarray):
            raise InputError(f"{key!r} is no array")
        arrays[key] = array
    return arrays


def _encode(text: Any, encoding: Any = "utf-8") -> bytes:
    """`_codecs.encode`, by which pickles of protocol 2 write the bytes of an array."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it encodes something that is no array's bytes")
    return text.encode("latin1")


def _as_tuple(items: Iterable[Any] = ()) -> tuple[Any, ...]:
    """`tuple`, by which Paddle writes a tensor: its name and its array."""
    return tuple(items)
