"""Known wrong versions of the gates of channels: SE and ECA."""

import math

import paddle
from mutants_base import PLAIN, SMALL, Mutation, Named, cut_off, gradients, on
from paddle.nn import functional as F

from models.attention.eca import EfficientChannelAttention
from models.attention.se import SqueezeExcitation

TWO = {"reduction": 2}


def _mean(x):
    return x.mean(axis=(2, 3))


def _max(x):
    return x.max(axis=(2, 3))


class SumSqueeze(SqueezeExcitation):
    """The sum over positions instead of the mean."""

    def attend(self, x, *bridged):
        return self.scale_channels(x, F.sigmoid(self.mlp(x.sum(axis=(2, 3)))))


class MaxSqueeze(SqueezeExcitation):
    """The maximum over positions instead of the mean."""

    def attend(self, x, *bridged):
        return self.scale_channels(x, F.sigmoid(self.mlp(_max(x))))


class NoRelu(SqueezeExcitation):
    """No ReLU between the linear layers."""

    def attend(self, x, *bridged):
        hidden = self.mlp.squeeze(_mean(x))
        return self.scale_channels(x, F.sigmoid(self.mlp.excite(hidden)))


class SoftmaxGate(SqueezeExcitation):
    """A softmax over channels instead of the sigmoid."""

    def attend(self, x, *bridged):
        return self.scale_channels(x, F.softmax(self.mlp(_mean(x)), axis=1))


class NoSigmoid(SqueezeExcitation):
    """No sigmoid."""

    def attend(self, x, *bridged):
        return self.scale_channels(x, self.mlp(_mean(x)))


class HardSigmoid(SqueezeExcitation):
    """A hard sigmoid instead of the sigmoid."""

    def attend(self, x, *bridged):
        return self.scale_channels(x, F.hardsigmoid(self.mlp(_mean(x))))


class NoBiases(SqueezeExcitation):
    """The biases are there but not added."""

    def attend(self, x, *bridged):
        hidden = F.relu(_mean(x) @ self.mlp.squeeze.weight)
        return self.scale_channels(x, F.sigmoid(hidden @ self.mlp.excite.weight))


class GateAdded(SqueezeExcitation):
    """`x + x·σ(…)`."""

    def attend(self, x, *bridged):
        return x + super().attend(x)


class SeCutOff(SqueezeExcitation):
    """No gradient passes through the gate."""

    def attend(self, x, *bridged):
        return cut_off(x, super().attend(x))


SE_CASES = ("se_nobias_r16", "se_basicblock_s1")
SE = (
    *(
        Mutation("se", wrong, on(PLAIN, TWO), SE_CASES[:1])
        for wrong in (
            SumSqueeze,
            MaxSqueeze,
            NoRelu,
            SoftmaxGate,
            NoSigmoid,
            HardSigmoid,
            GateAdded,
        )
    ),
    Mutation("se", NoBiases, on(PLAIN, TWO | {"bias": True}), ("se_bias_r16",)),
    Mutation(
        "se",
        SeCutOff,
        golden=SE_CASES[:1],
        others=(gradients("se", SMALL, TWO | {"bias": True}),),
    ),
)


class CircularPadding(EfficientChannelAttention):
    """The last channels are the neighbours of the first ones."""

    def attend(self, x, *bridged):
        pooled, reach = _mean(x), self.conv.weight.shape[2] // 2
        around = paddle.concat([pooled[:, -reach:], pooled, pooled[:, :reach]], axis=1)
        scores = F.conv1d(around.unsqueeze(1), self.conv.weight).squeeze(1)
        return self.scale_channels(x, F.sigmoid(scores))


class KernelFlipped(EfficientChannelAttention):
    """A convolution in the strict sense, with the kernel turned around."""

    def attend(self, x, *bridged):
        kernel = self.conv.weight.flip(axis=[2])
        scores = F.conv1d(_mean(x).unsqueeze(1), kernel, padding=kernel.shape[2] // 2)
        return self.scale_channels(x, F.sigmoid(scores).squeeze(1))


class ReluAdded(EfficientChannelAttention):
    """A ReLU before the sigmoid."""

    def attend(self, x, *bridged):
        scores = F.relu(self.conv(_mean(x).unsqueeze(1))).squeeze(1)
        return self.scale_channels(x, F.sigmoid(scores))


class EcaMaxPooled(EfficientChannelAttention):
    """The maximum over positions instead of the mean."""

    def attend(self, x, *bridged):
        return self.scale_channels(x, F.sigmoid(self.conv(_max(x).unsqueeze(1))).squeeze(1))


class EcaCutOff(EfficientChannelAttention):
    """No gradient passes through the gate."""

    def attend(self, x, *bridged):
        return cut_off(x, super().attend(x))


def even_kernels_shrink(channels):
    """With `kernel` 0, t − 1 instead of t + 1 where t is even."""
    size = int((math.log2(channels) + 1) / 2)
    return size if size % 2 else max(1, size - 1)


def log_alone(channels):
    """With `kernel` 0, t = ⌊log2 C / 2⌋, without the + 1."""
    size = int(math.log2(channels) / 2)
    return size if size % 2 else size + 1


ECA_CASES = ("eca_k3_c32", "eca_k5_c32")
_GROWS = Named(
    "test_reference", "test_the_kernel_grows_with_the_channels", {"channels": 8, "kernel": 3}
)
ECA = (
    *(
        Mutation("eca", wrong, on(PLAIN, {"kernel": 3}), ECA_CASES[:1])
        for wrong in (CircularPadding, KernelFlipped, ReluAdded, EcaMaxPooled)
    ),
    Mutation("eca", EcaCutOff, golden=ECA_CASES[:1], others=(gradients("eca", SMALL, {}),)),
    Mutation("eca", even_kernels_shrink, others=(_GROWS,), replaces="_adaptive_kernel"),
    Mutation("eca", log_alone, others=(_GROWS,), replaces="_adaptive_kernel"),
)

MUTATIONS = (*SE, *ECA)
