"""Every block is the function its paper's formula says, on any shape and with any options."""

import numpy as np
import numpy_catalogue as catalogue
import paddle
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference_answers import CHECKED, expected_dct_filters
from reference_check import check, make, randomise

from models.attention import block_class, block_names, make_block
from models.attention.ortho import orthonormal_filters
from models.block import SlotShape
from models.build import refuse
from models.residual_block import BASIC, BOTTLENECK, ResidualBlock

# No shape here is close to where float32 says little. Layer norm of two values (gc) and the batch
# norms divide by variances far above their ε or, with `contrast`, at it, not by rounding errors; in
# training, where they might, `reference_check.STRAINED` allows for it. 500 random examples a block,
# instead of these fixed ones, pass too.
modest = settings(max_examples=30, deadline=None, derandomize=True, database=None)

# More than two: in training a batch norm makes ±1 of any two values, and an image has one that is
# pooled. Of such two, the running statistics still tell.
batches = st.integers(1, 4)
seeds = st.integers(0, 2**20)
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
SETS = [f"{ranking}{count}" for ranking in ("top", "low", "bot") for count in (1, 2, 4, 8, 16, 32)]

Options = dict[str, object]


def shapes(
    channels: tuple[int, int], sides: tuple[int, int] = (1, 7), bridged: tuple[int, int] = (0, 0)
) -> st.SearchStrategy[SlotShape]:
    """Shapes with channels, sides and a number of bridged maps from and to the given numbers."""
    side = st.integers(*sides)
    earlier = st.lists(st.integers(1, 24), min_size=bridged[0], max_size=bridged[1]).map(tuple)
    return st.builds(SlotShape, st.integers(*channels), side, side, earlier)


def _legal(name: str, shape: SlotShape, given: Options) -> bool:
    """All but maps of so few positions that a softmax over them is constant."""
    return refuse(make_block(name, given), shape) is None


def options(**values: st.SearchStrategy[object]) -> st.SearchStrategy[Options]:
    return st.fixed_dictionaries(values)


def test_every_attention_block_has_a_reference() -> None:
    attention = {name for name in block_names() if not block_class(name).control}
    assert attention == CHECKED


@modest
@given(
    shapes((2, 9)),
    batches,
    seeds,
    options(
        mode=st.sampled_from(["embedded_gaussian", "gaussian", "dot_product", "concatenation"]),
        bottleneck_ratio=st.sampled_from([0.3, 0.5, 1.0]),
        subsample=st.booleans(),
        scale=st.booleans(),
        bn=st.booleans(),
    ),
)
def test_non_local(shape: SlotShape, batch: int, seed: int, options: Options) -> None:
    assume(_legal("nonlocal", shape, options))
    check("nonlocal", shape, options, batch=batch, seed=seed)


@modest
@given(
    shapes((4, 24)),
    batches,
    seeds,
    st.sampled_from([1.0, 0.01]),
    options(
        ratio=st.sampled_from([0.5, 0.75, 1.0]),
        pooling=st.sampled_from(["attention", "average"]),
        fusion=st.sampled_from(["add", "mul", "mul+add"]),
    ),
)
def test_global_context(
    shape: SlotShape, batch: int, seed: int, contrast: float, options: Options
) -> None:
    assume(_legal("gc", shape, options))
    check("gc", shape, options, batch=batch, seed=seed, contrast=contrast)


@modest
@given(shapes((1, 24)), batches, seeds, st.booleans())
def test_simplified_non_local(shape: SlotShape, batch: int, seed: int, bn: bool) -> None:
    assume(_legal("snl", shape, {"bn": bn}))
    check("snl", shape, {"bn": bn}, batch=batch, seed=seed)


@st.composite
def _of_bat(draw: st.DrawFn) -> tuple[SlotShape, Options]:
    """H = t·s; C // r is a multiple of k, and what C has beyond it is dropped by the division."""
    s, t, k, r = (draw(st.integers(*ends)) for ends in ((2, 4), (1, 3), (1, 3), (1, 3)))
    channels = k * draw(st.integers(1, 3)) * r + draw(st.integers(0, r - 1))
    return SlotShape(channels, s * t, s * t), {"s": s, "k": k, "r": r}


@modest
@given(_of_bat(), batches, seeds)
def test_bilinear_attentional_transform(
    legal: tuple[SlotShape, Options], batch: int, seed: int
) -> None:
    check("bat", *legal, batch=batch, seed=seed)


@modest
@given(shapes((4, 40)), batches, seeds, options(reduction=st.integers(1, 4), bias=st.booleans()))
def test_squeeze_excitation(shape: SlotShape, batch: int, seed: int, options: Options) -> None:
    check("se", shape, options, batch=batch, seed=seed)


