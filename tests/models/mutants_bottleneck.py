"""Known wrong versions of the bottleneck block that is a control."""

from mutants_base import Mutation, Named
from paddle import nn
from paddle.nn import functional as F

from models.attention.bottleneck import BottleneckControl


def _own(layer, x):
    """`BN(conv(ReLU(BN(conv(ReLU(BN(conv x)))))))`."""
    out = F.relu(layer.norm1(layer.conv1(x)))
    return layer.norm3(layer.conv3(F.relu(layer.norm2(layer.conv2(out)))))


class BottleneckAlwaysRectified(BottleneckControl):
    """A last ReLU where the map comes out of none, too."""

    def attend(self, x, *bridged):
        return F.relu(x + _own(self, x))


class BottleneckNeverRectified(BottleneckControl):
    """No last ReLU where the map comes out of one, either."""

    def attend(self, x, *bridged):
        return x + _own(self, x)


class BottleneckWithoutShortcut(BottleneckControl):
    """x is not added."""

    def attend(self, x, *bridged):
        out = _own(self, x)
        return F.relu(out) if self.rectified else out


class BottleneckReluBeforeTheShortcut(BottleneckControl):
    """The last ReLU before x is added."""

    def attend(self, x, *bridged):
        return x + F.relu(_own(self, x))


class BottleneckWithoutSecondRelu(BottleneckControl):
    """No ReLU behind the 3×3 convolution."""

    def attend(self, x, *bridged):
        out = F.relu(self.norm1(self.conv1(x)))
        out = x + self.norm3(self.conv3(self.norm2(self.conv2(out))))
        return F.relu(out) if self.rectified else out


class BottleneckUnpadded(BottleneckControl):
    """The 3×3 convolution sees the middle of the map only, stretched to its size."""

    def attend(self, x, *bridged):
        out = F.relu(self.norm1(self.conv1(x)))
        inner = nn.functional.conv2d(out, self.conv2.weight)
        out = F.relu(self.norm2(F.interpolate(inner, size=out.shape[2:])))
        out = x + self.norm3(self.conv3(out))
        return F.relu(out) if self.rectified else out


def _control(rectified):
    test = "test_the_bottleneck_control_is_the_backbones_own_block"
    return Named("test_reference", test, {"rectified": rectified})


MUTATIONS = (
    Mutation("bottleneck", BottleneckAlwaysRectified, others=(_control(False),)),
    Mutation("bottleneck", BottleneckNeverRectified, others=(_control(True),)),
    *(
        Mutation("bottleneck", wrong, others=(_control(False),))
        for wrong in (
            BottleneckWithoutShortcut,
            BottleneckReluBeforeTheShortcut,
            BottleneckWithoutSecondRelu,
            BottleneckUnpadded,
        )
    ),
)
