"""Known wrong versions of the non-local block."""

import math

import paddle
from mutants_base import PLAIN, SMALL, Mutation, drawn, gradients, inner, on, stated_at_first
from paddle import nn
from paddle.nn import functional as F

from models.attention import block_class
from models.initial import constant, he_normal

NonLocal = block_class("nonlocal")  # `nonlocal` is a keyword: no import statement can name it

DOT = {"mode": "dot_product"}
PAIRS = {"mode": "concatenation"}
HALVED = {"subsample": True}


def _products(layer, queries, keys):
    """Of all positions with all keys: `[N, HW, M]`."""
    return paddle.matmul(queries.flatten(2), layer._keys(keys), transpose_x=True)


def _pair_scores(layer, x, weight):
    """`wᵀ[θ_i; φ_j]` `[N, HW, M]`."""
    first, second = paddle.split(weight, 2)
    queries = paddle.matmul(layer.theta(x).flatten(2), first, transpose_x=True)
    return queries + paddle.matmul(second, layer._keys(layer.phi(x)), transpose_x=True)


def _combined(layer, x, weights, values):
    """`x + BN(W_z y)` of weights `[N, HW, M]` and values `[N, Ci, M]`."""
    y = paddle.matmul(values, weights, transpose_y=True)
    return x + layer.norm(layer.out(y.reshape((x.shape[0], layer.inner, *x.shape[2:]))))


class ChannelAffinity(NonLocal):
    """Attention between channels: a copied tutorial's Ci×Ci matrix θφᵀ of `[N, Ci, HW]`."""

    def attend(self, x, *bridged):
        theta, phi, values = (conv(x).flatten(2) for conv in (self.theta, self.phi, self.g))
        weights = F.softmax(paddle.matmul(theta, phi, transpose_y=True), axis=-1)  # [N, Ci, Ci]
        y = paddle.matmul(weights, values).reshape((x.shape[0], self.inner, *x.shape[2:]))
        return x + self.norm(self.out(y))


class HeightForN(NonLocal):
    """The dot product divided by the map's height instead of the number of keys."""

    def affinity(self, x):
        return super().affinity(x) * (x.shape[2] * x.shape[3] / x.shape[2])


class DividedByQueries(NonLocal):
    """The dot product divided by the number of positions where the keys are subsampled."""

    def affinity(self, x):
        weights = super().affinity(x)
        return weights * (weights.shape[2] / weights.shape[1])


class SoftmaxOfDotProduct(NonLocal):
    """A softmax where the dot product is divided by the number of keys."""

    def affinity(self, x):
        return F.softmax(_products(self, self.theta(x), self.phi(x)), axis=-1)


class SoftmaxOverQueries(NonLocal):
    """The weights of a key sum to one, not those of a query."""

    def affinity(self, x):
        return F.softmax(_products(self, self.theta(x), self.phi(x)), axis=1)


class QueriesAndKeysSwapped(NonLocal):
    """θ makes the keys and φ the queries."""

    def affinity(self, x):
        return F.softmax(_products(self, self.phi(x), self.theta(x)), axis=-1)


class ScaledByKeys(NonLocal):
    """Divided by √N instead of √Ci."""

    def affinity(self, x):
        products = _products(self, self.theta(x), self.phi(x))
        return F.softmax(products / math.sqrt(x.shape[2] * x.shape[3]), axis=-1)


class NotScaled(NonLocal):
    """Not divided by √Ci where `scale` is chosen."""

    def affinity(self, x):
        return F.softmax(_products(self, self.theta(x), self.phi(x)), axis=-1)


class GaussianScaled(NonLocal):
    """The Gaussian's products divided by √C."""

    def affinity(self, x):
        return F.softmax(_products(self, x, x) / math.sqrt(x.shape[1]), axis=-1)