@modest
@given(shapes((4, 24), sides=(1, 5)), sizes | st.none(), batches, seeds, st.integers(1, 4))
def test_orthogonal_attention(
    shape: SlotShape, size: tuple[int, int] | None, batch: int, seed: int, reduction: int
) -> None:
    """Maps of the size it was built for and of others, fewer positions than channels included."""
    check("ortho", shape, {"reduction": reduction}, batch=batch, seed=seed, size=size)


@modest
@given(shapes((1, 40), sides=(1, 6)), seeds)
def test_orthonormal_filters(shape: SlotShape, seed: int) -> None:
    """The last filters of a full group are small rests of draws that the others nearly span.

    A rest of 1e-4 of its draw (measured) magnifies rounding as much: hence no larger full groups.
    """
    size = (shape.channels, shape.height, shape.width)
    draws = np.random.default_rng(seed).uniform(size=size).astype(np.float32)
    ours = orthonormal_filters(draws)
    np.testing.assert_allclose(ours, catalogue.orthonormal_filters(draws), rtol=0, atol=1e-11)
    for start in range(0, shape.channels, shape.positions):
        group = ours[start : start + shape.positions].reshape(-1, shape.positions)
        np.testing.assert_allclose(group @ group.T, np.eye(len(group)), rtol=0, atol=1e-9)


def test_filters_of_draws_that_are_nearly_the_same_are_orthogonal() -> None:
    """The modified Gram–Schmidt loses rounding times the draws' condition, the plain one rounding
    times its square: 5e-7 here.
    """
    draws = 0.5 + 1e-4 * np.random.default_rng(0).uniform(size=(16, 4, 4))
    rows = orthonormal_filters(draws).reshape(16, 16)
    np.testing.assert_allclose(rows @ rows.T, np.eye(16), rtol=0, atol=1e-9)


