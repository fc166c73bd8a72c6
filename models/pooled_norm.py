"""Batch norm of features that may have a single value a channel."""

import paddle
from paddle import nn
from paddle.nn import functional as F


def pooled_norm(norm: nn.Layer, features: paddle.Tensor) -> paddle.Tensor:
    """`norm` of `[N, C]` or `[N, C, H, W]`, where one image of one position has no variance.

    Paddle would return such a batch unchanged in training mode; here it is normalised by the
    running statistics, which it does not move.
    """
    if features.size > features.shape[1] or not norm.training:
        return norm(features)
    return F.batch_norm(
        features, norm._mean, norm._variance, norm.weight, norm.bias, epsilon=norm._epsilon
    )
