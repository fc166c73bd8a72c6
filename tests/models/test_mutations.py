"""The comparisons of the other files fail on known wrong versions, so passing them means much."""

from collections.abc import Callable
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from golden_cases import ABSENT, INDEX, index, load
from golden_compare import compare, compare_filters
from mutants import MUTATIONS, UNOBSERVABLE
from mutants_base import Mutation, Named
from mutants_bridge import BRIDGED
from mutation_table import markdown, table, unobservable_markdown
from reference_check import check, check_input_gradients, make, randomise
from thin_networks import FITTING, attention_layers, everywhere, fitting, image_of, side_of, thin

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_names, make_block
from models.attention.gc import GlobalContext
from models.block import SlotShape
from models.build import build
from models.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
BY_REFERENCE = [mutation for mutation in MUTATIONS if mutation.reference is not None]
BY_GOLDEN = [(mutation, case) for mutation in MUTATIONS for case in mutation.golden]
BY_OTHERS = [(mutation, other) for mutation in MUTATIONS for other in mutation.others]


def _identity(value: Any) -> str:
    return value.name if isinstance(value, Mutation) else getattr(value, "test", str(value))


@pytest.mark.parametrize("mutation", BY_REFERENCE, ids=_identity)
def test_reference_catches(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments: Any = mutation.reference
    _passes(partial(check, mutation.block, **arguments))
    mutation.put_in_place(monkeypatch)
    with pytest.raises(AssertionError, match=r"is off by \d"):  # a number: not nan, not inf
        check(mutation.block, **arguments)


@pytest.mark.skipif(not INDEX.exists(), reason=ABSENT)
@pytest.mark.parametrize(("mutation", "case"), BY_GOLDEN, ids=_identity)
def test_golden_numbers_catch(
    mutation: Mutation, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the right block passes is `test_golden.py`'s."""
    recorded = _cases()[case]
    mutation.put_in_place(monkeypatch)
    with pytest.raises(AssertionError, match=r"is off by \d"):
        compare_filters(recorded) if recorded["mode"] == "init" else compare(load(recorded))


_PASSED: set[str] = set()


def _passes(call: Callable[[], None]) -> None:
    """What the right block passes is asked once, for all its wrong versions."""
    if repr(call) not in _PASSED:
        call()
        _PASSED.add(repr(call))


@cache
def _cases() -> dict[str, dict[str, Any]]:
    return {case["name"]: case for case in index()}


@pytest.mark.parametrize(("mutation", "other"), BY_OTHERS, ids=_identity)
def test_another_test_catches(
    mutation: Mutation, other: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the right block passes with the same values is that test's, where they are its own."""
    if other.drawn:
        other()
    mutation.put_in_place(monkeypatch, other.file)
    with pytest.raises(AssertionError, match=other.complaint):
        other()


@pytest.mark.parametrize("node", sorted({other.node for _, other in BY_OTHERS}))
def test_a_named_test_is_there_and_runs_with_what_it_is_given(node: str) -> None:
    file, _, name = node.partition("::")
    assert (ROOT / file).is_file()
    assert name.startswith("test_")
    for other in (other for _, other in BY_OTHERS if other.node == node):
        assert other.drawn or other.given in _parametrised(other.function)


def _parametrised(test: Any) -> list[dict[str, object]]:
    """The values that pytest calls the test with."""
    columns = []
    for mark in getattr(test, "pytestmark", ()):
        names, rows = mark.args
        given = [getattr(row, "values", row) for row in rows]
        if isinstance(names, str):
            names, given = (names,), [(row,) for row in given]
        columns.append([dict(zip(names, row, strict=True)) for row in given])
    return [{k: v for part in parts for k, v in part.items()} for parts in product(*columns)]


def test_every_wrong_version_is_caught_without_golden_numbers() -> None:
    silent = [m.name for m in MUTATIONS if m.reference is None and not m.others]
    assert silent == []
    assert {mutation.block for mutation in MUTATIONS} == set(block_names())


def test_every_wrong_version_says_what_is_wrong_once() -> None:
    told = [(mutation.block, mutation.wording) for mutation in (*MUTATIONS, *UNOBSERVABLE)]
    assert len(set(told)) == len(told)
    assert all(wording.endswith(".") and "|" not in wording for _, wording in told)
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize("mutation", UNOBSERVABLE, ids=_identity)
def test_what_is_the_same_function_is_not_caught(
    mutation: Mutation, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutation.put_in_place(monkeypatch)
    check(mutation.block, **(mutation.reference or {}))


def test_the_table_has_every_wrong_version_with_what_catches_it() -> None:
    assert [row[0] for row in table()] == sorted(mutation.block for mutation in MUTATIONS)
    assert all(caught for _, _, caught in table())
    lines = markdown().splitlines()
    assert len(lines) == len(MUTATIONS) + 2
    assert {line.count("|") for line in lines} == {6}
    assert len(unobservable_markdown().splitlines()) == len(UNOBSERVABLE)


def test_a_right_block_in_a_wrong_ones_place_is_not_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the tests above notice is the wrong version, not that something stands in."""
    for mutation in BY_REFERENCE[::20]:
        if not mutation.replaces:
            right: Any = mutation.wrong.__base__
            Mutation(mutation.block, type("Right", (right,), {})).put_in_place(monkeypatch)
            check(mutation.block, **(mutation.reference or {}))


def test_the_gate_of_bridge_acts_and_learns() -> None:
    layer, _ = make("bridge", BRIDGED, {"reduction": 2}, None)
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


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "alexnet"])
def test_bridge_reads_maps_that_come_out_of_a_relu(backbone: str) -> None:
    config = thin(backbone)
    network = build(everywhere(fitting("bridge"), config), side_of(config), seed=0)
    seen: list[paddle.Tensor] = []
    for layer in attention_layers(network):
        layer.register_forward_pre_hook(lambda _, given: seen.extend(given[1]))
    network(image_of(config, 2))
    assert seen
    for features in seen:
        assert float(features.min()) == 0.0
        assert float(features.max()) > 0.0


def test_ortho_draws_uniform_positive_filters_for_every_layer() -> None:
    """The first filter is the first draw, normalised; of U(0, 1), E[u]² / E[u²] is 3/4."""
    paddle.seed(0)
    shape = SlotShape(4, 20, 20)
    layers = [make("ortho", shape, {"reduction": 2}, None)[0] for _ in range(2)]
    first, second = (layer.filters.numpy() for layer in layers)
    assert (first[0] > 0).all()
    assert abs(first[0].sum() ** 2 / shape.positions - 3 / 4) < 0.05  # 0.64 of |N(0, 1)|
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize("name", block_names())
def test_batch_norms_forget_as_fast_as_the_official_ones(name: str) -> None:
    """Momentum 0.1 there is 0.9 here; CBAM's gate of positions has 0.01."""
    shape = SlotShape(16, 8, 8, bridged=(16,))
    layer, _ = make(name, shape, FITTING.get(name, {}), None)
    norms = [part for part in layer.sublayers() if hasattr(part, "_momentum")]
    assert all(norm._momentum == (0.99 if name == "cbam" else 0.9) for norm in norms)
    assert all(norm._epsilon == 1e-5 for norm in norms)
    named = {"bat": 4, "bottleneck": 3, "bridge": 2, "cbam": 1, "coord": 1, "nonlocal": 1}
    named |= {"residual": 2, "snl": 1}
    assert len(norms) == named.get(name, 0)


@pytest.mark.parametrize("name", ["bat", "nonlocal"])
def test_initial_values_that_are_stated(name: str) -> None:
    """Non-local: N(0, 0.01), biases and the last scale 0. BAT: scales 1, so not an identity."""
    layer, _ = make(name, SlotShape(64, 4, 4), {}, None)
    if name == "nonlocal":
        for conv in (layer.g, layer.theta, layer.phi, layer.out):
            assert float(conv.weight.std()) == pytest.approx(0.01, rel=0.1)
            assert abs(float(conv.weight.mean())) < 0.001
            assert float(conv.bias.abs().max()) == 0.0
        assert float(layer.norm.weight.abs().max()) == 0.0
        return
    for part in (layer.reduce, layer.observe, layer.transform, layer.restore):
        assert (part[1].weight.numpy() == 1).all()
        assert (part[1].bias.numpy() == 0).all()


def test_the_gradient_through_p_and_q_of_bat() -> None:
    """A size and seed where P and Q depend on x: the ReLU of o can silence them."""
    check_input_gradients("bat", SlotShape(2, 2, 2), {"s": 2, "k": 2, "r": 1}, seed=5)


def test_bat_drops_whole_channels_of_what_it_adds() -> None:
    """In training, and a share of `dropout`; what is left is scaled up."""
    given = {"s": 2, "k": 2, "dropout": 0.25}
    layer, _ = make("bat", SlotShape(16, 4, 4), given, None)
    randomise(layer, np.random.default_rng(0))
    layer.train()
    paddle.seed(0)
    x = paddle.randn((32, 16, 4, 4))
    dropped = (layer(x) - x).numpy()
    layer.dropout.p = 0.0
    whole = (layer(x) - x).numpy()
    gone = np.abs(dropped).max(axis=(2, 3)) == 0
    acting = np.abs(whole).max(axis=(2, 3)) > 0
    kept = (dropped * 0.75)[~gone]
    np.testing.assert_allclose(kept, whole[~gone], atol=1e-4)
    assert abs(gone[acting].mean() - 0.25) < 0.06


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
