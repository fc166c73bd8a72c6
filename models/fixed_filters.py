"""Squeezing a feature map with one fixed filter a channel, as FcaNet and OrthoNet do."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import paddle
from paddle.nn import functional as F

from models.architecture import OptionValue
from models.block import SlotShape, refuse_reduction
from models.cost import Cost, matmul
from models.gate import Excitation, GatingBlock, excitation_cost

Filters = npt.NDArray[np.float64]


class FilterGate(GatingBlock):
    """`x · σ(W2 ReLU(W1 z))` with `z_c = Σ_hw K_c ⊙ x_c` and fixed filters K `[C, h, w]`.

    Where the map is not h × w, it is averaged adaptively to that size for the squeeze. The filters
    are a buffer: saved with the network, not trained, no parameters.
    """

    insertion = "the identity: W2 starts at zero, so the gate is ½, and the gain is 2"

    def __init__(self, shape: SlotShape, filters: Filters, hidden: int) -> None:
        super().__init__()
        self.register_buffer("filters", paddle.to_tensor(filters.astype(np.float32)))
        self.mlp = Excitation(shape.channels, hidden, bias=False)

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """A hidden layer of no units is refused."""
        return refuse_reduction(shape.channels, int(options["reduction"]))

    @staticmethod
    def squeeze_cost(channels: int, size: tuple[int, int], hidden: int) -> Cost:
        """One product of map and filter a channel, and the two linear layers."""
        products = matmul(channels, size[0] * size[1], 1)
        return products + excitation_cost(channels, hidden, bias=False)

    def attend(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:  # noqa: ARG002
        """Scale every channel of `x` `[N, C, H, W]` by its gate."""
        return self.scale_channels(x, F.sigmoid(self.mlp(self.squeeze(x))))

    def squeeze(self, x: paddle.Tensor) -> paddle.Tensor:
        """One number a channel of `x` `[N, C, H, W]`: `[N, C]`."""
        size = self.filters.shape[1:]
        if x.shape[2:] != size:
            x = F.adaptive_avg_pool2d(x, size)
        rows = x.flatten(2).unsqueeze(2)  # [N, C, 1, hw]
        columns = self.filters.flatten(1).unsqueeze(2)  # [C, hw, 1]
        return paddle.matmul(rows, columns).flatten(1)

    def make_identity(self) -> None:
        """See `insertion`."""
        self.mlp.make_zero()
        self.undo_half_gates()

    def wake(self, x: paddle.Tensor, *bridged: paddle.Tensor) -> None:  # noqa: ARG002
        """See `AttentionBlock.wake`."""
        self.mlp.wake(self.squeeze(x))
