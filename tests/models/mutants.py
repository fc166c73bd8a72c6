"""Known wrong versions of the blocks. Each keeps every shape, so only numbers can tell."""

import math

import paddle
from paddle.nn import functional as F

from models.attention import block_class
from models.attention.bridge import BridgeAttention
from models.attention.gc import GlobalContext

NonLocal = block_class("nonlocal")  # `nonlocal` is a keyword: no import statement can name it


class ChannelAffinity(NonLocal):
    """θφᵀ of `[N, Ci, HW]`: a Ci×Ci matrix, attention between channels (a copied tutorial's)."""

    def attend(self, x, *bridged):
        theta, phi, values = (conv(x).flatten(2) for conv in (self.theta, self.phi, self.g))
        weights = F.softmax(paddle.matmul(theta, phi, transpose_y=True), axis=-1)  # [N, Ci, Ci]
        y = paddle.matmul(weights, values).reshape((x.shape[0], self.inner, *x.shape[2:]))
        return x + self.norm(self.out(y))


class HeightForN(NonLocal):
    """The dot product divided by the map's height instead of the number of keys."""

    def affinity(self, x):
        return super().affinity(x) * (x.shape[2] * x.shape[3] / x.shape[2])


class SoftmaxOverQueries(NonLocal):
    """The weights of a key sum to one, not those of a query."""

    def affinity(self, x):
        products = paddle.matmul(self.theta(x).flatten(2), self.phi(x).flatten(2), transpose_x=True)
        return F.softmax(products, axis=1)


class ScaledByKeys(NonLocal):
    """Divided by √N instead of √Ci."""

    def affinity(self, x):
        factor = math.sqrt(self.inner / (x.shape[2] * x.shape[3]))
        products = paddle.matmul(self.theta(x).flatten(2), self.phi(x).flatten(2), transpose_x=True)
        return F.softmax(products / math.sqrt(self.inner) * factor, axis=-1)


class PooledBeforeProjection(NonLocal):
    """The 2×2 max-pool on x, before φ and g, as in the original video code."""

    def attend(self, x, *bridged):
        pooled = F.max_pool2d(x, 2)
        values = self.g(pooled).flatten(2).transpose((0, 2, 1))
        queries, keys = self.theta(x).flatten(2), self.phi(pooled).flatten(2)
        weights = F.softmax(paddle.matmul(queries, keys, transpose_x=True), axis=-1)
        y = paddle.matmul(weights, values).transpose((0, 2, 1))
        y = y.reshape((x.shape[0], self.inner, *x.shape[2:]))
        return x + self.norm(self.out(y))


class ProductThrownAway(BridgeAttention):
    """The gate is computed and the product overwritten (a copied tutorial's)."""

    def attend(self, x, *bridged):
        super().attend(x, *bridged)
        return x * 1.0


class BridgesIgnored(BridgeAttention):
    """The gate of x alone: every other bridge sees zeros."""

    def gate(self, *pooled):
        return super().gate(*(features * 0 for features in pooled[:-1]), pooled[-1])


class BridgesSwapped(BridgeAttention):
    """The feature maps in the wrong order."""

    def gate(self, *pooled):
        return super().gate(*pooled[::-1])


class AddBeforeMul(GlobalContext):
    """`(x + T_add)·σ(T_mul)`."""

    def attend(self, x, *bridged):
        context = self.context(x)
        return (x + self.add(context)) * F.sigmoid(self.mul(context))


class AddOfTheProduct(GlobalContext):
    """The second context taken after the multiplication."""

    def attend(self, x, *bridged):
        out = x * F.sigmoid(self.mul(self.context(x)))
        return out + self.add(self.context(out))


class MulOnly(GlobalContext):
    def attend(self, x, *bridged):
        return x * F.sigmoid(self.mul(self.context(x)))


class AddOnly(GlobalContext):
    def attend(self, x, *bridged):
        return x + self.add(self.context(x))


class SmallEpsilon(GlobalContext):
    """LayerNorm with ε 1e-6."""

    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        for branch in (self.mul, self.add):
            if branch is not None:
                branch[1]._epsilon = 1e-6
