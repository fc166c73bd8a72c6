"""Networks that have been trained a little, and what training does to others."""

from functools import cache

import numpy as np
import paddle
from thin_networks import image_of, images, side_of

from models.architecture import Architecture, Backbone
from models.backbone import BackboneNetwork
from models.build import build


@cache
def trained(backbone: Backbone) -> tuple[BackboneNetwork, dict[str, np.ndarray]]:
    """A network after some steps on random images, and its state."""
    network = build(Architecture(backbone), side_of(backbone), seed=0)
    train(network, 20, seed=1)
    with paddle.no_grad():  # so short a training leaves the running statistics far behind
        for step in range(40):
            network(image_of(backbone, 16, seed=200 + step))
    network.eval()
    return network, {key: value.numpy() for key, value in network.state_dict().items()}


def train(network: BackboneNetwork, steps: int, seed: int) -> dict[str, float]:
    """The largest gradient each parameter saw."""
    rng = np.random.default_rng(seed)
    optimizer = paddle.optimizer.Momentum(0.02, 0.9, parameters=network.parameters())
    largest: dict[str, float] = {}
    network.train()
    for step in range(steps):
        batch = images(8, seed + step, network.image_size)
        labels = paddle.to_tensor(rng.integers(0, 10, 8))
        paddle.nn.functional.cross_entropy(network(batch), labels).backward()
        for key, parameter in network.named_parameters():
            if parameter.trainable:
                found = 0.0 if parameter.grad is None else float(parameter.grad.abs().max())
                largest[key] = max(largest.get(key, 0.0), found)
        optimizer.step()
        optimizer.clear_grad()
    return largest


def difference(plain: BackboneNetwork, network: BackboneNetwork) -> float:
    """The largest difference of their logits, in evaluation mode."""
    plain.eval()
    network.eval()
    batch = images(4, 77, network.image_size)
    with paddle.no_grad():
        return float((plain(batch) - network(batch)).abs().max())
