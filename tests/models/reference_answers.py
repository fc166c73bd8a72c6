"""What the NumPy references answer with the weights of one of our layers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy_catalogue as catalogue
import numpy_reference as reference
import paddle
from numpy_reference import Array, BatchNorm
from paddle import nn

from models.block import AttentionBlock, SlotShape

# The frequencies of FcaNet's official code: those along the height, then those along the width.
_FREQUENCIES = {
    "top": ("00600114513000324635526553342261", "01052020060463526333511242113053"),
    "low": ("00110221203401301234501234561234", "01012012230043154321065432106543"),
    "bot": ("61332412445146256162243355625536", "64466314456522514350311242115333"),
}


@dataclass(frozen=True)
class Subject:
    """A layer of ours: which block, the shape it was built for, and its complete options.

    `norms`: the reference's batch norms by the names of the layer's.
    """

    name: str
    layer: AttentionBlock
    shape: SlotShape
    options: dict[str, Any]
    norms: Mapping[str, BatchNorm]


def expected(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    """The reference's answer with the layer's weights."""
    return _ANSWERS[subject.name](subject, x, earlier)


def batch_norms(layer: nn.Layer) -> dict[str, BatchNorm]:
    """The reference's batch norms, in evaluation mode, for all of the layer's, by their names."""
    found = {}
    for name, norm in layer.named_sublayers():
        if isinstance(norm, nn.BatchNorm1D | nn.BatchNorm2D):
            values = (norm.weight, norm.bias, norm._mean, norm._variance)
            found[name] = BatchNorm(*map(_wide, values))
    return found


def expected_dct_filters(frequencies: str, channels: int, height: int, width: int) -> Array:
    """FcaNet's filters by the reference."""
    down, across = _FREQUENCIES[frequencies[:3]]
    pairs = list(zip(map(int, down), map(int, across), strict=True))[: int(frequencies[3:])]
    return catalogue.dct_filters(channels, height, width, pairs)


def _nonlocal(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    layer, options = subject.layer, subject.options
    w = _conv("g", layer.g) | _conv("z", layer.out) | _norm(subject)
    if options["mode"] != "gaussian":
        w |= _conv("theta", layer.theta) | _conv("phi", layer.phi)
    if options["mode"] == "concatenation":
        w |= {"w_weight": _wide(layer.pair.weight)[:, 0]}
        return catalogue.nonlocal_concatenation(x, w, subsample=options["subsample"])
    chosen = {"mode": options["mode"], "subsample": options["subsample"]}
    return reference.nonlocal_block(x, w, **chosen, scale=options.get("scale", False))


def _gc(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    layer, options = subject.layer, subject.options
    w = _conv("k", layer.pool.mask) if options["pooling"] == "attention" else {}
    for part in options["fusion"].split("+"):
        first, norm, _, last = getattr(layer, part)
        w |= _conv(f"{part}_in", first) | _conv(f"{part}_out", last)
        w |= {f"{part}_ln_gamma": _wide(norm.weight), f"{part}_ln_beta": _wide(norm.bias)}
    return reference.global_context(x, w, pooling=options["pooling"], fusion=options["fusion"])


def _snl(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    layer = subject.layer
    w = _conv("k", layer.pool.mask) | _conv("v", layer.value) | _norm(subject)
    return catalogue.simplified_nonlocal(x, w)


def _bat(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    layer = subject.layer
    parts = {"u": "reduce", "o": "observe", "y": "transform", "z": "restore"}
    w: dict[str, Any] = {}
    for letter, part in parts.items():
        w |= _conv(letter, getattr(layer, part)[0]) | {f"bn{letter}": subject.norms[f"{part}.1"]}
    for letter, conv in (("p", layer.rows), ("q", layer.columns)):
        w |= {f"{letter}_weight": _wide(conv.weight), f"{letter}_bias": _wide(conv.bias)}
    return catalogue.bat(x, w, s=subject.options["s"], k=subject.options["k"])


def _se(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    return reference.squeeze_excitation(x, _perceptron(subject.layer.mlp))


def _ortho(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    """With the filters the layer drew: how those come of the draws is a test of its own."""
    layer = subject.layer
    return catalogue.ortho(x, _wide(layer.filters), _perceptron(layer.mlp))


def _fca(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    """With the reference's filters."""
    shape, side = subject.shape, subject.options["dct_size"]
    size = (side, side) if side else (shape.height, shape.width)
    filters = expected_dct_filters(subject.options["frequencies"], shape.channels, *size)
    return catalogue.fca(x, filters, _perceptron(subject.layer.mlp))


def _eca(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    return catalogue.eca(x, _wide(subject.layer.conv.weight)[0, 0])


def _cbam(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    layer, w = subject.layer, _perceptron(subject.layer.mlp)
    if subject.options["spatial"]:
        w |= {"conv_weight": _wide(layer.conv.weight)} | _norm(subject)
    return catalogue.cbam(x, w, spatial=subject.options["spatial"])


def _simam(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    return catalogue.simam(x, subject.options["e_lambda"])


def _coord(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    layer = subject.layer
    w = _conv("1", layer.conv) | _conv("h", layer.conv_h) | _conv("w", layer.conv_w)
    return catalogue.coordinate(x, w | _norm(subject))


def _bridge(subject: Subject, x: Array, earlier: list[Array]) -> Array:
    layer, silu = subject.layer, subject.options["activation"] == "silu"
    w = _linear("g", layer.generate)
    for i, bridge in enumerate(layer.bridges):
        w |= _linear(str(i), bridge) | {f"bn{i}": subject.norms[f"norms.{i}"]}
    return (catalogue.bridge_silu if silu else reference.bridge_attention)(x, earlier, w)


_ANSWERS: dict[str, Callable[[Subject, Array, list[Array]], Array]] = {
    "bat": _bat,
    "bridge": _bridge,
    "cbam": _cbam,
    "coord": _coord,
    "eca": _eca,
    "fca": _fca,
    "gc": _gc,
    "nonlocal": _nonlocal,
    "ortho": _ortho,
    "se": _se,
    "simam": _simam,
    "snl": _snl,
}

CHECKED = frozenset(_ANSWERS)
"""The blocks that have a reference."""


def _wide(value: paddle.Tensor) -> Array:
    return value.numpy().astype(np.float64)


def _conv(letter: str, layer: nn.Conv2D) -> dict[str, Array]:
    weight = _wide(layer.weight)[:, :, 0, 0]
    return {f"{letter}_weight": weight, f"{letter}_bias": _wide(layer.bias)}


def _linear(letter: str, layer: nn.Linear) -> dict[str, Array]:
    weights = {f"{letter}_weight": _wide(layer.weight).T}
    return weights if layer.bias is None else weights | {f"{letter}_bias": _wide(layer.bias)}


def _perceptron(mlp: nn.Layer) -> dict[str, Array]:
    return _linear("1", mlp.squeeze) | _linear("2", mlp.excite)


def _norm(subject: Subject) -> Mapping[str, BatchNorm]:
    """The only batch norm; nothing where there is none: then the references have none either."""
    return {"bn": subject.norms["norm"]} if subject.norms else {}
