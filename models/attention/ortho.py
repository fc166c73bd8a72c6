"""Orthogonal channel attention."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import paddle

from models.architecture import OptionValue
from models.block import SlotShape
from models.cost import Cost
from models.fixed_filters import FilterGate, Filters
from models.options import Option


class OrthogonalAttention(FilterGate):
    """`x · σ(W2 ReLU(W1 z))`, `z_c = Σ_hw K_c ⊙ x_c`, with orthonormal random filters K.

    The filters are as large as the map the network is built for, `m = round(C ÷ r)`. They come of
    uniform positive draws by modified Gram–Schmidt in draw order; more channels than positions
    are served by independent groups of H·W filters. Each block draws its own.

    Salman et al., "OrthoNets: Orthogonal Channel Attention Networks", IEEE BigData 2023. The
    standard network has it `before_add` in every block, the MOD variant at `after_conv2` of every
    bottleneck, after the batch norm and before the ReLU.
    """

    title = "OrthoNet's orthogonal channel attention"
    paper = "arXiv:2311.03071"
    options = (Option("reduction", 16, low=1, high=1024, meaning="r; 16 in the paper"),)
    params_formula = "2C·m; the filters are no parameters"
    macs_formula = "C·H·W + 2C·m"
    deviations = (
        "where C is more than H·W and no multiple of it, the last group of filters is a partial one"
        " (the official code would lack filters); filters are as large as the map the network is"
        " built for (the official code has 64, 32, 16 and 8 for its stages, whatever the image)"
    )
    legal_sizes = "m ≥ 1"

    def __init__(self, shape: SlotShape, *, reduction: int) -> None:
        shares = paddle.rand((shape.channels, shape.height, shape.width)).numpy()
        draws = 1.0 - shares  # rand may be 0, and a filter of zeros has no norm
        super().__init__(shape, orthonormal_filters(draws), _hidden(shape.channels, reduction))

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """A hidden layer of no units is refused."""
        reduction = int(options["reduction"])
        if _hidden(shape.channels, reduction) < 1:
            return f"{shape.channels} channels ÷ reduction {reduction} leaves no hidden unit"
        return None

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """The squeeze and two linear layers."""
        hidden = _hidden(shape.channels, int(options["reduction"]))
        return cls.squeeze_cost(shape.channels, (shape.height, shape.width), hidden)


def orthonormal_filters(draws: npt.NDArray[np.floating]) -> Filters:
    """Filters `[C, H, W]` of draws of that shape: of unit norm, orthogonal within each group.

    Modified Gram–Schmidt in draw order, in float64; a group is H·W consecutive filters.
    """
    count, height, width = draws.shape
    rows = draws.reshape(count, -1).astype(np.float64)
    size = height * width
    groups = [_gram_schmidt(rows[start : start + size]) for start in range(0, count, size)]
    return np.concatenate(groups).reshape(count, height, width)


def _hidden(channels: int, reduction: int) -> int:
    """The m of the docstring: rounded, halves to even, as the official code does it."""
    return round(channels / reduction)


def _gram_schmidt(rows: Filters) -> Filters:
    done = np.zeros_like(rows)
    for i, row in enumerate(rows):
        rest = row
        for earlier in done[:i]:
            rest = rest - (earlier @ rest) * earlier
        done[i] = rest / np.linalg.norm(rest)
    return done
