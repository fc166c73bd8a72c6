"""Squeezing a feature map with one fixed filter a channel, as FcaNet and OrthoNet do."""

import numpy as np
import numpy.typing as npt
import paddle
from paddle.nn import functional as F

from models.block import SlotShape
from models.cost import Cost, matmul
from models.gate import SqueezeGate, excitation_cost

Filters = npt.NDArray[np.float64]


class FilterGate(SqueezeGate):
    """`x · σ(W2 ReLU(W1 z))` with `z_c = Σ_hw K_c ⊙ x_c` and fixed filters K `[C, h, w]`.

    Where the map is not h × w, it is averaged adaptively to that size for the squeeze. The filters
    are a buffer: saved with the network, not trained, no parameters.
    """

    def __init__(self, shape: SlotShape, filters: Filters, hidden: int) -> None:
        super().__init__(shape.channels, hidden, bias=False)
        self.register_buffer("filters", paddle.to_tensor(filters.astype(np.float32)))

    @staticmethod
    def squeeze_cost(channels: int, size: tuple[int, int], hidden: int) -> Cost:
        """One product of map and filter a channel, and the two linear layers."""
        products = matmul(channels, size[0] * size[1], 1)
        return products + excitation_cost(channels, hidden, bias=False)

    def squeeze(self, x: paddle.Tensor) -> paddle.Tensor:
        """What each channel of `x` `[N, C, H, W]` has of its filter: `[N, C]`."""
        size = self.filters.shape[1:]
        if x.shape[2:] != size:
            x = F.adaptive_avg_pool2d(x, size)
        rows = x.flatten(2).unsqueeze(2)  # [N, C, 1, hw]
        columns = self.filters.flatten(1).unsqueeze(2)  # [C, hw, 1]
        return paddle.matmul(rows, columns).flatten(1)
