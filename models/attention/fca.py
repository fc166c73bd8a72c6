"""Frequency channel attention."""

from collections.abc import Mapping

import numpy as np

from models.architecture import OptionValue
from models.block import SlotShape
from models.cost import Cost
from models.fixed_filters import FilterGate, Filters
from models.options import Option

# Frequency pairs (vertical, horizontal) of a 7 × 7 map, in the order of the paper's ranking: `top`
# by the accuracy each reaches alone, `bot` by the lack of it, `low` by frequency.
_RANKINGS: Mapping[str, str] = {
    "top": "00 01 60 05 02 10 12 40 50 16 30 04 06 03 35 22"
    " 46 63 33 53 55 21 61 52 54 32 31 41 23 20 65 13",
    "low": "00 01 10 11 02 20 21 12 22 03 30 40 04 13 31 05"
    " 14 23 32 41 50 06 15 24 33 42 51 60 16 25 34 43",
    "bot": "66 14 34 36 26 43 11 24 44 45 56 15 42 62 25 51"
    " 64 13 65 20 23 41 31 32 54 52 61 21 55 53 33 63",
}
_COUNTS = (1, 2, 4, 8, 16, 32)


class FrequencyChannelAttention(FilterGate):
    """`x · σ(W2 ReLU(W1 z))`, `z_c = Σ_hw K_c ⊙ x_c`, with filters K of the 2-D cosine transform.

    The channels are split evenly and in order among the `frequencies`, given for a 7 × 7 map and
    multiplied by D // 7 for filters of D × D; `m = C // r`. D is the map's own size where
    `dct_size` is 0; a map of another size is averaged adaptively to D × D.

    Qin et al., "FcaNet: Frequency Channel Attention Networks", ICCV 2021.
    """

    title = "FcaNet's frequency channel attention"
    paper = "arXiv:2012.11879"
    options = (
        Option("reduction", 16, low=1, high=1024, meaning="r"),
        Option(
            "frequencies",
            "top16",
            tuple(f"{ranking}{count}" for ranking in _RANKINGS for count in _COUNTS),
            meaning="which of the paper's rankings, and how many of it",
        ),
        Option("dct_size", 0, low=0, high=112, meaning="D, 7 or more; 0 takes the size of the map"),
    )
    params_formula = "2C·m; the filters are no parameters"
    macs_formula = "C·D² + 2C·m"
    constants = ("filters",)
    legal_sizes = "C ≥ r; C a multiple of the number of frequencies; D ≥ 7"
    deviations = (
        "`dct_size` is one number for height and width of the filters, where the official code has "
        "`dct_h` and `dct_w`"
    )

    def __init__(
        self, shape: SlotShape, *, reduction: int, frequencies: str, dct_size: int
    ) -> None:
        filters = dct_filters(shape.channels, _size(shape, dct_size), _pairs(frequencies))
        super().__init__(shape, filters, shape.channels // reduction)

    @classmethod
    def refuse_size(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> str | None:
        """Filters that would all be the mean are refused, and channels that do not divide."""
        height, width = _size(shape, int(options["dct_size"]))
        if min(height, width) < 7:
            return (
                f"cosine filters of {height}×{width} are all the mean; they need 7×7: "
                "dct_size 7 averages smaller maps adaptively to it"
            )
        count = len(_pairs(str(options["frequencies"])))
        if shape.channels % count:
            return f"{shape.channels} channels cannot be split evenly among {count} frequencies"
        return super().refuse_size(shape, options)

    @classmethod
    def cost(cls, shape: SlotShape, options: Mapping[str, OptionValue]) -> Cost:
        """The squeeze and two linear layers."""
        hidden = shape.channels // int(options["reduction"])
        return cls.squeeze_cost(shape.channels, _size(shape, int(options["dct_size"])), hidden)


def dct_filters(
    channels: int, size: tuple[int, int], pairs: tuple[tuple[int, int], ...]
) -> Filters:
    """Filters `[C, H, W]`; consecutive channels share one of the frequency `pairs` (of 7 × 7)."""
    height, width = size
    filters = [
        np.outer(_cosine(u * (height // 7), height), _cosine(v * (width // 7), width))
        for u, v in pairs
    ]
    return np.repeat(np.stack(filters), channels // len(pairs), axis=0)


def _cosine(frequency: int, length: int) -> Filters:
    """The orthonormal 1-D basis vector of a frequency."""
    angles = np.pi * frequency * (np.arange(length, dtype=np.float64) + 0.5) / length
    norm = np.sqrt((2.0 if frequency else 1.0) / length)
    return np.asarray(np.cos(angles) * norm, dtype=np.float64)


def _pairs(frequencies: str) -> tuple[tuple[int, int], ...]:
    ranking, count = frequencies[:3], int(frequencies[3:])
    return tuple((int(pair[0]), int(pair[1])) for pair in _RANKINGS[ranking].split()[:count])


def _size(shape: SlotShape, dct_size: int) -> tuple[int, int]:
    return (dct_size, dct_size) if dct_size else (shape.height, shape.width)
