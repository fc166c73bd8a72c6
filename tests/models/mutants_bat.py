"""Known wrong versions of the bilinear attentional transform."""

import paddle
from mutants_base import GRADIENT, Mutation, Named, on, stated_at_first
from paddle.nn import functional as F

from models.attention.bat import BilinearAttentionalTransform
from models.block import SlotShape

SHAPE = SlotShape(16, 4, 4)  # Ci = 8 in two groups of four; t = 2
GIVEN = {"s": 2, "k": 2, "r": 2}
CASE = "bat_off_s4_k4_r2_h8"


def _logits(layer, u, pool=F.adaptive_max_pool2d):
    """What P and Q are made of: each `[N, k, s, s]`."""
    o, s = layer.observe(u), layer.side
    made = layer.rows(pool(o, (s, 1))), layer.columns(pool(o, (1, s)))
    return [logits.reshape((u.shape[0], layer.groups, s, s)) for logits in made]


def _normalised(p, q):
    """P by its rows, Q by its columns, of logits."""
    p, q = F.sigmoid(p), F.sigmoid(q)
    return p / p.sum(axis=3, keepdim=True), q / q.sum(axis=2, keepdim=True)


def _branch(layer, x):
    """What goes into the last convolution."""
    u = layer.reduce(x)
    return layer.transform(layer.mix(u, *layer.matrices(u)))


class PByColumns(BilinearAttentionalTransform):
    """P divided by the sums of its columns."""

    def matrices(self, u):
        p, q = map(F.sigmoid, _logits(self, u))
        return p / p.sum(axis=2, keepdim=True), q / q.sum(axis=2, keepdim=True)


class QByRows(BilinearAttentionalTransform):
    """Q divided by the sums of its rows."""

    def matrices(self, u):
        p, q = map(F.sigmoid, _logits(self, u))
        return p / p.sum(axis=3, keepdim=True), q / q.sum(axis=3, keepdim=True)


class NotNormalised(BilinearAttentionalTransform):
    """P and Q not divided by their sums."""

    def matrices(self, u):
        return tuple(map(F.sigmoid, _logits(self, u)))


class SoftmaxForSigmoid(BilinearAttentionalTransform):
    """P and Q by softmax instead of a sigmoid divided by its sum."""

    def matrices(self, u):
        p, q = _logits(self, u)
        return F.softmax(p, axis=3), F.softmax(q, axis=2)


class AveragePooled(BilinearAttentionalTransform):
    """P and Q from the means of the bands instead of their maxima."""

    def matrices(self, u):
        return _normalised(*_logits(self, u, F.adaptive_avg_pool2d))


class PoolsSwapped(BilinearAttentionalTransform):
    """P from the maxima of columns and Q from those of rows."""

    def matrices(self, u):
        return super().matrices(u.transpose((0, 1, 3, 2)))


class GroupsLast(BilinearAttentionalTransform):
    """The outputs of conv_p and conv_q read as (row, column, group)."""

    def matrices(self, u):
        shape = (u.shape[0], self.side, self.side, self.groups)
        made = (logits.reshape(shape).transpose((0, 3, 1, 2)) for logits in _logits(self, u))
        return _normalised(*made)


class PAndQSwapped(BilinearAttentionalTransform):
    """Q on the left and P on the right."""

    def mix(self, u, p, q):
        return super().mix(u, q, p)


class PTransposed(BilinearAttentionalTransform):
    """`Pᵀ u Q`."""

    def mix(self, u, p, q):
        return super().mix(u, p.transpose((0, 1, 3, 2)), q)


class QTransposed(BilinearAttentionalTransform):
    """`P u Qᵀ`."""

    def mix(self, u, p, q):
        return super().mix(u, p, q.transpose((0, 1, 3, 2)))


