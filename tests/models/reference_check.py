"""Holds one of our layers, with random weights, against the NumPy reference of its block."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy_reference as reference
import paddle
from paddle import nn

from models.attention import block_class, make_block
from models.block import AttentionBlock, SlotShape

TOLERANCE = 2e-5
"""Of the output's largest entry (at least 1): float32 rounding against float64."""


def make(
    name: str, shape: SlotShape, given: Mapping[str, object], kind: type[AttentionBlock] | None
) -> tuple[AttentionBlock, dict[str, Any]]:
    """The block's layer, or `kind`'s in its place, and its complete options."""
    options = dict(make_block(name, given).options)
    layer = (kind or block_class(name))(shape, **options)
    layer.eval()
    return layer, options


def check(
    name: str,
    shape: SlotShape,
    given: Mapping[str, object],
    *,
    batch: int = 2,
    seed: int = 0,
    contrast: float = 1.0,
    kind: type[AttentionBlock] | None = None,
) -> None:
    """AssertionError where the layer is not the reference's function, in evaluation mode.

    `contrast` scales the input and shrinks the biases of gc's first convolution with it: small
    values bring the variance that its layer norm divides by down to its ε.
    """
    rng = np.random.default_rng(seed)
    layer, options = make(name, shape, given, kind)
    randomise(layer, rng)
    if name == "gc":
        for branch in (layer.mul, layer.add):
            if branch is not None:
                branch[0].bias.set_value(branch[0].bias * contrast)
    size = (shape.height, shape.width)
    maps = [rng.normal(size=(batch, c, *size)) * contrast for c in (*shape.bridged, shape.channels)]
    maps = [values.astype(np.float32) for values in maps]
    x, earlier = maps[-1], maps[:-1]
    with paddle.no_grad():
        ours = layer(paddle.to_tensor(x), tuple(map(paddle.to_tensor, earlier))).numpy()
    wide = [values.astype(np.float64) for values in earlier]
    theirs = expected(name, layer, options, x.astype(np.float64), wide)
    assert ours.shape == theirs.shape
    error = float(np.abs(ours - theirs).max()) / max(1.0, float(np.abs(theirs).max()))
    assert error <= TOLERANCE, f"{name}{options} on {shape} is off by {error:.3g}"


def randomise(layer: nn.Layer, rng: np.random.Generator) -> None:
    """Random weights everywhere: nothing is hidden by an initial zero."""
    for key, value in layer.state_dict().items():
        drawn = rng.normal(size=value.shape)
        if key.endswith("_variance"):
            drawn = rng.uniform(0.5, 2.0, value.shape)
        elif len(value.shape) > 1:
            drawn = drawn / np.sqrt(value.size / max(value.shape[:2]))
        value.set_value(drawn.astype(np.float32))


def expected(
    name: str, layer: Any, options: dict[str, Any], x: np.ndarray, earlier: list[np.ndarray]
) -> np.ndarray:
    """The reference's answer with the layer's weights."""
    if name == "nonlocal":
        w = _conv("g", layer.g) | _conv("z", layer.out)
        if options["mode"] != "gaussian":
            w |= _conv("theta", layer.theta) | _conv("phi", layer.phi)
        if options["bn"]:
            w |= _norm("bn", layer.norm)
        scale = options.get("scale", False)
        chosen = {"mode": options["mode"], "subsample": options["subsample"], "scale": scale}
        return reference.nonlocal_block(x, w, **chosen)
    if name == "gc":
        w = _conv("k", layer.mask) if options["pooling"] == "attention" else {}
        for part in options["fusion"].split("+"):
            first, norm, _, last = getattr(layer, part)
            w |= _conv(f"{part}_in", first) | _conv(f"{part}_out", last)
            w |= {f"{part}_ln_gamma": _wide(norm.weight), f"{part}_ln_beta": _wide(norm.bias)}
        return reference.global_context(x, w, pooling=options["pooling"], fusion=options["fusion"])
    if name == "se":
        w = _linear("1", layer.squeeze) | _linear("2", layer.excite)
        return reference.squeeze_excitation(x, w)
    assert name == "bridge", f"no reference for {name}"
    w = _linear("g", layer.generate)
    for i, (bridge, norm) in enumerate(zip(layer.bridges, layer.norms, strict=True)):
        w |= _linear(str(i), bridge) | _norm(f"bn{i}", norm)
    return reference.bridge_attention(x, earlier, w)


def _wide(value: paddle.Tensor) -> np.ndarray:
    return value.numpy().astype(np.float64)


def _conv(letter: str, layer: nn.Conv2D) -> dict[str, np.ndarray]:
    weight = _wide(layer.weight)[:, :, 0, 0]
    return {f"{letter}_weight": weight, f"{letter}_bias": _wide(layer.bias)}


def _linear(letter: str, layer: nn.Linear) -> dict[str, np.ndarray]:
    weights = {f"{letter}_weight": _wide(layer.weight).T}
    return weights if layer.bias is None else weights | {f"{letter}_bias": _wide(layer.bias)}


def _norm(letter: str, layer: nn.Layer) -> dict[str, np.ndarray]:
    parts = {"gamma": layer.weight, "beta": layer.bias, "mean": layer._mean, "var": layer._variance}
    return {f"{letter}_{part}": _wide(value) for part, value in parts.items()}
