"""Known wrong versions of the gates of single values and of strips: SimAM, coordinate attention."""

import paddle
from mutants_base import PLAIN, SMALL, Mutation, cut_off, gradients, inner, on
from paddle.nn import functional as F

from models.attention.coord import CoordinateAttention
from models.attention.simam import SimpleAttention


def _energy(x, positions, axis=(2, 3)):
    """d and `Σd / positions`."""
    squared = (x - x.mean(axis=axis, keepdim=True)).square()
    return squared, squared.sum(axis=axis, keepdim=True) / positions


class PopulationVariance(SimpleAttention):
    """`Σd / (H·W)` instead of `H·W − 1`."""

    def attend(self, x, *bridged):
        squared, variance = _energy(x, x.shape[2] * x.shape[3])
        return x * F.sigmoid(squared / (4 * (variance + self.e_lambda)) + 0.5)


class NoHalf(SimpleAttention):
    """The ½ left out."""

    def attend(self, x, *bridged):
        squared, variance = _energy(x, x.shape[2] * x.shape[3] - 1)
        return x * F.sigmoid(squared / (4 * (variance + self.e_lambda)))


class LambdaOutside(SimpleAttention):
    """`4·Σd/(H·W − 1) + λ`: λ is not multiplied by 4."""

    def attend(self, x, *bridged):
        squared, variance = _energy(x, x.shape[2] * x.shape[3] - 1)
        return x * F.sigmoid(squared / (4 * variance + self.e_lambda) + 0.5)


class Deviation(SimpleAttention):
    """The standard deviation instead of the variance."""

    def attend(self, x, *bridged):
        squared, variance = _energy(x, x.shape[2] * x.shape[3] - 1)
        return x * F.sigmoid(squared / (4 * (variance.sqrt() + self.e_lambda)) + 0.5)


class OverTheBatch(SimpleAttention):
    """Mean and variance over the images of the batch too."""

    def attend(self, x, *bridged):
        positions = x.shape[0] * x.shape[2] * x.shape[3] - 1
        squared, variance = _energy(x, positions, axis=(0, 2, 3))
        return x * F.sigmoid(squared / (4 * (variance + self.e_lambda)) + 0.5)


class OverTheChannels(SimpleAttention):
    """Mean and variance over the channels too."""

    def attend(self, x, *bridged):
        positions = x.shape[1] * x.shape[2] * x.shape[3] - 1
        squared, variance = _energy(x, positions, axis=(1, 2, 3))
        return x * F.sigmoid(squared / (4 * (variance + self.e_lambda)) + 0.5)


class SimamCutOff(SimpleAttention):
    """No gradient passes through the gate."""

    def attend(self, x, *bridged):
        return cut_off(x, super().attend(x))


SIMAM_CASE = ("simam_l1e-4",)
SIMAM = (
    *(
        Mutation("simam", wrong, on(PLAIN, {"e_lambda": 0.1}), SIMAM_CASE)
        for wrong in (PopulationVariance, NoHalf, LambdaOutside, Deviation)
    ),
    *(Mutation("simam", wrong, on(PLAIN), SIMAM_CASE) for wrong in (OverTheBatch, OverTheChannels)),
    Mutation(
        "simam",
        SimamCutOff,
        golden=SIMAM_CASE,
        others=(gradients("simam", SMALL, {"e_lambda": 0.1}),),
    ),
)


def _features(layer, x, activation=F.hardswish, pool=paddle.mean):
    """Of rows `[N, m, H, 1]` and of columns `[N, m, W, 1]`."""
    rows = pool(x, axis=3, keepdim=True)
    columns = pool(x, axis=2, keepdim=True).transpose((0, 1, 3, 2))
    features = activation(layer.norm(layer.conv(paddle.concat([rows, columns], axis=2))))
    return paddle.split(features, [x.shape[2], x.shape[3]], axis=2)


def _two_gates(layer, rows, columns):
    """`[N, C, H, 1]` and `[N, C, 1, W]`."""
    turned = columns.transpose((0, 1, 3, 2))
    return F.sigmoid(layer.conv_h(rows)), F.sigmoid(layer.conv_w(turned))


