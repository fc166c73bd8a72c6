"""Squeeze-and-excitation."""

from collections.abc import Mapping

import paddle

from models.architecture import OptionValue
from models.block import SlotShape
from models.cost import Cost
from models.gate import SqueezeGate, excitation_cost
from models.options import Option


class SqueezeExcitation(SqueezeGate):
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

    def __init__(self, shape: SlotShape, *, reduction: int, bias: bool) -> None:
        super().__init__(shape.channels, shape.channels // reduction, bias=bias)

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """Two linear layers."""
        hidden = shape.channels // int(options["reduction"])
        return excitation_cost(shape.channels, hidden, bias=bool(options["bias"]))

    def squeeze(self, x: paddle.Tensor) -> paddle.Tensor:
        """The mean of every channel of `x` `[N, C, H, W]`: `[N, C]`."""
        return x.mean(axis=(2, 3))
