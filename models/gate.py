"""What blocks that multiply feature maps by gates between 0 and 1 have in common."""

from abc import abstractmethod
from collections.abc import Mapping

import paddle
from paddle import nn
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape, refuse_reduction
from models.cost import Cost, linear
from models.initial import he_normal, uniform_fan


class GatingBlock(AttentionBlock):
    """A block whose output is `x` times its gates, times the constant `gain`.

    `gain` is 1: the paper's block. Gates of σ start at ½, so a block that is inserted into a
    trained network has its last layers zeroed and its gain set to what undoes the ½ exactly. The
    gain is a buffer: saved with the network, never trained, no parameter. Networks of ReLUs and
    batch norms can absorb it into the layers around the block, so it adds no function; kept here,
    it leaves the values of those layers, and how fast they learn, as they were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gain", paddle.ones([1]))

    def undo_half_gates(self, gates: int = 1) -> None:
        """Sets the gain that makes up for that many gates of ½ behind each other."""
        self.gain.set_value(paddle.full([1], 2.0**gates))

    def scale_channels(self, x: paddle.Tensor, gate: paddle.Tensor) -> paddle.Tensor:
        """`x` `[N, C, H, W]` times one gate `[N, C]` a channel, and the gain."""
        return x * (gate * self.gain).unsqueeze((2, 3))


class Excitation(nn.Layer):
    """`W2 ReLU(W1 s)`: what a channel gate is the sigmoid of, from one statistic s a channel.

    `[N, C]` to `[N, C]` with `hidden` units between; with biases where `bias` is true.
    """

    def __init__(self, channels: int, hidden: int, *, bias: bool) -> None:
        super().__init__()
        given = None if bias else False
        self.squeeze = nn.Linear(channels, hidden, he_normal(channels), bias_attr=given)
        self.excite = nn.Linear(hidden, channels, uniform_fan(hidden), bias_attr=given)

    def forward(self, statistics: paddle.Tensor) -> paddle.Tensor:
        """The logits `[N, C]` of the gates of `[N, C]`."""
        return self.excite(F.relu(self.squeeze(statistics)))

    def make_zero(self) -> None:
        """Zeroes the output, and makes the second hidden unit the first one's opposite.

        If no hidden unit is positive for any image, nothing ever learns, and with few units that is
        likely. Of two opposite units one is positive, whatever the statistics are.
        """
        zero(self.excite)
        for parameter in self.squeeze.parameters():  # [C, m], and [m] where there are biases
            if parameter.shape[-1] > 1:
                value = parameter.clone()
                value[..., 1] = -value[..., 0]
                parameter.set_value(value)

    def wake(self, *statistics: paddle.Tensor) -> None:
        """Negates a single hidden unit if it is negative for most rows of the statistics `[N, C]`.

        It can still be dead on other images than these; two units or more cannot (`make_zero`).
        """
        hidden = self.squeeze(paddle.concat(statistics))  # [N, m]
        if hidden.shape[1] > 1:
            return
        sign = sign_of_most(hidden)
        for parameter in self.squeeze.parameters():
            parameter.set_value(parameter * sign)


class SqueezeGate(GatingBlock):
    """`x · σ(W2 ReLU(W1 z))`, z one number a channel that the block's `squeeze` takes of x."""

    legal_sizes = "C ≥ r"
    insertion = "the identity: W2 starts at zero, so the gate is ½, and the gain is 2"

    def __init__(self, channels: int, hidden: int, *, bias: bool) -> None:
        super().__init__()
        self.mlp = Excitation(channels, hidden, bias=bias)

    @abstractmethod
    def squeeze(self, x: paddle.Tensor) -> paddle.Tensor:
        """One number a channel of `x` `[N, C, H, W]`: `[N, C]`."""

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """A hidden layer of no units is refused."""
        return refuse_reduction(shape.channels, int(options["reduction"]))

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Scale every channel of `x` `[N, C, H, W]` by its gate."""
        return self.scale_channels(x, F.sigmoid(self.mlp(self.squeeze(x))))

    def make_identity(self) -> None:
        """See `insertion`."""
        self.mlp.make_zero()
        self.undo_half_gates()

    def wake(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> None:  # noqa: ARG002
        """See `AttentionBlock.wake`."""
        self.mlp.wake(self.squeeze(x))


def excitation_cost(channels: int, hidden: int, *, bias: bool) -> Cost:
    """Two linear layers."""
    return linear(channels, hidden, bias=bias) + linear(hidden, channels, bias=bias)


def sign_of_most(hidden: paddle.Tensor) -> paddle.Tensor:
    """1 for each of the m units that is positive in at least half of the rows `[N, m]`, else −1."""
    return 2.0 * ((hidden > 0).astype("float32").mean(axis=0) >= 0.5).astype("float32") - 1.0


def zero(*layers: nn.Layer) -> None:
    """Sets all parameters of the layers to zero: of a batch norm, scale and shift."""
    for layer in layers:
        for parameter in layer.parameters():
            if parameter.trainable:
                parameter.set_value(paddle.zeros_like(parameter))
