"""Every block is the function its paper's formula says, on any shape and with any options."""

import numpy as np
import paddle
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_check import check, make, randomise

from models.attention import block_class, block_names
from models.block import SlotShape
from models.residual_network import BasicBlock

CHECKED = {"nonlocal", "gc", "se", "bridge"}
modest = settings(max_examples=20, deadline=None, derandomize=True, database=None)

batches = st.integers(1, 3)
seeds = st.integers(0, 2**20)


def shapes(
    channels: tuple[int, int], sides: tuple[int, int] = (1, 7), bridged: tuple[int, int] = (0, 0)
) -> st.SearchStrategy[SlotShape]:
    """Shapes with channels, sides and a number of bridged maps from and to the given numbers."""
    side = st.integers(*sides)
    earlier = st.lists(st.integers(1, 24), min_size=bridged[0], max_size=bridged[1]).map(tuple)
    return st.builds(SlotShape, st.integers(*channels), side, side, earlier)


def test_every_attention_block_has_a_reference() -> None:
    attention = {name for name in block_names() if not block_class(name).control}
    assert attention == CHECKED


@modest
@given(
    shapes((2, 9), sides=(2, 7)),
    batches,
    seeds,
    st.fixed_dictionaries(
        {
            "mode": st.sampled_from(["embedded_gaussian", "gaussian", "dot_product"]),
            "bottleneck_ratio": st.sampled_from([0.3, 0.5, 1.0]),
            "subsample": st.booleans(),
            "scale": st.booleans(),
            "bn": st.booleans(),
        }
    ),
)
def test_non_local(shape: SlotShape, batch: int, seed: int, options: dict[str, object]) -> None:
    check("nonlocal", shape, options, batch=batch, seed=seed)


@modest
@given(
    shapes((4, 24)),
    batches,
    seeds,
    st.sampled_from([1.0, 0.01]),
    st.fixed_dictionaries(
        {
            "ratio": st.sampled_from([0.5, 0.75, 1.0]),
            "pooling": st.sampled_from(["attention", "average"]),
            "fusion": st.sampled_from(["add", "mul", "mul+add"]),
        }
    ),
)
def test_global_context(
    shape: SlotShape, batch: int, seed: int, contrast: float, options: dict[str, object]
) -> None:
    check("gc", shape, options, batch=batch, seed=seed, contrast=contrast)


@modest
@given(shapes((4, 40)), batches, seeds, st.integers(1, 4), st.booleans())
def test_squeeze_excitation(
    shape: SlotShape, batch: int, seed: int, reduction: int, bias: bool
) -> None:
    check("se", shape, {"reduction": reduction, "bias": bias}, batch=batch, seed=seed)


@modest
@given(shapes((4, 40), bridged=(1, 3)), batches, seeds, st.integers(1, 4))
def test_bridge_attention(shape: SlotShape, batch: int, seed: int, reduction: int) -> None:
    check("bridge", shape, {"reduction": reduction}, batch=batch, seed=seed)


def test_the_residual_control_is_the_backbones_own_block() -> None:
    layer, _ = make("residual", SlotShape(6, 5, 4), {}, None)
    twin = BasicBlock(6, 6, 1, None, None)
    randomise(layer, np.random.default_rng(0))
    assert twin.set_state_dict(layer.state_dict()) == ([], [])
    twin.eval()
    x = paddle.to_tensor(np.random.default_rng(1).normal(size=(2, 6, 5, 4)).astype(np.float32))
    assert np.array_equal(layer(x).numpy(), twin(x).numpy())
