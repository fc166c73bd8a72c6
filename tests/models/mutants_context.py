"""Known wrong versions of global context and of simplified non-local."""

import paddle
from mutants_base import PLAIN, SMALL, Mutation, drawn, gradients, on
from paddle.nn import functional as F

from models.attention.gc import GlobalContext
from models.attention.snl import SimplifiedNonLocal

BOTH = {"ratio": 0.5, "fusion": "mul+add"}
BOTH_CASE = ("gc_avg_addmul_r8",)
ADD = {"ratio": 0.5, "fusion": "add"}
MUL = {"ratio": 0.5, "fusion": "mul"}


def _weights(pool, x, axis=2):
    """The softmax `[N, 1, HW]` of the attention map."""
    return F.softmax(pool.mask(x).flatten(2), axis=axis)


def _sum(x, weights):
    """The context `[N, C, 1, 1]` by weights `[N, 1, HW]`."""
    return paddle.matmul(x.flatten(2), weights, transpose_y=True).unsqueeze(-1)


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
    """Of two fusions, given as one bare string, the multiplication only."""

    def attend(self, x, *bridged):
        return x * F.sigmoid(self.mul(self.context(x)))


class AddOnly(GlobalContext):
    """Of two fusions, given as one bare string, the addition only."""

    def attend(self, x, *bridged):
        return x + self.add(self.context(x))


class SharedBranch(GlobalContext):
    """T_add has the weights of T_mul."""

    def attend(self, x, *bridged):
        transformed = self.mul(self.context(x))
        return x * F.sigmoid(transformed) + transformed


class MulWithoutSigmoid(GlobalContext):
    """`x·T_mul`."""

    def attend(self, x, *bridged):
        return x * self.mul(self.context(x))


class SmallEpsilon(GlobalContext):
    """LayerNorm with ε 1e-6."""

    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        for branch in (self.mul, self.add):
            if branch is not None:
                branch[1]._epsilon = 1e-6


class NoLayerNorm(GlobalContext):
    """The layer norm left out."""

    def attend(self, x, *bridged):
        return x + self.add[3](F.relu(self.add[0](self.context(x))))


class NormOverPositions(GlobalContext):
    """The norm over positions instead of channels: of one value, whose shift alone is left."""

    def attend(self, x, *bridged):
        return x + self.add[3](F.relu(self.add[1].bias.reshape((1, -1, 1, 1))))


class ReluBeforeNorm(GlobalContext):
    """ReLU, then the layer norm."""

    def attend(self, x, *bridged):
        return x + self.add[3](self.add[1](F.relu(self.add[0](self.context(x)))))


class NoRelu(GlobalContext):
    """No ReLU between the convolutions of T."""

    def attend(self, x, *bridged):
        return x + self.add[3](self.add[1](self.add[0](self.context(x))))


class AverageForAttention(GlobalContext):
    """The mean where `attention` pooling is chosen."""

    def context(self, x):
        return x.mean(axis=(2, 3), keepdim=True)


class SoftmaxOverChannels(GlobalContext):
    """The softmax over the attention map's one channel: every position has weight one."""

    def context(self, x):
        return _sum(x, _weights(self.pool, x, axis=1))


class ContextCutOff(GlobalContext):
    """No gradient passes through the context."""

    def context(self, x):
        return super().context(x).detach()


class NotAnIdentityAtFirst(GlobalContext):
    """The last convolutions start with random weights."""

    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        for branch in (self.mul, self.add):
            if branch is not None:
                branch[3].weight.set_value(paddle.randn(branch[3].weight.shape))


GC = (
    Mutation("gc", AddBeforeMul, on(PLAIN, BOTH), BOTH_CASE),
    Mutation("gc", AddOfTheProduct, on(PLAIN, BOTH), BOTH_CASE),
    Mutation("gc", MulOnly, on(PLAIN, BOTH), BOTH_CASE),
    Mutation("gc", AddOnly, on(PLAIN, BOTH), BOTH_CASE),
    Mutation("gc", SharedBranch, on(PLAIN, BOTH), BOTH_CASE),
    Mutation("gc", MulWithoutSigmoid, on(PLAIN, MUL), ("gc_att_mul_r4",)),
    Mutation("gc", SmallEpsilon, on(PLAIN, ADD, contrast=0.01)),
    Mutation("gc", NoLayerNorm, on(PLAIN, ADD), ("gc_avg_add_r4",)),
    Mutation("gc", NormOverPositions, on(PLAIN, ADD), ("gc_att_add_r4",)),
    Mutation("gc", ReluBeforeNorm, on(PLAIN, ADD), ("gc_timm_add_r8",)),
    Mutation("gc", NoRelu, on(PLAIN, ADD), ("gc_att_add_r4",)),
    Mutation("gc", AverageForAttention, on(PLAIN, ADD), ("gc_att_add_r4",)),
    Mutation("gc", SoftmaxOverChannels, on(PLAIN, ADD), ("gc_att_add_r4",)),
    Mutation(
        "gc",
        ContextCutOff,
        golden=("gc_att_add_r4",),
        others=(gradients("gc", SMALL, {"ratio": 1.0, "fusion": "mul+add"}),),
    ),
    Mutation("gc", NotAnIdentityAtFirst, others=(drawn("gc", {"fusion": "add"}, 1.0),)),
)


