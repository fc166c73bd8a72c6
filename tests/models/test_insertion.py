"""What a block does to a network at the moment it is placed there, as its `insertion` says."""

import numpy as np
import paddle
import pytest
from reference_check import randomise
from thin_networks import images, thin

from models.architecture import Architecture, Placement, Slot
from models.attention import block_class, make_block
from models.block import SlotShape
from models.build import build

SHAPE = SlotShape(32, 6, 5, bridged=(32,))


def _change(name: str, options: dict[str, object], *, training: bool) -> tuple[np.ndarray, ...]:
    paddle.seed(0)
    layer = block_class(name)(SHAPE, **dict(make_block(name, options).options))
    layer.train() if training else layer.eval()
    x, earlier = paddle.randn((3, 32, 6, 5)), paddle.randn((3, 32, 6, 5))
    return x.numpy(), layer(x, (earlier,)).numpy()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nonlocal", {}),
        ("nonlocal", {"bn": False}),
        ("nonlocal", {"mode": "gaussian", "subsample": True}),
        ("nonlocal", {"mode": "dot_product", "bn": False}),
        ("gc", {}),
        ("gc", {"pooling": "average"}),
    ],
)
def test_an_identity_is_exact(name: str, options: dict[str, object], training: bool) -> None:
    before, after = _change(name, options, training=training)
    assert np.array_equal(before, after)


@pytest.mark.parametrize("fusion", ["mul", "mul+add"])
def test_gc_with_a_gate_is_exactly_one_half(fusion: str) -> None:
    before, after = _change("gc", {"fusion": fusion}, training=True)
    assert np.array_equal(before * np.float32(0.5), after)


@pytest.mark.parametrize(("name", "options"), [("se", {}), ("se", {"bias": True}), ("bridge", {})])
def test_a_gate_starts_near_one_half(name: str, options: dict[str, object]) -> None:
    for training in (False, True):
        before, after = _change(name, options, training=training)
        gate = after / before
        assert abs(float(gate.mean()) - 0.5) < 0.1
        # bridge normalises its hidden units over a training batch: a gate of few units spreads.
        spread = 0.45 if training and name == "bridge" else 0.2
        assert float(np.abs(gate - 0.5).max()) < spread


def test_a_placed_identity_leaves_the_whole_network_as_it_was() -> None:
    """The other layers hold the same values, so the logits are the plain network's."""
    plain = Architecture(thin("resnet18"))
    block = make_block("nonlocal", {})
    placed = Architecture(plain.backbone, (Placement(Slot(2, 1, "after_block"), block),))
    before, after = build(plain, 16, seed=0), build(placed, 16, seed=1)
    after.set_state_dict({**after.state_dict(), **before.state_dict()})
    before.eval()
    after.eval()
    assert np.array_equal(before(images(2)).numpy(), after(images(2)).numpy())


def test_bridge_normalises_a_training_batch_of_one_by_the_running_statistics() -> None:
    paddle.seed(0)
    layer = block_class("bridge")(SHAPE, reduction=4)
    randomise(layer, np.random.default_rng(0))  # initial statistics would hide a skipped norm
    x, earlier = paddle.randn((1, 32, 6, 5)), paddle.randn((1, 32, 6, 5))
    statistics = [value.numpy() for key, value in layer.state_dict().items() if "._" in key]
    assert len(statistics) == 4
    layer.train()
    training = layer(x, (earlier,)).numpy()
    after = [value.numpy() for key, value in layer.state_dict().items() if "._" in key]
    assert all(np.array_equal(a, b) for a, b in zip(statistics, after, strict=True))
    layer.eval()
    np.testing.assert_allclose(training, layer(x, (earlier,)).numpy(), atol=1e-6)