class KroneckerTheOtherWay(BilinearAttentionalTransform):
    """`I_t ⊗ P` and `I_t ⊗ Q` instead of `P ⊗ I_t` and `Q ⊗ I_t`."""

    def mix(self, u, p, q):
        batch, inner, height, width = u.shape
        s = self.side
        split = u.reshape((batch, inner, height // s, s, width // s, s))
        turned = split.transpose((0, 1, 3, 2, 5, 4)).reshape(u.shape)
        mixed = super().mix(turned, p, q)
        split = mixed.reshape((batch, inner, s, height // s, s, width // s))
        return split.transpose((0, 1, 3, 2, 5, 4)).reshape(u.shape)


class GroupsInterleaved(BilinearAttentionalTransform):
    """Channel c in group c mod k instead of in a group of consecutive channels."""

    def mix(self, u, p, q):
        batch, inner, height, width = u.shape
        each = inner // self.groups
        split = u.reshape((batch, each, self.groups, height, width))
        mixed = super().mix(split.transpose((0, 2, 1, 3, 4)).reshape(u.shape), p, q)
        split = mixed.reshape((batch, self.groups, each, height, width))
        return split.transpose((0, 2, 1, 3, 4)).reshape(u.shape)


class OneGroupsMatrices(BilinearAttentionalTransform):
    """The first group's P and Q for all channels."""

    def mix(self, u, p, q):
        return super().mix(u, p[:, :1].expand(p.shape), q[:, :1].expand(q.shape))


class LeftOnly(BilinearAttentionalTransform):
    """`P u`, without Q."""

    def mix(self, u, p, q):
        return super().mix(u, p, paddle.eye(self.side).expand(q.shape))


class RightOnly(BilinearAttentionalTransform):
    """`u Q`, without P."""

    def mix(self, u, p, q):
        return super().mix(u, paddle.eye(self.side).expand(p.shape), q)


class NoLastRelu(BilinearAttentionalTransform):
    """The ReLU behind the last batch norm left out."""

    def attend(self, x, *bridged):
        conv, norm, _ = self.restore
        return x + norm(conv(_branch(self, x)))


class ReluOfTheSum(BilinearAttentionalTransform):
    """The last ReLU behind the sum with x."""

    def attend(self, x, *bridged):
        conv, norm, _ = self.restore
        return F.relu(x + norm(conv(_branch(self, x))))


class NoResidual(BilinearAttentionalTransform):
    """x is not added."""

    def attend(self, x, *bridged):
        return self.restore(_branch(self, x))


class DropsInEvaluation(BilinearAttentionalTransform):
    """Channels are dropped in evaluation too."""

    def attend(self, x, *bridged):
        return x + F.dropout2d(self.restore(_branch(self, x)), self.dropout.p, training=True)


class NeverDrops(BilinearAttentionalTransform):
    """No dropout in training."""

    def attend(self, x, *bridged):
        return x + self.restore(_branch(self, x))


class DropsValues(BilinearAttentionalTransform):
    """Dropout of single values instead of whole channels."""

    def attend(self, x, *bridged):
        added = self.restore(_branch(self, x))
        return x + F.dropout(added, self.dropout.p, training=self.training)


class PCutOff(BilinearAttentionalTransform):
    """No gradient passes through P."""

    def matrices(self, u):
        p, q = super().matrices(u)
        return p.detach(), q


class QCutOff(BilinearAttentionalTransform):
    """No gradient passes through Q."""

    def matrices(self, u):
        p, q = super().matrices(u)
        return p, q.detach()


class AnIdentityAtFirst(BilinearAttentionalTransform):
    """The last batch norm starts with a scale of zero."""

    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        norm = self.restore[1]
        norm.weight.set_value(paddle.zeros_like(norm.weight))


_GRADIENT = Named("test_mutations", "test_the_gradient_through_p_and_q_of_bat", {}, GRADIENT)
_DROPOUT = Named("test_mutations", "test_bat_drops_whole_channels_of_what_it_adds", {})

MUTATIONS = (
    *(
        Mutation("bat", wrong, on(SHAPE, GIVEN), (CASE,))
        for wrong in (
            PByColumns,
            QByRows,
            NotNormalised,
            SoftmaxForSigmoid,
            AveragePooled,
            PoolsSwapped,
            GroupsLast,
            PAndQSwapped,
            PTransposed,
            QTransposed,
            KroneckerTheOtherWay,
            GroupsInterleaved,
            OneGroupsMatrices,
            LeftOnly,
            RightOnly,
            NoLastRelu,
            ReluOfTheSum,
            NoResidual,
            DropsInEvaluation,
        )
    ),
    Mutation("bat", NeverDrops, others=(_DROPOUT,)),
    Mutation("bat", DropsValues, others=(_DROPOUT,)),
    Mutation("bat", AnIdentityAtFirst, others=(stated_at_first("bat"),)),
    Mutation("bat", PCutOff, golden=(CASE,), others=(_GRADIENT,)),
    Mutation("bat", QCutOff, golden=(CASE,), others=(_GRADIENT,)),
)


class RightFirst(BilinearAttentionalTransform):
    """The product with Q before the one with P: matrix products associate."""

    def mix(self, u, p, q):
        identity = paddle.eye(self.side).expand(p.shape)
        return super().mix(super().mix(u, identity, q), p, identity)


UNOBSERVABLE = (Mutation("bat", RightFirst, on(SHAPE, GIVEN)),)
