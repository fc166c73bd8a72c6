"""What Paddle Inference runs is the network: the same numbers, for every block."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import inference

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_names, make_block
from models.build import build
from trainers import engine

SHAPE = (2, 3, 32, 32)
NEEDED = {"se": {"reduction": 4}, "fca": {"dct_size": 7, "reduction": 4}, "bat": {"s": 4, "k": 1}}
FEW = ("nonlocal", "gc", "bridge")
EVERY = [
    name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in block_names()
]


@pytest.mark.parametrize("name", EVERY)
def test_every_block_can_be_exported(name: str, tmp_path: Path) -> None:
    slot = Slot(3, 2, "before_add")
    placed = Placement(slot, make_block(name, NEEDED.get(name, {})))
    network = build(Architecture(Backbone(width=0.25), (placed,)), SHAPE[-1], seed=0)
    network.eval()
    images = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    with paddle.no_grad():
        expected = network(paddle.to_tensor(images)).numpy()
    config = engine._config(engine.export(network, SHAPE, tmp_path))
    predictor = inference.create_predictor(config)
    predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(images)
    predictor.run()
    found = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["eager", "inference"])
def test_a_pass_runs_in_either_engine(name: str) -> None:
    network = build(Architecture(Backbone(width=0.0625)), 16, seed=0)
    network.train()
    run = engine.forward_pass(network, (1, 3, 16, 16), name)
    run()
    run()
    assert not network.training


def test_an_exported_network_is_trained_layer_by_layer_as_before() -> None:
    """Exporting must not leave a static graph behind in its place."""
    first, second = (build(Architecture(Backbone(width=0.0625)), 16, seed=0) for _ in range(2))
    engine.forward_pass(first, (1, 3, 16, 16), "inference")()
    assert "forward" not in vars(first)
    images = paddle.to_tensor(np.random.default_rng(0).normal(size=(5, 3, 16, 16)), "float32")
    for network in (first, second):
        network.train()
        network(images).sum().backward()
    trained = [[p for p in of.parameters() if p.trainable] for of in (first, second)]
    for ours, theirs in zip(*trained, strict=True):
        assert ours.grad is not None
        np.testing.assert_array_equal(ours.grad.numpy(), theirs.grad.numpy())
