"""Holds one of our layers, with random weights, against the NumPy reference of its block."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from numpy_reference import Array
from paddle import nn
from reference_answers import Subject, expected

from models.attention import block_class, make_block
from models.block import AttentionBlock, SlotShape

TOLERANCE = 2e-5
"""Of the output's largest entry (at least 1): float32 rounding against float64."""

GRADIENT_TOLERANCE = 1e-5
"""Of the gradient's largest entry. The finite differences are good to 1e-8, float32 is not."""

STEP = 1e-6
"""Of the finite differences: rounding in float64 and curvature are both far below a tolerance."""

FIXED = ("gain", "faded_in", "filters")
"""Buffers that are part of what a block is: random values would make another block of it."""


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
    size: tuple[int, int] | None = None,
    kind: type[AttentionBlock] | None = None,
) -> None:
    """AssertionError where the layer is not the reference's function, in evaluation mode.

    `contrast` scales the input and shrinks the biases of gc's first convolution with it: small
    values bring the variance that its layer norm divides by down to its ε. `size`: height and width
    of the maps, where those are not what the layer was built for.
    """
    rng = np.random.default_rng(seed)
    subject = _subject(name, shape, given, rng, kind)
    if name == "gc":
        for branch in (subject.layer.mul, subject.layer.add):
            if branch is not None:
                branch[0].bias.set_value(branch[0].bias * contrast)
    *earlier, x = [values * np.float32(contrast) for values in _maps(rng, batch, shape, size)]
    with paddle.no_grad():
        ours = subject.layer(paddle.to_tensor(x), tuple(map(paddle.to_tensor, earlier))).numpy()
    theirs = expected(subject, x.astype(np.float64), [e.astype(np.float64) for e in earlier])
    assert ours.shape == theirs.shape
    error = float(np.abs(ours - theirs).max()) / max(1.0, float(np.abs(theirs).max()))
    assert error <= TOLERANCE, f"{name}{subject.options} on {shape} is off by {error:.3g}"


def check_input_gradients(
    name: str,
    shape: SlotShape,
    given: Mapping[str, object],
    *,
    seed: int = 5,
    kind: type[AttentionBlock] | None = None,
) -> None:
    """AssertionError where Σ y·r has other gradients than the reference's finite differences.

    They are taken for every value of every input, in evaluation mode. The seed must be one where no
    input lies within `STEP` of a kink, and where x acts on the output in another way than directly:
    with every hidden unit dead, a gradient that is cut off would be the right one.
    """
    rng = np.random.default_rng(seed)
    subject = _subject(name, shape, given, rng, kind)
    maps = _maps(rng, 2, shape, None)
    r = rng.normal(size=maps[-1].shape).astype(np.float32)
    inputs = [paddle.to_tensor(values, stop_gradient=False) for values in maps]
    (subject.layer(inputs[-1], tuple(inputs[:-1])) * paddle.to_tensor(r)).sum().backward()
    wide = [values.astype(np.float64) for values in maps]
    for i, values in enumerate(inputs):
        theirs = _differences(subject, wide, i, r.astype(np.float64))
        assert values.grad is not None, f"{name}: input {i} gets no gradient"
        error = np.abs(values.grad.numpy() - theirs).max() / np.abs(theirs).max()
        assert error <= GRADIENT_TOLERANCE, f"{name}: input {i}'s gradient is off by {error:.3g}"
    gates = expected(subject, wide[-1], wide[:-1]) / wide[-1]
    for direct in (r, r * gates):  # past what is added to x, and past gates of x
        assert np.abs(theirs - direct).max() > 0.01 * np.abs(theirs).max(), "take another seed"


def randomise(layer: nn.Layer, rng: np.random.Generator) -> None:
    """Random weights everywhere: nothing is hidden by an initial zero."""
    for key, value in layer.state_dict().items():
        if key.rpartition(".")[2] in FIXED:
            continue
        drawn = rng.normal(size=value.shape)
        if key.endswith("_variance"):
            drawn = rng.uniform(0.5, 2.0, value.shape)
        elif len(value.shape) > 1:
            drawn = drawn / np.sqrt(value.size / max(value.shape[:2]))
        value.set_value(drawn.astype(np.float32))


def _subject(
    name: str,
    shape: SlotShape,
    given: Mapping[str, object],
    rng: np.random.Generator,
    kind: type[AttentionBlock] | None,
) -> Subject:
    paddle.seed(int(rng.integers(2**31)))  # ortho's filters are drawn when it is made
    layer, options = make(name, shape, given, kind)
    assert layer.refuse(shape, options) is None
    randomise(layer, rng)
    return Subject(name, layer, shape, options)


def _maps(
    rng: np.random.Generator, batch: int, shape: SlotShape, size: tuple[int, int] | None
) -> list[Array]:
    """Random feature maps in float32: the earlier ones, then x."""
    height, width = size or (shape.height, shape.width)
    shapes = [(batch, channels, height, width) for channels in (*shape.bridged, shape.channels)]
    return [rng.normal(size=each).astype(np.float32) for each in shapes]


def _differences(subject: Subject, maps: list[Array], which: int, r: Array) -> Array:
    """Central differences of Σ y·r by every value of `maps[which]`, x being the last map."""
    gradient = np.empty_like(maps[which])
    for place in np.ndindex(*gradient.shape):
        ends = []
        for step in (STEP, -STEP):
            moved = [values.copy() for values in maps]
            moved[which][place] += step
            ends.append(float((expected(subject, moved[-1], moved[:-1]) * r).sum()))
        gradient[place] = (ends[0] - ends[1]) / (2 * STEP)
    return gradient