def _added(layer, context):
    """`BN(W_v ctx)`."""
    return layer.norm(layer.value(context))


class SnlSoftmaxOverChannels(SimplifiedNonLocal):
    """The softmax over the attention map's one channel: every position has weight one."""

    def attend(self, x, *bridged):
        return x + _added(self, _sum(x, _weights(self.pool, x, axis=1)))


class SnlAverage(SimplifiedNonLocal):
    """The mean instead of the attention pooling."""

    def attend(self, x, *bridged):
        return x + _added(self, x.mean(axis=(2, 3), keepdim=True))


class SnlNoSoftmax(SimplifiedNonLocal):
    """The attention map divided by the number of positions instead of its softmax."""

    def attend(self, x, *bridged):
        weights = self.pool.mask(x).flatten(2) / (x.shape[2] * x.shape[3])
        return x + _added(self, _sum(x, weights))


class SnlNoResidual(SimplifiedNonLocal):
    """x is not added."""

    def attend(self, x, *bridged):
        return super().attend(x) - x


class SnlNoBatchNorm(SimplifiedNonLocal):
    """The batch norm behind W_v left out."""

    def attend(self, x, *bridged):
        return x + self.value(self.pool(x))


class SnlGate(SimplifiedNonLocal):
    """x is multiplied by the sigmoid of what should be added."""

    def attend(self, x, *bridged):
        return x * F.sigmoid(_added(self, self.pool(x)))


class SnlContextCutOff(SimplifiedNonLocal):
    """No gradient passes through the context."""

    def attend(self, x, *bridged):
        return x + _added(self, self.pool(x).detach())


class SnlNotAnIdentityAtFirst(SimplifiedNonLocal):
    """The last batch norm starts with a scale of one."""

    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        self.norm.weight.set_value(paddle.ones_like(self.norm.weight))
        self.value.weight.set_value(paddle.randn(self.value.weight.shape))


SNL_CASE = ("snl_zcls_bn",)
SNL = (
    *(
        Mutation("snl", wrong, on(PLAIN), SNL_CASE)
        for wrong in (
            SnlSoftmaxOverChannels,
            SnlAverage,
            SnlNoSoftmax,
            SnlNoResidual,
            SnlNoBatchNorm,
            SnlGate,
        )
    ),
    Mutation("snl", SnlContextCutOff, golden=SNL_CASE, others=(gradients("snl", SMALL, {}),)),
    Mutation("snl", SnlNotAnIdentityAtFirst, others=(drawn("snl", {}, 1.0),)),
)

MUTATIONS = (*GC, *SNL)


class MaskWithoutBias(GlobalContext):
    """The attention map without its bias: a softmax ignores what is added everywhere."""

    def context(self, x):
        return _sum(x, F.softmax((self.pool.mask(x) - self.pool.mask.bias).flatten(2), axis=2))


class SnlMaskWithoutBias(SimplifiedNonLocal):
    """The attention map without its bias: a softmax ignores what is added everywhere."""

    def attend(self, x, *bridged):
        scores = (self.pool.mask(x) - self.pool.mask.bias).flatten(2)
        return x + _added(self, _sum(x, F.softmax(scores, axis=2)))


class ValueBeforePooling(SimplifiedNonLocal):
    """W_v before the pooling: it is linear and the weights sum to one."""

    def attend(self, x, *bridged):
        return x + self.norm(_sum(self.value(x), _weights(self.pool, x)))


UNOBSERVABLE = (
    Mutation("gc", MaskWithoutBias, on(PLAIN, ADD)),
    Mutation("snl", SnlMaskWithoutBias, on(PLAIN)),
    Mutation("snl", ValueBeforePooling, on(PLAIN)),
)