class PooledBeforeProjection(NonLocal):
    """The 2×2 max-pool on x, before φ and g, as in the original video code."""

    def attend(self, x, *bridged):
        pooled = F.max_pool2d(x, 2)
        queries, keys = self.theta(x).flatten(2), self.phi(pooled).flatten(2)
        weights = F.softmax(paddle.matmul(queries, keys, transpose_x=True), axis=-1)
        return _combined(self, x, weights, self.g(pooled).flatten(2))


class AveragePooled(NonLocal):
    """Subsampled by averaging instead of the maximum."""

    def _keys(self, features):
        return F.avg_pool2d(features, 2).flatten(2)


class RestPooled(NonLocal):
    """An odd last row or column makes keys of its own."""

    def _keys(self, features):
        return F.max_pool2d(features, 2, ceil_mode=True).flatten(2)


class OnlyKeysPooled(NonLocal):
    """Values of every other row and column, with the keys of the max-pool."""

    def attend(self, x, *bridged):
        values = self.g(x)[:, :, : x.shape[2] // 2 * 2 : 2, : x.shape[3] // 2 * 2 : 2]
        return _combined(self, x, self.affinity(x), values.flatten(2))


class PairsNotRectified(NonLocal):
    """Concatenation without its ReLU."""

    def affinity(self, x):
        scores = _pair_scores(self, x, self.pair.weight)
        return scores / scores.shape[2]


class PairsNotDivided(NonLocal):
    """Concatenation not divided by the number of keys."""

    def affinity(self, x):
        weights = super().affinity(x)
        return weights * weights.shape[2]


class HalvesSwapped(NonLocal):
    """Concatenation as `wᵀ[φ_j; θ_i]`."""

    def affinity(self, x):
        swapped = paddle.concat(paddle.split(self.pair.weight, 2)[::-1])
        scores = F.relu(_pair_scores(self, x, swapped))
        return scores / scores.shape[2]


class SoftmaxOfPairs(NonLocal):
    """A softmax instead of concatenation's ReLU and division."""

    def affinity(self, x):
        return F.softmax(_pair_scores(self, x, self.pair.weight), axis=-1)


class NoResidual(NonLocal):
    """x is not added."""

    def attend(self, x, *bridged):
        return super().attend(x) - x


class NoBatchNorm(NonLocal):
    """The batch norm behind W_z left out."""

    def attend(self, x, *bridged):
        values = self._keys(self.g(x))
        y = paddle.matmul(values, self.affinity(x), transpose_y=True)
        return x + self.out(y.reshape((x.shape[0], self.inner, *x.shape[2:])))


class WeightsCutOff(NonLocal):
    """No gradient passes through the weights."""

    def affinity(self, x):
        return super().affinity(x).detach()


class NotAnIdentityAtFirst(NonLocal):
    """The last batch norm starts with a scale of one."""

    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        self.norm.weight.set_value(paddle.ones_like(self.norm.weight))
        self.out.weight.set_value(paddle.randn(self.out.weight.shape))


def drawn_by_he(channels, inner):
    """The convolutions start with weights of He et al. instead of N(0, 0.01)."""
    return nn.Conv2D(channels, inner, 1, weight_attr=he_normal(channels), bias_attr=constant(0.0))


def rounded(channels, bottleneck_ratio):
    """The number of inner channels rounded to nearest instead of down."""
    return math.floor(channels * bottleneck_ratio + 0.5)


MUTATIONS = (
    Mutation("nonlocal", ChannelAffinity, on(PLAIN), ("nl_ah7_embgauss_full_bn",)),
    Mutation("nonlocal", HeightForN, on(PLAIN, DOT), ("nl_ah7_dot_full_bn",)),
    Mutation("nonlocal", DividedByQueries, on(PLAIN, DOT | HALVED), ("nl_ah7_dot_sub_bn",)),
    Mutation("nonlocal", SoftmaxOfDotProduct, on(PLAIN, DOT), ("nl_ah7_dot_full_bn",)),
    Mutation(
        "nonlocal",
        SoftmaxOverQueries,
        on(PLAIN),
        ("nl_ah7_embgauss_full_bn",),
    ),
    Mutation("nonlocal", QueriesAndKeysSwapped, on(PLAIN), ("nl_mmcv_embgauss_noscale_full_bn",)),
    Mutation(
        "nonlocal",
        ScaledByKeys,
        on(PLAIN, {"scale": True}),
        ("nl_bat_scale_bn", "nl_mmcv_embgauss_scale_full_nobn"),
    ),
    Mutation(
        "nonlocal",
        NotScaled,
        on(PLAIN, {"scale": True}),
        ("nl_bat_scale_bn", "nl_mmcv_embgauss_scale_full_nobn"),
    ),
    Mutation(
        "nonlocal",
        GaussianScaled,
        on(PLAIN, {"mode": "gaussian"}),
        ("nl_ah7_gauss_full_nobn", "nl_mmcv_gauss_sub_bn"),
    ),
    Mutation("nonlocal", PooledBeforeProjection, on(PLAIN, HALVED), ("nl_ah7_embgauss_sub_bn",)),
    Mutation("nonlocal", AveragePooled, on(PLAIN, HALVED), ("nl_ah7_embgauss_sub_bn",)),
    Mutation("nonlocal", RestPooled, on(PLAIN, HALVED)),
    Mutation("nonlocal", OnlyKeysPooled, on(PLAIN, HALVED), ("nl_mmcv_embgauss_scale_sub_bn",)),
    Mutation("nonlocal", PairsNotRectified, on(PLAIN, PAIRS), ("nl_ah7_concat_full_nobn",)),
    Mutation("nonlocal", PairsNotDivided, on(PLAIN, PAIRS), ("nl_ah7_concat_sub_bn",)),
    Mutation("nonlocal", HalvesSwapped, on(PLAIN, PAIRS), ("nl_ah7_concat_full_nobn",)),
    Mutation("nonlocal", SoftmaxOfPairs, on(PLAIN, PAIRS), ("nl_ah7_concat_sub_bn",)),
    Mutation("nonlocal", NoResidual, on(PLAIN), ("nl_ah7_embgauss_full_nobn",)),
    Mutation("nonlocal", NoBatchNorm, on(PLAIN), ("nl_ah7_embgauss_full_bn",)),
    Mutation(
        "nonlocal",
        WeightsCutOff,
        golden=("nl_ah7_embgauss_full_nobn",),
        others=(gradients("nonlocal", SMALL, {"mode": "embedded_gaussian", "scale": True}),),
    ),
    Mutation("nonlocal", NotAnIdentityAtFirst, others=(drawn("nonlocal", {}, 1.0),)),
    Mutation(
        "nonlocal",
        drawn_by_he,
        others=(stated_at_first("nonlocal"),),
        replaces="_projection",
    ),
    Mutation(
        "nonlocal",
        rounded,
        others=(inner("nonlocal", {"bottleneck_ratio": 0.3}, 13),),
        replaces="_inner",
    ),
)


class KeysWithoutBias(NonLocal):
    """φ without its bias: it adds the same to all products of a query, which a softmax ignores."""

    def affinity(self, x):
        bias = self.phi.bias.reshape((1, -1, 1, 1))
        return F.softmax(_products(self, self.theta(x), self.phi(x) - bias), axis=-1)


class ValuesAfterTheSum(NonLocal):
    """g applied to the weighted sum of x: g is linear and a softmax's weights sum to one."""

    def attend(self, x, *bridged):
        y = paddle.matmul(x.flatten(2), self.affinity(x), transpose_y=True)
        return x + self.norm(self.out(self.g(y.reshape(x.shape))))


UNOBSERVABLE = (
    Mutation("nonlocal", KeysWithoutBias, on(PLAIN)),
    Mutation("nonlocal", ValuesAfterTheSum, on(PLAIN)),
)
