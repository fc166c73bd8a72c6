"""Putting attention into a trained network so that, at first, nothing changes.

Every block that the trained network does not have is made the identity (each block says how, in
its `insertion`), so the outputs in evaluation mode are those of the trained network, and training
goes on from there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from models.backbone import BackboneNetwork
from models.block import AttentionBlock
from models.errors import InputError

_SHOWN = 3


def inherit(
    network: BackboneNetwork, trained: Mapping[str, Any], images: paddle.Tensor | None = None
) -> tuple[str, ...]:
    """Gives `network` the values in `trained` and makes the blocks that it lacks identities.

    `trained` is the state of a network of the same backbone, by our names: arrays or tensors. What
    it holds of a block, a network that has this block takes as well. `images` `[N, 3, H, W]`, a few
    of those it will be trained on, see to it that gates are alive; without them noise does. Returns
    the names of the layers that were made identities.

    Raises InputError, and leaves `network` as it was, where a value of `trained` has no place in
    `network`, one of `network` outside new blocks is not in `trained`, shapes differ, values are
    infinite or no numbers, or a block has other constants (`AttentionBlock.constants`). Options
    that only change what is computed, as `mode` of a non-local block, leave no trace in weights.
    """
    state = network.state_dict()
    new = [name for name, _ in attention_layers(network) if not _any_of(trained, name)]
    _refuse_misfits(state, trained, new)
    _refuse_values(state, trained, _constants(network))
    for key in state:
        if key in trained:
            state[key].set_value(trained[key])
    layers = dict(attention_layers(network))
    for name in new:
        layers[name].make_identity()
    if new:
        _wake(network, [layers[name] for name in new], images)
    return tuple(new)


def _refuse_misfits(
    state: Mapping[str, Any], trained: Mapping[str, Any], new: Iterable[str]
) -> None:
    missing = [key for key in state if key not in trained and not _inside(key, new)]
    left = [key for key in trained if key not in state]
    other = [
        f"{key} {list(_shape(trained[key]))} instead of {list(_shape(state[key]))}"
        for key in state
        if key in trained and _shape(state[key]) != _shape(trained[key])
    ]
    types = {_type(trained[key]) for key in trained if key in state} - {"float32"}
    if types:
        kinds = ", ".join(sorted(types))
        raise InputError(f"the weights do not fit the network; its are float32, not {kinds}")
    _refuse_any(
        {
            "not in the weights": missing,
            "in the weights, but not in the network": left,
            "of another shape in the weights": other,
        }
    )


def _refuse_values(
    state: Mapping[str, Any], trained: Mapping[str, Any], constants: Iterable[str]
) -> None:
    values = {key: np.asarray(trained[key]) for key in trained}
    other = [
        key
        for key in constants
        if key in values and not np.allclose(values[key], state[key].numpy(), rtol=0, atol=1e-6)
    ]
    wild = [key for key, value in values.items() if not np.isfinite(value).all()]
    _refuse_any(
        {
            "infinite or not a number": wild,
            "constants of a block with other options": other,
        }
    )


def _refuse_any(problems: Mapping[str, list[str]]) -> None:
    found = "; ".join(f"{what}: {_listed(names)}" for what, names in problems.items() if names)
    if found:
        raise InputError(f"the weights do not fit the network; {found}")


def _constants(network: nn.Layer) -> Iterator[str]:
    for name, layer in attention_layers(network):
        yield from (f"{name}.{constant}" for constant in layer.constants)


def _wake(
    network: BackboneNetwork, layers: Iterable[AttentionBlock], images: paddle.Tensor | None
) -> None:
    """Shows new blocks the feature maps they will be given; see `AttentionBlock.wake`."""
    if images is None:
        size = (8, 3, network.image_size, network.image_size)
        images = paddle.to_tensor(np.random.default_rng(0).normal(size=size).astype(np.float32))
    hooks = [
        layer.register_forward_pre_hook(lambda block, given: block.wake(given[0], *given[1]))
        for layer in layers
    ]
    was_training = network.training
    network.eval()
    try:
        with paddle.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
        if was_training:
            network.train()


def fade_in(network: nn.Layer, share: float) -> None:
    """Sets how much of the blocks that cannot learn to act acts: from 0 to 1, the whole block.

    Blocks without parameters, SimAM, are the identity only while they are left out; whoever trains
    a network after `inherit` calls this with a rising share, and with 1 before it is judged.
    """
    for _, layer in attention_layers(network):
        layer.fade_in(share)


def attention_layers(network: nn.Layer) -> Iterator[tuple[str, AttentionBlock]]:
    """The attention blocks of a network by the names of their layers."""
    for name, layer in network.named_sublayers():
        if isinstance(layer, AttentionBlock):
            yield name, layer


def _inside(key: str, layers: Iterable[str]) -> bool:
    return any(key.startswith(f"{layer}.") for layer in layers)


def _any_of(trained: Mapping[str, Any], layer: str) -> bool:
    return any(key.startswith(f"{layer}.") for key in trained)


def _type(value: Any) -> str:
    return str(value.dtype).removeprefix("paddle.")


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
