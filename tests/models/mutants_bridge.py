"""Known wrong versions of bridge attention, and of the residual block that is its control."""

import paddle
from mutants_base import Mutation, Named, cost, gradients, on
from paddle import nn
from paddle.nn import functional as F

from models.attention.bridge import BridgeAttention
from models.attention.residual import ResidualControl
from models.backbones.alexnet import _Stage
from models.block import SlotShape
from models.initial import uniform_fan
from models.residual_block import ResidualBlock

BRIDGED = SlotShape(8, 5, 6, bridged=(8,))  # as many channels as x: maps can be swapped
TWO = {"reduction": 2}


def _hidden(layer, pooled, norms=None):
    """`BN_i(W_i p_i)`, one `[N, m]` a bridge."""
    parts = zip(norms or layer.norms, layer.bridges, pooled, strict=True)
    return [norm(bridge(features)) for norm, bridge, features in parts]


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


class XIgnored(BridgeAttention):
    """The gate of the earlier maps alone."""

    def gate(self, *pooled):
        return F.sigmoid(self.generate(F.relu(paddle.add_n(_hidden(self, pooled)[:-1]))))


class SharedNorm(BridgeAttention):
    """One batch norm for all bridges."""

    def gate(self, *pooled):
        hidden = _hidden(self, pooled, [self.norms[0]] * len(pooled))
        return F.sigmoid(self.generate(F.relu(paddle.add_n(hidden))))


class NoNorms(BridgeAttention):
    """The batch norms left out."""

    def gate(self, *pooled):
        hidden = _hidden(self, pooled, [nn.Identity()] * len(pooled))
        return F.sigmoid(self.generate(F.relu(paddle.add_n(hidden))))


class ReluBeforeTheSum(BridgeAttention):
    """A ReLU of each bridge, then the sum."""

    def gate(self, *pooled):
        hidden = [F.relu(features) for features in _hidden(self, pooled)]
        return F.sigmoid(self.generate(paddle.add_n(hidden)))


class NoRelu(BridgeAttention):
    """No ReLU behind the sum."""

    def gate(self, *pooled):
        return F.sigmoid(self.generate(paddle.add_n(_hidden(self, pooled))))


class MeanOfBridges(BridgeAttention):
    """The mean over the bridges instead of their sum."""

    def gate(self, *pooled):
        total = paddle.add_n(_hidden(self, pooled)) / len(pooled)
        return F.sigmoid(self.generate(F.relu(total)))


class SiluForRelu(BridgeAttention):
    """SiLU where ReLU is chosen."""

    def gate(self, *pooled):
        return F.sigmoid(self.generate(F.silu(paddle.add_n(_hidden(self, pooled)))))


class ReluForSilu(BridgeAttention):
    """ReLU where SiLU is chosen."""

    def gate(self, *pooled):
        return F.sigmoid(self.generate(F.relu(paddle.add_n(_hidden(self, pooled)))))


class NoSigmoid(BridgeAttention):
    """No sigmoid."""

    def gate(self, *pooled):
        return self.generate(F.relu(paddle.add_n(_hidden(self, pooled))))


class MaxPooled(BridgeAttention):
    """The maxima over positions instead of the means."""

    def attend(self, x, *bridged):
        pooled = (features.max(axis=(2, 3)) for features in (*bridged, x))
        return self.scale_channels(x, self.gate(*pooled))


class BridgesCutOff(BridgeAttention):
    """No gradient reaches the earlier maps."""

    def attend(self, x, *bridged):
        return super().attend(x, *(features.detach() for features in bridged))


def with_bias(inputs, outputs):
    """The linear layers have biases."""
    return nn.Linear(inputs, outputs, uniform_fan(inputs))


def one_image_unchanged(norm, features):
    """Paddle's batch norm, which leaves a training batch of one image as it is."""
    return norm(features)


class EarlierMapsNotRectified(ResidualBlock):
    """In residual networks the earlier maps are taken before their ReLU."""

    def forward(self, x):
        out, earlier = x, ()
        for conv, norm, position in zip(self.convs, self.norms, self.positions[:-1], strict=True):
            out = self._attend(position, norm(conv(out)), earlier)
            earlier = (*earlier, out)
            out = out if position == "before_add" else F.relu(out)
        out = F.relu(out + (x if self.shortcut is None else self.shortcut(x)))
        return self._attend("after_block", out, ())


class AlexNetsMapsNotRectified(_Stage):
    """In AlexNet the earlier maps are taken before their ReLU."""

    def forward(self, x):
        earlier = ()
        for i, conv in enumerate(self.convs, 1):
            x = self._attend(f"after_conv{i}", conv(x), earlier)
            earlier = (*earlier, x)
            x = F.relu(x)
        return F.max_pool2d(self._attend("after_block", x, ()), 3, 2)


