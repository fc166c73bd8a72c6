"""SimAM."""

from collections.abc import Mapping

import paddle
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import AttentionBlock, SlotShape
from models.cost import Cost
from models.options import Option


class SimpleAttention(AttentionBlock):
    """`x · σ(d / (4(Σd / (H·W − 1) + λ)) + ½)` with `d = (x − μ)²` of each channel: no parameters.

    Yang et al., "SimAM: A Simple, Parameter-Free Attention Module", ICML 2021.
    """

    title = "SimAM"
    paper = "ICML 2021"
    options = (Option("e_lambda", 1e-4, low=1e-12, high=100.0, meaning="λ"),)
    params_formula = "0"
    macs_formula = "0"
    legal_sizes = "H·W ≥ 2"
    insertion = (
        "the identity: it has nothing that could learn, so it is faded in: `x·(1 + a(σ(…) − 1))`"
        " with `a` at 0, which `models.insertion.fade_in` takes to 1, the paper's block; whoever"
        " trains the network calls that, or `a` stays at 0"
    )

    def __init__(self, shape: SlotShape, *, e_lambda: float) -> None:  # noqa: ARG002
        super().__init__()
        self.e_lambda = e_lambda
        self.register_buffer("faded_in", paddle.ones([1]))

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:  # noqa: ARG003
        """A single position has no variance."""
        if shape.positions < 2:
            return "a 1×1 map has no variance"
        return None

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:  # noqa: ARG003
        """Nothing that is counted."""
        return Cost()

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Scale every value of `x` `[N, C, H, W]` by how far it is from its channel's mean."""
        squared = (x - x.mean(axis=(2, 3), keepdim=True)).square()
        variance = squared.sum(axis=(2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
        gate = F.sigmoid(squared / (4 * (variance + self.e_lambda)) + 0.5)
        return x * (1 + self.faded_in * (gate - 1))

    def make_identity(self) -> None:
        """See `insertion`."""
        self.fade_in(0.0)

    def fade_in(self, share: float) -> None:
        """Sets how much of the gate acts, from 0, the identity, to 1, the paper's block."""
        self.faded_in.set_value(paddle.full([1], share))
