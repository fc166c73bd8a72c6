"""Counts a built network's parameters and MACs, in the convention of `models.cost`, by watching it.

Convolutions and linear layers by forward hooks; matrix products and softmaxes by standing in for
the functions. Nothing here knows a block's formula.
"""

import math
from collections.abc import Callable

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from models.cost import Cost


def counted(network: nn.Layer, *inputs: paddle.Tensor | tuple[paddle.Tensor, ...]) -> Cost:
    """What one forward of one image really costs."""
    trained = sum(p.size for p in network.parameters() if p.trainable)
    names = ("_mean", "_variance")
    stats = sum(v.size for k, v in network.state_dict().items() if k.endswith(names))
    assert stats == sum(p.size for p in network.parameters() if not p.trainable)
    macs = _Macs()
    hooks = [
        layer.register_forward_post_hook(macs.layer)
        for layer in network.sublayers(include_self=True)
        if isinstance(layer, nn.Conv1D | nn.Conv2D | nn.Linear)
    ]
    network.eval()
    matmul, softmax = paddle.matmul, F.softmax
    with pytest.MonkeyPatch.context() as patch, paddle.no_grad():
        patch.setattr(paddle, "matmul", lambda *a, **k: macs.product(matmul, *a, **k))
        patch.setattr(F, "softmax", lambda *a, **k: macs.softmax(softmax, *a, **k))
        for owner, name in _UNCOUNTED:
            patch.setattr(owner, name, _refuse(name))
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return Cost(trained, stats, macs.total)


_UNCOUNTED = [
    *((paddle, name) for name in ("bmm", "mm", "mv", "dot", "inner", "outer", "einsum", "addmm")),
    *((paddle, name) for name in ("tensordot", "baddbmm") if hasattr(paddle, name)),
    *((paddle.Tensor, name) for name in ("__matmul__", "matmul", "bmm", "mm", "mv", "dot")),
    *((F, name) for name in ("bilinear", "scaled_dot_product_attention")),
]


def _refuse(name: str) -> Callable[..., None]:
    """Products of other names would go uncounted, and a formula that forgets them would pass."""

    def refused(*_: object, **__: object) -> None:
        pytest.fail(f"{name} is not counted; write paddle.matmul")

    return refused


class _Macs:
    def __init__(self) -> None:
        self.total = 0

    def layer(self, layer: nn.Layer, _: object, out: paddle.Tensor) -> None:
        """Every output value is one product of weights with as many inputs."""
        outputs = layer.weight.shape[1 if isinstance(layer, nn.Linear) else 0]
        self.total += math.prod(out.shape) * (layer.weight.size // outputs)

    def product(self, real, x, y, transpose_x=False, transpose_y=False):
        out = real(x, y, transpose_x, transpose_y)
        self.total += math.prod(out.shape) * x.shape[-2 if transpose_x else -1]
        return out

    def softmax(self, real, x, *given, **named):
        self.total += int(np.prod(x.shape))
        return real(x, *given, **named)