@st.composite
def _of_fca(draw: st.DrawFn) -> tuple[SlotShape, Options, tuple[int, int] | None]:
    """D = 0 takes filters of the map's own size, 7 or more; other D go with any map."""
    frequencies = draw(st.sampled_from(SETS))
    count, dct_size = int(frequencies[3:]), draw(st.sampled_from([0, 0, 0, *range(7, 15)]))
    channels = count * draw(st.integers(-(-4 // count), max(2, 12 // count)))
    sides = st.integers(1, 10) if dct_size else st.integers(7, 15)
    shape = SlotShape(channels, draw(sides), draw(sides))
    given = {"frequencies": frequencies, "dct_size": dct_size, "reduction": draw(st.integers(1, 4))}
    return shape, given, draw(st.none() | sizes)


@modest
@given(_of_fca(), batches, seeds)
def test_frequency_channel_attention(
    legal: tuple[SlotShape, Options, tuple[int, int] | None], batch: int, seed: int
) -> None:
    shape, options, size = legal
    check("fca", shape, options, batch=batch, seed=seed, size=size)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (15, 8)])
@pytest.mark.parametrize("frequencies", SETS)
def test_frequency_filters(frequencies: str, height: int, width: int) -> None:
    shape = SlotShape(32, height, width)
    layer, _ = make("fca", shape, {"frequencies": frequencies}, None)
    theirs = expected_dct_filters(frequencies, 32, height, width)
    np.testing.assert_allclose(layer.filters.numpy(), theirs, rtol=0, atol=1e-7)


@modest
@given(shapes((1, 40)), batches, seeds, st.sampled_from([0, 1, 3, 5, 7, 9, 11, 13, 15]))
def test_efficient_channel_attention(shape: SlotShape, batch: int, seed: int, kernel: int) -> None:
    check("eca", shape, {"kernel": kernel}, batch=batch, seed=seed)


@pytest.mark.parametrize(
    ("channels", "kernel"),
    [(2, 1), (7, 1), (8, 3), (64, 3), (127, 3), (128, 5), (512, 5), (2047, 5), (2048, 7)],
)
def test_the_kernel_grows_with_the_channels(channels: int, kernel: int) -> None:
    """t = ⌊(log2 C + 1) / 2⌋, then the next odd number: it changes at C = 2^3, 2^7, 2^11."""
    layer, _ = make("eca", SlotShape(channels, 2, 2), {}, None)
    assert layer.conv.weight.shape == [1, 1, kernel]


@modest
@given(shapes((4, 40)), batches, seeds, options(reduction=st.integers(1, 4), spatial=st.booleans()))
def test_convolutional_block_attention(
    shape: SlotShape, batch: int, seed: int, options: Options
) -> None:
    check("cbam", shape, options, batch=batch, seed=seed)


@modest
@given(
    shapes((1, 24)).filter(lambda shape: shape.positions > 1),
    batches,
    seeds,
    st.floats(-12, 2).map(lambda exponent: 10**exponent),
)
def test_simam(shape: SlotShape, batch: int, seed: int, e_lambda: float) -> None:
    check("simam", shape, {"e_lambda": e_lambda}, batch=batch, seed=seed)


@modest
@given(shapes((1, 40)), batches, seeds, st.integers(1, 40))
def test_coordinate_attention(shape: SlotShape, batch: int, seed: int, reduction: int) -> None:
    check("coord", shape, {"reduction": reduction}, batch=batch, seed=seed)


@modest
@given(
    shapes((4, 40), bridged=(1, 3)),
    batches,
    seeds,
    options(reduction=st.integers(1, 4), activation=st.sampled_from(["relu", "silu"])),
)
def test_bridge_attention(shape: SlotShape, batch: int, seed: int, options: Options) -> None:
    check("bridge", shape, options, batch=batch, seed=seed)


@pytest.mark.parametrize(
    ("name", "options", "inner"),
    [
        ("nonlocal", {"bottleneck_ratio": 0.3}, 13),
        ("nonlocal", {"bottleneck_ratio": 0.001}, 1),
        ("gc", {"ratio": 0.3}, 13),
        ("bat", {"r": 3, "k": 1}, 15),
        ("se", {"reduction": 4}, 11),
        ("ortho", {"reduction": 4}, 11),
        ("ortho", {"reduction": 8}, 6),  # 5.6, rounded as the official code does
        ("ortho", {"reduction": 18}, 2),  # 2.5
        ("fca", {"reduction": 4, "frequencies": "top1", "dct_size": 7}, 11),
        ("cbam", {"reduction": 4}, 11),
        ("bridge", {"reduction": 4}, 11),
        ("coord", {"reduction": 4}, 11),
        ("coord", {"reduction": 16}, 8),
    ],
)
def test_inner_channels(name: str, options: Options, inner: int) -> None:
    """45 channels, so that all divisions leave a rest; the references take what the layer has."""
    layer, _ = make(name, SlotShape(45, 4, 4, bridged=(7,)), options, None)
    assert _inner(name, layer) == inner


def test_a_quotient_is_as_good_as_the_inner_channels_it_is_of() -> None:
    """Of no pair of integers does rounding take a channel; 44 · (15 / 44) is below 15."""
    for channels in range(1, 129):
        for inner in range(1, channels + 1):
            options = make_block("nonlocal", {"bottleneck_ratio": max(inner / channels, 1e-3)})
            cost = block_class("nonlocal").cost(SlotShape(channels, 2, 2), dict(options.options))
            assert cost.params == 4 * channels * inner + 3 * inner + channels + 2 * channels


def _inner(name: str, layer: paddle.nn.Layer) -> int:
    """The output channels of a block's first convolution, or first linear layer."""
    if name in ("bridge", "se", "ortho", "fca", "cbam"):
        return (layer.bridges[0] if name == "bridge" else layer.mlp.squeeze).weight.shape[1]
    first = {"nonlocal": "g", "gc": "add", "bat": "reduce", "coord": "conv"}[name]
    found = getattr(layer, first)
    return (found[0] if name in ("gc", "bat") else found).weight.shape[0]


@pytest.mark.parametrize("rectified", [True, False])
def test_the_residual_control_is_the_backbones_own_block(rectified: bool) -> None:
    """Without the last ReLU where the map comes out of none."""
    layer, _ = make("residual", SlotShape(6, 5, 4, rectified=rectified), {}, None)
    twin = ResidualBlock(BASIC, 6, 6, 1, {}.get)
    same_but_for_the_last_relu(layer, twin, 6, rectified)


@pytest.mark.parametrize("rectified", [True, False])
def test_the_bottleneck_control_is_the_backbones_own_block(rectified: bool) -> None:
    """That of ResNet-50, where `hidden` is a quarter of the channels."""
    shape = SlotShape(8, 5, 4, rectified=rectified)
    layer, _ = make("bottleneck", shape, {"hidden": 2}, None)
    twin = ResidualBlock(BOTTLENECK, 8, 2, 1, {}.get)
    same_but_for_the_last_relu(layer, twin, 8, rectified)


def same_but_for_the_last_relu(
    layer: paddle.nn.Layer, twin: ResidualBlock, channels: int, rectified: bool
) -> None:
    randomise(layer, np.random.default_rng(0))
    numbers = range(1, len(twin.convs) + 1)
    pairs = [(getattr(layer, f"conv{n}"), getattr(layer, f"norm{n}")) for n in numbers]
    for (conv, norm), own_conv, own_norm in zip(pairs, twin.convs, twin.norms, strict=True):
        assert own_conv.set_state_dict(conv.state_dict()) == ([], [])
        assert own_norm.set_state_dict(norm.state_dict()) == ([], [])
    twin.eval()
    pixels = np.random.default_rng(1).normal(size=(2, channels, 5, 4))
    x = paddle.to_tensor(pixels.astype(np.float32))
    ours = layer(x)
    assert (float(ours.min()) < 0) != rectified
    assert np.array_equal(paddle.nn.functional.relu(ours).numpy(), twin(x).numpy())
