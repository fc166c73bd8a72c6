"""Squeeze-and-excitation."""

from collections.abc import Mapping

import paddle
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import SlotShape, refuse_reduction
from models.cost import Cost
from models.gate import Excitation, GatingBlock, excitation_cost
from models.options import Option


class SqueezeExcitation(GatingBlock):
    """`x · σ(W2 ReLU(W1 GAP(x)))` with `m = C // r` hidden units.

    Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018.
    """

    title = "Squeeze-and-excitation"
    paper = "arXiv:1709.01507"
    options = (
        Option("reduction", 16, low=1, high=1024, meaning="r"),
        Option("bias", False, meaning="whether both linear layers have biases"),
    )
    params_formula = "2C·m, and m + C more with `bias`"
    macs_formula = "2C·m"
    legal_sizes = "C ≥ r"
    insertion = "the identity: W2 starts at zero, so the gate is ½, and the gain is 2"

    def __init__(self, shape: SlotShape, *, reduction: int, bias: bool) -> None:
        super().__init__()
        self.mlp = Excitation(shape.channels, shape.channels // reduction, bias=bias)

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """A hidden layer of no units is refused."""
        return refuse_reduction(shape.channels, int(options["reduction"]))

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """Two linear layers."""
        hidden = shape.channels // int(options["reduction"])
        return excitation_cost(shape.channels, hidden, bias=bool(options["bias"]))

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Scale every channel of `x` `[N, C, H, W]` by its gate."""
        return self.scale_channels(x, F.sigmoid(self.mlp(x.mean(axis=(2, 3)))))

    def make_identity(self) -> None:
        """See `insertion`."""
        self.mlp.make_zero()
        self.undo_half_gates()

    def wake(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> None:  # noqa: ARG002
        """See `AttentionBlock.wake`."""
        self.mlp.wake(x.mean(axis=(2, 3)))