def _rectified(backbone):
    test = "test_bridge_reads_maps_that_come_out_of_a_relu"
    return Named("test_mutations", test, {"backbone": backbone})


def _one_image(name):
    test = "test_a_training_batch_of_one_is_normalised_by_the_running_statistics"
    return Named("test_insertion", test, {"name": name})


_ACTS = Named("test_mutations", "test_the_gate_of_bridge_acts_and_learns", {})
MODULES = ("ba_module_alexnet_192_192_128_r16", "ba_module_resnet_32_32_r4")
BLOCKS = ("ba_basicblock_p32", "ba_basicblock_p32_train")
BRIDGE = (
    Mutation("bridge", ProductThrownAway, on(BRIDGED, TWO), BLOCKS, (_ACTS,)),
    Mutation("bridge", BridgesIgnored, on(BRIDGED, TWO), BLOCKS[:1], (_ACTS,)),
    Mutation("bridge", BridgesSwapped, on(BRIDGED, TWO), ("ba_basicblock_p32", MODULES[1])),
    *(
        Mutation("bridge", wrong, on(BRIDGED, TWO), (MODULES[0], BLOCKS[0]))
        for wrong in (
            XIgnored,
            SharedNorm,
            NoNorms,
            ReluBeforeTheSum,
            NoRelu,
            MeanOfBridges,
            SiluForRelu,
            NoSigmoid,
        )
    ),
    Mutation(
        "bridge",
        ReluForSilu,
        on(BRIDGED, TWO | {"activation": "silu"}),
        ("ba_module_effnet_96_96_r6",),
    ),
    Mutation("bridge", MaxPooled, on(BRIDGED, TWO), BLOCKS[:1]),
    Mutation(
        "bridge",
        BridgesCutOff,
        golden=BLOCKS[:1],
        others=(gradients("bridge", SlotShape(4, 3, 2, bridged=(3, 2)), TWO),),
    ),
    Mutation("bridge", with_bias, others=(cost("bridge"),), replaces="_linear"),
    Mutation("bridge", one_image_unchanged, others=(_one_image("bridge"),), replaces="pooled_norm"),
    Mutation("snl", one_image_unchanged, others=(_one_image("snl"),), replaces="pooled_norm"),
    Mutation(
        "bridge",
        EarlierMapsNotRectified,
        golden=BLOCKS[:1],
        others=(_rectified("resnet18"),),
        replaces="ResidualBlock",
    ),
    Mutation(
        "bridge", AlexNetsMapsNotRectified, others=(_rectified("alexnet"),), replaces="_Stage"
    ),
)


def _own(layer, x):
    """`BN(conv(ReLU(BN(conv x))))`."""
    return layer.norm2(layer.conv2(F.relu(layer.norm1(layer.conv1(x)))))


class AlwaysRectified(ResidualControl):
    """A last ReLU where the map comes out of none, too."""

    def attend(self, x, *bridged):
        return F.relu(x + _own(self, x))


class NeverRectified(ResidualControl):
    """No last ReLU where the map comes out of one, either."""

    def attend(self, x, *bridged):
        return x + _own(self, x)


class ReluBeforeTheShortcut(ResidualControl):
    """The last ReLU before x is added."""

    def attend(self, x, *bridged):
        return x + F.relu(_own(self, x))


class NoShortcut(ResidualControl):
    """x is not added."""

    def attend(self, x, *bridged):
        out = _own(self, x)
        return F.relu(out) if self.rectified else out


class NoInnerRelu(ResidualControl):
    """No ReLU between the convolutions."""

    def attend(self, x, *bridged):
        out = x + self.norm2(self.conv2(self.norm1(self.conv1(x))))
        return F.relu(out) if self.rectified else out


class NormsFirst(ResidualControl):
    """Batch norm and ReLU before each convolution, as in pre-activation networks."""

    def attend(self, x, *bridged):
        out = self.conv1(F.relu(self.norm1(x)))
        out = x + self.conv2(F.relu(self.norm2(out)))
        return F.relu(out) if self.rectified else out


def _control(rectified):
    test = "test_the_residual_control_is_the_backbones_own_block"
    return Named("test_reference", test, {"rectified": rectified})


RESIDUAL = (
    Mutation("residual", AlwaysRectified, others=(_control(False),)),
    Mutation("residual", NeverRectified, others=(_control(True),)),
    *(
        Mutation("residual", wrong, others=(_control(False),))
        for wrong in (ReluBeforeTheShortcut, NoShortcut, NoInnerRelu, NormsFirst)
    ),
)

MUTATIONS = (*BRIDGE, *RESIDUAL)
