"""The comparisons of the other files fail on known wrong versions, so passing them means much."""

from typing import Any

import numpy as np
import paddle
import pytest
from golden_cases import ABSENT, INDEX, index, load
from golden_compare import compare
from mutants import (
    AddBeforeMul,
    AddOfTheProduct,
    AddOnly,
    BridgesIgnored,
    BridgesSwapped,
    ChannelAffinity,
    HeightForN,
    MulOnly,
    PooledBeforeProjection,
    ProductThrownAway,
    ScaledByKeys,
    SmallEpsilon,
    SoftmaxOverQueries,
)
from reference_check import check, make, randomise

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_class, make_block
from models.attention.gc import GlobalContext
from models.block import AttentionBlock, SlotShape
from models.build import build
from models.errors import InputError

PLAIN = SlotShape(8, 5, 6)
BRIDGED = SlotShape(8, 5, 6, bridged=(8,))
BOTH = {"ratio": 0.5, "fusion": "mul+add"}


def _identity(value: Any) -> str | None:
    return value.__name__ if isinstance(value, type) else None


MUTANTS = [
    ("nonlocal", ChannelAffinity, PLAIN, {}, 1.0),
    ("nonlocal", HeightForN, PLAIN, {"mode": "dot_product"}, 1.0),
    ("nonlocal", SoftmaxOverQueries, PLAIN, {}, 1.0),
    ("nonlocal", ScaledByKeys, PLAIN, {"scale": True}, 1.0),
    ("nonlocal", PooledBeforeProjection, PLAIN, {"subsample": True}, 1.0),
    ("bridge", ProductThrownAway, BRIDGED, {"reduction": 2}, 1.0),
    ("bridge", BridgesIgnored, BRIDGED, {"reduction": 2}, 1.0),
    ("bridge", BridgesSwapped, BRIDGED, {"reduction": 2}, 1.0),
    ("gc", AddBeforeMul, PLAIN, BOTH, 1.0),
    ("gc", AddOfTheProduct, PLAIN, BOTH, 1.0),
    ("gc", MulOnly, PLAIN, BOTH, 1.0),
    ("gc", AddOnly, PLAIN, BOTH, 1.0),
    ("gc", SmallEpsilon, PLAIN, {"ratio": 0.5}, 0.01),
]

GOLDEN_MUTANTS = [
    ("nl_ah7_embgauss_full_bn", ChannelAffinity),
    ("nl_ah7_dot_full_bn", HeightForN),
    ("nl_bat_scale_bn", ScaledByKeys),
    ("nl_ah7_embgauss_sub_bn", PooledBeforeProjection),
    ("ba_basicblock_p32", ProductThrownAway),
    ("ba_basicblock_p32_train", ProductThrownAway),
    ("ba_basicblock_p32", BridgesSwapped),
    ("gc_avg_addmul_r8", AddBeforeMul),
    ("gc_avg_addmul_r8", MulOnly),
    ("gc_avg_addmul_r8", AddOnly),
]


@pytest.mark.parametrize(("name", "mutant", "shape", "options", "contrast"), MUTANTS, ids=_identity)
def test_reference_catches(
    name: str,
    mutant: type[AttentionBlock],
    shape: SlotShape,
    options: dict[str, object],
    contrast: float,
) -> None:
    check(name, shape, options, contrast=contrast)
    with pytest.raises(AssertionError, match="is off by"):
        check(name, shape, options, contrast=contrast, kind=mutant)


@pytest.mark.skipif(not INDEX.exists(), reason=ABSENT)
@pytest.mark.parametrize(("case", "mutant"), GOLDEN_MUTANTS, ids=_identity)
def test_golden_numbers_catch(case: str, mutant: type[AttentionBlock]) -> None:
    golden = load(next(item for item in index() if item["name"] == case))
    layer = golden.layer if isinstance(golden.layer, AttentionBlock) else golden.layer.before_add
    layer.__class__ = mutant
    with pytest.raises(AssertionError, match="is off by"):
        compare(golden)


def test_the_gate_of_bridge_acts_and_learns() -> None:
    _gate_acts(block_class("bridge"))
    with pytest.raises(AssertionError, match="no gradient"):
        _gate_acts(ProductThrownAway)


def _gate_acts(kind: type[AttentionBlock]) -> None:
    layer, _ = make("bridge", BRIDGED, {"reduction": 2}, kind)
    rng = np.random.default_rng(3)
    randomise(layer, rng)
    x, earlier = paddle.to_tensor(rng.normal(size=(2, 2, 8, 5, 6)).astype(np.float32))
    before = layer(x, (earlier,))
    before.square().sum().backward()
    trained = [(name, p.grad) for name, p in layer.named_parameters() if p.trainable]
    assert len(trained) == 7  # two bridges, two batch norms, the generating layer
    for name, gradient in trained:
        assert gradient is not None, f"{name} gets no gradient"
        assert float(gradient.abs().max()) > 0, f"{name} gets no gradient"
    layer.generate.weight.set_value(layer.generate.weight * 2)
    assert not np.allclose(before.numpy(), layer(x, (earlier,)).numpy())


def test_gc_with_one_inner_channel_is_refused_because_it_is_constant() -> None:
    """LayerNorm of one value is its shift: the context, and with it attention, has no effect."""
    shape = SlotShape(16, 4, 4)
    block = make_block("gc", {"ratio": 1 / 16})
    reason = GlobalContext.refuse(shape, dict(block.options))
    assert reason is not None
    assert "fewer than 2 inner channels" in reason
    slot = Slot(1, 1, "before_add")
    architecture = Architecture(Backbone(width=0.25), (Placement(slot, block),))
    with pytest.raises(InputError, match="fewer than 2 inner channels"):
        build(architecture, 16, seed=0)
    assert GlobalContext.refuse(shape, {**dict(block.options), "ratio": 2 / 16}) is None

    assert _effect_of_the_context(shape, 1 / 16) < 1e-4
    assert _effect_of_the_context(shape, 4 / 16) > 0.1


def _effect_of_the_context(shape: SlotShape, ratio: float) -> float:
    layer = GlobalContext(shape, ratio=ratio, pooling="average", fusion="add")
    randomise(layer, np.random.default_rng(5))
    contexts = np.random.default_rng(6).normal(size=(64, shape.channels, 1, 1))
    return float(layer.add(paddle.to_tensor(contexts.astype(np.float32))).numpy().std(axis=0).max())
