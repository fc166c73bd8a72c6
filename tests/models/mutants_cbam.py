"""Known wrong versions of the convolutional block attention (CBAM)."""

import paddle
from mutants_base import PLAIN, SMALL, Mutation, Named, gradients, on
from paddle.nn import functional as F

from models.attention.cbam import ConvolutionalBlockAttention

TWO = {"reduction": 2}


def _mean(x):
    return x.mean(axis=(2, 3))


def _max(x):
    return x.max(axis=(2, 3))


def _channel_gate(layer, x):
    """`[N, C, 1, 1]`."""
    return F.sigmoid(layer.mlp(_mean(x)) + layer.mlp(_max(x))).unsqueeze((2, 3))


def _maps(x):
    """`[N, 2, H, W]`: maximum and mean over channels."""
    return paddle.concat([x.max(axis=1, keepdim=True), x.mean(axis=1, keepdim=True)], axis=1)


def _position_gate(layer, maps):
    """`[N, 1, H, W]`."""
    return F.sigmoid(layer.norm(layer.conv(maps)))


class MeanThenMax(ConvolutionalBlockAttention):
    """`[mean, max]` into the 7×7 convolution."""

    def attend(self, x, *bridged):
        out = x * _channel_gate(self, x)
        return out * _position_gate(self, _maps(out)[:, [1, 0]])


class OnlyMean(ConvolutionalBlockAttention):
    """The channels' gates from the mean alone."""

    def attend(self, x, *bridged):
        out = x * F.sigmoid(self.mlp(_mean(x))).unsqueeze((2, 3))
        return out if self.conv is None else out * _position_gate(self, _maps(out))


class OnlyMax(ConvolutionalBlockAttention):
    """The channels' gates from the maximum alone."""

    def attend(self, x, *bridged):
        out = x * F.sigmoid(self.mlp(_max(x))).unsqueeze((2, 3))
        return out if self.conv is None else out * _position_gate(self, _maps(out))


class SigmoidsAdded(ConvolutionalBlockAttention):
    """A sigmoid of each MLP's output and their sum, instead of the sigmoid of the sum."""

    def attend(self, x, *bridged):
        gate = F.sigmoid(self.mlp(_mean(x))) + F.sigmoid(self.mlp(_max(x)))
        out = x * gate.unsqueeze((2, 3))
        return out if self.conv is None else out * _position_gate(self, _maps(out))


class MlpOfTheSum(ConvolutionalBlockAttention):
    """The MLP of mean plus maximum, instead of the sum of two MLPs."""

    def attend(self, x, *bridged):
        out = x * F.sigmoid(self.mlp(_mean(x) + _max(x))).unsqueeze((2, 3))
        return out if self.conv is None else out * _position_gate(self, _maps(out))


class PositionsFirst(ConvolutionalBlockAttention):
    """The gate of positions before those of channels."""

    def attend(self, x, *bridged):
        out = x * _position_gate(self, _maps(x))
        return out * _channel_gate(self, out)


class PositionsOfTheInput(ConvolutionalBlockAttention):
    """The gate of positions from x instead of x', which the channels' gates have scaled."""

    def attend(self, x, *bridged):
        return x * _channel_gate(self, x) * _position_gate(self, _maps(x))


class NoPositionNorm(ConvolutionalBlockAttention):
    """The batch norm behind the 7×7 convolution left out."""

    def attend(self, x, *bridged):
        out = x * _channel_gate(self, x)
        return out * F.sigmoid(self.conv(_maps(out)))


class ReluBeforeGate(ConvolutionalBlockAttention):
    """A ReLU behind the batch norm of positions: the official default, there turned off."""

    def attend(self, x, *bridged):
        out = x * _channel_gate(self, x)
        return out * F.sigmoid(F.relu(self.norm(self.conv(_maps(out)))))


class ChannelsCutOff(ConvolutionalBlockAttention):
    """No gradient passes through the gates of channels."""

    def attend(self, x, *bridged):
        out = x * _channel_gate(self, x).detach()
        return out if self.conv is None else out * _position_gate(self, _maps(out))


class PositionsCutOff(ConvolutionalBlockAttention):
    """No gradient passes through the gate of positions."""

    def attend(self, x, *bridged):
        out = x * _channel_gate(self, x)
        return out * _position_gate(self, _maps(out)).detach()


class ForgetsFast(ConvolutionalBlockAttention):
    """Paddle's default momentum in the batch norm, 0.9, where the official code's is 0.99."""

    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        self.norm._momentum = 0.9


MUTATIONS = (
    *(
        Mutation("cbam", wrong, on(PLAIN, TWO), ("cbam_r16_c64",))
        for wrong in (
            MeanThenMax,
            PositionsFirst,
            PositionsOfTheInput,
            NoPositionNorm,
            ReluBeforeGate,
        )
    ),
    *(
        Mutation("cbam", wrong, on(PLAIN, TWO), ("cbam_r4_c32_nospatial",))
        for wrong in (OnlyMean, OnlyMax, SigmoidsAdded, MlpOfTheSum)
    ),
    *(
        Mutation("cbam", wrong, golden=("cbam_r16_c64",), others=(gradients("cbam", SMALL, TWO),))
        for wrong in (ChannelsCutOff, PositionsCutOff)
    ),
    Mutation(
        "cbam",
        ForgetsFast,
        others=(
            Named(
                "test_mutations",
                "test_batch_norms_forget_as_fast_as_the_official_ones",
                {"name": "cbam"},
            ),
        ),
    ),
)