def _gated(x, gates):
    return x * gates[0] * gates[1]


class GatesSwapped(CoordinateAttention):
    """conv_w makes the gates of rows and conv_h those of columns."""

    def attend(self, x, *bridged):
        rows, columns = _features(self, x)
        turned = columns.transpose((0, 1, 3, 2))
        return x * F.sigmoid(self.conv_w(rows)) * F.sigmoid(self.conv_h(turned))


class GatesAdded(CoordinateAttention):
    """`x·(σ(…) + σ(…))`."""

    def attend(self, x, *bridged):
        rows, columns = _two_gates(self, *_features(self, x))
        return x * (rows + columns)


class OnlyRows(CoordinateAttention):
    """The gates of columns left out."""

    def attend(self, x, *bridged):
        return x * _two_gates(self, *_features(self, x))[0]


class Relu6ForHardSwish(CoordinateAttention):
    """ReLU6 instead of h-swish."""

    def attend(self, x, *bridged):
        return _gated(x, _two_gates(self, *_features(self, x, F.relu6)))


class SwishForHardSwish(CoordinateAttention):
    """Swish instead of h-swish."""

    def attend(self, x, *bridged):
        return _gated(x, _two_gates(self, *_features(self, x, F.silu)))


class ReluForHardSwish(CoordinateAttention):
    """ReLU instead of h-swish."""

    def attend(self, x, *bridged):
        return _gated(x, _two_gates(self, *_features(self, x, F.relu)))


class StripMaxima(CoordinateAttention):
    """The maxima of rows and columns instead of their means."""

    def attend(self, x, *bridged):
        return _gated(x, _two_gates(self, *_features(self, x, pool=paddle.max)))


class NormLast(CoordinateAttention):
    """The batch norm behind h-swish."""

    def attend(self, x, *bridged):
        strips = _strips(x)
        features = self.norm(F.hardswish(self.conv(strips)))
        halves = paddle.split(features, [x.shape[2], x.shape[3]], axis=2)
        return _gated(x, _two_gates(self, *halves))


class CoordNoNorm(CoordinateAttention):
    """The batch norm left out."""

    def attend(self, x, *bridged):
        features = F.hardswish(self.conv(_strips(x)))
        halves = paddle.split(features, [x.shape[2], x.shape[3]], axis=2)
        return _gated(x, _two_gates(self, *halves))


class RowsCutOff(CoordinateAttention):
    """No gradient passes through the gates of rows."""

    def attend(self, x, *bridged):
        rows, columns = _two_gates(self, *_features(self, x))
        return _gated(x, (rows.detach(), columns))


class ColumnsCutOff(CoordinateAttention):
    """No gradient passes through the gates of columns."""

    def attend(self, x, *bridged):
        rows, columns = _two_gates(self, *_features(self, x))
        return _gated(x, (rows, columns.detach()))


def _strips(x):
    """`[N, C, H + W, 1]`."""
    columns = x.mean(axis=2, keepdim=True).transpose((0, 1, 3, 2))
    return paddle.concat([x.mean(axis=3, keepdim=True), columns], axis=2)


def fewer_than_eight(channels, reduction):
    """`m = C // r`, without the lower limit of 8."""
    return channels // reduction


COORD_CASE = ("coord_c64_r32",)
COORD = (
    *(
        Mutation("coord", wrong, on(PLAIN), COORD_CASE)
        for wrong in (
            GatesSwapped,
            GatesAdded,
            OnlyRows,
            Relu6ForHardSwish,
            SwishForHardSwish,
            ReluForHardSwish,
            StripMaxima,
            NormLast,
            CoordNoNorm,
        )
    ),
    *(
        Mutation(
            "coord", wrong, golden=COORD_CASE, others=(gradients("coord", SMALL, {"reduction": 2}),)
        )
        for wrong in (RowsCutOff, ColumnsCutOff)
    ),
    Mutation(
        "coord",
        fewer_than_eight,
        others=(inner("coord", {"reduction": 16}, 8),),
        replaces="_hidden",
    ),
)

MUTATIONS = (*SIMAM, *COORD)
