"""Holds one of our layers, with random weights, against the NumPy reference of its block."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from numpy_reference import Array, BatchNorm
from paddle import nn
from reference_answers import Subject, batch_norms, expected

from models.attention import block_class, make_block
from models.block import AttentionBlock, SlotShape

TOLERANCE = 2e-5
"""Of the output's largest entry (at least 1): float32 rounding against float64."""

STRAINED = 2e-6
"""Of a training batch norm's strain: allowed instead where that is more than 10.

The norm divides by its rows' own deviation. Where they are nearly equal (a map of few positions,
weights that average over all of them) that magnifies their rounding by size over deviation, the
strain; ε keeps it finite. Errors of up to 2e-7 of it were measured, of up to 1.2e-6 in bat, where
four norms follow one another.
"""

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
    batch: int = 3,
    seed: int = 0,
    contrast: float = 1.0,
    size: tuple[int, int] | None = None,
    kind: type[AttentionBlock] | None = None,
    training: bool = True,
) -> None:
    """AssertionError where the layer is not the reference's function, in evaluation mode.

    With `training` then in training mode too, without dropout; in both modes the running statistics
    must come out as the reference's. `contrast` scales the input and shrinks the biases of gc's
    first convolution with it: small values bring the variance that its layer norm divides by down
    to its ε. `size`: height and width of the maps, where those are not what the layer was built
    for.
    """
    rng = np.random.default_rng(seed)
    subject = _subject(name, shape, given, rng, kind)
    if name == "gc":
        for branch in (subject.layer.mul, subject.layer.add):
            if branch is not None:
                branch[0].bias.set_value(branch[0].bias * contrast)
    maps = [values * np.float32(contrast) for values in _maps(rng, batch, shape, size)]
    _compare(subject, maps)
    if training:
        _train(subject)
        _compare(subject, maps)


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
    return Subject(name, layer, shape, options, batch_norms(layer))


def _train(subject: Subject) -> None:
    """Training mode; without dropout, which is no function of the input."""
    subject.layer.train()
    for part in subject.layer.sublayers():
        if isinstance(part, nn.Dropout2D):
            part.p = 0.0
    for norm in subject.norms.values():
        norm.training = True


def _compare(subject: Subject, maps: list[Array]) -> None:
    """The output for these maps, x being the last, and the running statistics after it.

    The layer's norms are named in the order in which they follow one another.
    """
    given = [paddle.to_tensor(values) for values in maps]
    with paddle.no_grad():
        ours = subject.layer(given[-1], tuple(given[:-1])).numpy()
    wide = [values.astype(np.float64) for values in maps]
    theirs = expected(subject, wide[-1], wide[:-1])
    layers, allowed = dict(subject.layer.named_sublayers()), TOLERANCE
    for name, norm in subject.norms.items():
        mean, variance = norm.moved(layers[name]._momentum)
        _close(layers[name]._mean.numpy(), mean, allowed, subject, f"{name}._mean")
        _close(layers[name]._variance.numpy(), variance, allowed, subject, f"{name}._variance")
        allowed = max(allowed, STRAINED * _strain(norm))
    _close(ours, theirs, allowed, subject, "output")


def _close(ours: Array, theirs: Array, tolerance: float, subject: Subject, what: str) -> None:
    assert ours.shape == theirs.shape
    error = float(np.abs(ours - theirs).max()) / max(1.0, float(np.abs(theirs).max()))
    mode = "training" if subject.layer.training else "evaluation"
    where = f"{subject.name}{subject.options} on {subject.shape} in {mode}: {what}"
    assert error <= tolerance, f"{where} is off by {error:.3g}, allowed {tolerance:.3g}"


def _strain(norm: BatchNorm) -> float:
    """The root mean square of the rows over what they are divided by, of the worst channel."""
    if norm.batch is None:
        return 0.0
    mean, var = norm.batch
    return float(np.sqrt((mean**2 + var) / (var + 1e-5)).max())


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
