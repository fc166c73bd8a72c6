"""Known wrong versions of the blocks with fixed filters: OrthoNet's and FcaNet's."""

import numpy as np
import paddle
from mutants_base import SMALL, Mutation, Named, cost, cut_off, gradients, on
from paddle.nn import functional as F

from models.attention.fca import FrequencyChannelAttention, _cosine, _pairs
from models.attention.ortho import OrthogonalAttention, _gram_schmidt, orthonormal_filters
from models.block import SlotShape

MAP = SlotShape(8, 5, 6)
LARGER = (7, 9)
"""Maps of another size than the filters'."""

TWO = {"reduction": 2}


def _products(layer, x):
    """`[N, C, h, w]`: the map, in the filters' size, times the filters."""
    size = layer.filters.shape[1:]
    return (x if x.shape[2:] == size else F.adaptive_avg_pool2d(x, size)) * layer.filters


class MeanOfProducts(OrthogonalAttention):
    """The mean of map times filter instead of the sum."""

    def squeeze(self, x):
        return _products(self, x).mean(axis=(2, 3))


class OneFilter(OrthogonalAttention):
    """The first filter for every channel."""

    def squeeze(self, x):
        return (x * self.filters[:1]).sum(axis=(2, 3))


class PlainMean(OrthogonalAttention):
    """The mean instead of the filters: SE."""

    def squeeze(self, x):
        return x.mean(axis=(2, 3))


class Cropped(OrthogonalAttention):
    """A map of another size is not averaged to the filters' size but cut off."""

    def squeeze(self, x):
        _, height, width = self.filters.shape
        return (x[:, :, :height, :width] * self.filters).sum(axis=(2, 3))


class MaximaOfWindows(OrthogonalAttention):
    """A map of another size is max-pooled to the filters' size."""

    def squeeze(self, x):
        small = F.adaptive_max_pool2d(x, self.filters.shape[1:])
        return (small * self.filters).sum(axis=(2, 3))


class OrthoCutOff(OrthogonalAttention):
    """No gradient passes through the gate."""

    def attend(self, x, *bridged):
        return cut_off(x, super().attend(x))


class FiltersTrained(OrthogonalAttention):
    """The filters are parameters."""

    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        values = self._buffers.pop("filters")
        self.filters = self.create_parameter(values.shape)
        self.filters.set_value(values)


class _OtherDraws(OrthogonalAttention):
    def __init__(self, shape, **options):
        super().__init__(shape, **options)
        draws = self.draw((shape.channels, shape.height, shape.width))
        self.filters.set_value(orthonormal_filters(draws).astype(np.float32))


class NormalDraws(_OtherDraws):
    """Normal draws instead of positive uniform ones."""

    def draw(self, size):
        return paddle.randn(size).numpy()


class HalfNormalDraws(_OtherDraws):
    """Positive draws that are not uniform: absolute values of normal ones."""

    def draw(self, size):
        return paddle.randn(size).abs().numpy()


class CentredDraws(_OtherDraws):
    """Uniform draws from −1 to 1."""

    def draw(self, size):
        return paddle.uniform(size, min=-1.0, max=1.0).numpy()


class SameDraws(_OtherDraws):
    """The same filters in every layer."""

    def draw(self, size):
        return np.random.default_rng(0).uniform(size=size)


def not_normalised(rows):
    """The filters are orthogonal but not of norm one."""
    units = _gram_schmidt(rows)
    return units * (units * rows).sum(axis=1, keepdims=True)


def not_orthogonal(rows):
    """The draws are normalised but not made orthogonal."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def last_first(rows):
    """Gram–Schmidt in the reverse order of the draws."""
    return _gram_schmidt(rows[::-1])[::-1]


def classical(rows):
    """Classical Gram–Schmidt, which loses more to rounding, instead of the modified one."""
    done = np.zeros_like(rows)
    for i, row in enumerate(rows):
        rest = row - (done[:i] @ row) @ done[:i]
        done[i] = rest / np.linalg.norm(rest)
    return done


def householder(rows):
    """A QR decomposition, whose filters have other signs."""
    return np.linalg.qr(rows.T)[0].T


def one_group(draws):
    """More channels than positions orthogonalised as one group: rounding errors, normalised."""
    return _gram_schmidt(draws.reshape(len(draws), -1).astype(np.float64)).reshape(draws.shape)


def groups_interleaved(draws):
    """Groups of every n-th filter instead of consecutive ones."""
    rows = draws.reshape(len(draws), -1).astype(np.float64)
    count = -(-len(rows) // rows.shape[1])
    for start in range(count):
        rows[start::count] = _gram_schmidt(rows[start::count])
    return rows.reshape(draws.shape)


def _orthonormal(*shape):
    given = {"shape": SlotShape(*shape), "seed": 0}
    return Named("test_reference", "test_orthonormal_filters", given)


_DRAWS = Named("test_mutations", "test_ortho_draws_uniform_positive_filters_for_every_layer", {})
_NEAR = Named("test_reference", "test_filters_of_draws_that_are_nearly_the_same_are_orthogonal", {})
GRAM_CASES = ("ortho_gram_c16_h4", "ortho_gram_c64_h8")
ORTHO_CASES = ("ortho_basic_p32_h8", "ortho_bottleneck_p16_h8")

ORTHO = (
    *(
        Mutation("ortho", wrong, on(MAP, TWO), ORTHO_CASES[:1])
        for wrong in (MeanOfProducts, OneFilter, PlainMean)
    ),
    Mutation("ortho", Cropped, on(MAP, TWO, size=LARGER)),
    Mutation("ortho", MaximaOfWindows, on(MAP, TWO, size=LARGER)),
    Mutation(
        "ortho", OrthoCutOff, golden=ORTHO_CASES[:1], others=(gradients("ortho", SMALL, TWO),)
    ),
    Mutation("ortho", FiltersTrained, others=(cost("ortho"),)),
    *(
        Mutation("ortho", wrong, others=(_DRAWS,))
        for wrong in (NormalDraws, HalfNormalDraws, CentredDraws, SameDraws)
    ),
    *(
        Mutation(
            "ortho",
            wrong,
            golden=GRAM_CASES,
            others=(_orthonormal(6, 3, 3),),
            replaces="_gram_schmidt",
        )
        for wrong in (not_normalised, not_orthogonal, last_first, householder)
    ),
    Mutation("ortho", classical, others=(_NEAR,), replaces="_gram_schmidt"),
    *(
        Mutation("ortho", wrong, others=(_orthonormal(7, 2, 2),), replaces="orthonormal_filters")
        for wrong in (one_group, groups_interleaved)
    ),
)


def _outer(height, width, u, v):
    return np.outer(_cosine(u, height), _cosine(v, width))


def not_multiplied(channels, size, pairs):
    """The frequencies of 7×7 maps, not multiplied by D // 7."""
    filters = [_outer(*size, u, v) for u, v in pairs]
    return np.repeat(np.stack(filters), channels // len(pairs), axis=0)


def exactly_multiplied(channels, size, pairs):
    """The frequencies multiplied by D / 7 where that is no whole number."""
    filters = [_outer(*size, u * size[0] / 7, v * size[1] / 7) for u, v in pairs]
    return np.repeat(np.stack(filters), channels // len(pairs), axis=0)


def directions_swapped(channels, size, pairs):
    """u along the width and v along the height."""
    scales = size[0] // 7, size[1] // 7
    filters = [_outer(*size, v * scales[0], u * scales[1]) for u, v in pairs]
    return np.repeat(np.stack(filters), channels // len(pairs), axis=0)


def frequencies_interleaved(channels, size, pairs):
    """Neighbouring channels have different frequencies, instead of one for a run of channels."""
    scales = size[0] // 7, size[1] // 7
    filters = [_outer(*size, u * scales[0], v * scales[1]) for u, v in pairs]
    return np.tile(np.stack(filters), (channels // len(pairs), 1, 1))


def without_root_two(frequency, length):
    """The factor √2 of frequencies above zero left out."""
    return np.cos(np.pi * frequency * (np.arange(length) + 0.5) / length) / np.sqrt(length)


def without_half(frequency, length):
    """The cosine taken at the positions' edges instead of their middles."""
    norm = np.sqrt((2.0 if frequency else 1.0) / length)
    return np.cos(np.pi * frequency * np.arange(length) / length) * norm


def not_divided(frequency, length):
    """Cosines without the norm 1/√D."""
    return _cosine(frequency, length) * np.sqrt(length)


def other_ranking(frequencies):
    """`top` takes the frequencies of `low`."""
    return _pairs(frequencies.replace("top", "low"))


class FcaPlainMean(FrequencyChannelAttention):
    """The mean instead of the filters: SE."""

    def squeeze(self, x):
        return x.mean(axis=(2, 3))


class FcaMeanOfProducts(FrequencyChannelAttention):
    """The mean of map times filter instead of the sum."""

    def squeeze(self, x):
        return _products(self, x).mean(axis=(2, 3))


class FcaMaximaOfWindows(FrequencyChannelAttention):
    """A map of another size is max-pooled to the filters' size."""

    def squeeze(self, x):
        small = F.adaptive_max_pool2d(x, self.filters.shape[1:])
        return (small * self.filters).sum(axis=(2, 3))


class FcaCutOff(FrequencyChannelAttention):
    """No gradient passes through the gate."""

    def attend(self, x, *bridged):
        return cut_off(x, super().attend(x))


WIDE = on(SlotShape(8, 15, 8), TWO | {"frequencies": "top4"})
FCA_CASES = ("fca_top16_c32_d14", "fca_bot4_c32_d7")
FCA = (
    Mutation("fca", not_multiplied, WIDE, ("fca_top16_c32_d14",), replaces="dct_filters"),
    Mutation("fca", exactly_multiplied, WIDE, ("fca_top16_c32_d8",), replaces="dct_filters"),
    *(
        Mutation("fca", wrong, WIDE, FCA_CASES, replaces="dct_filters")
        for wrong in (directions_swapped, frequencies_interleaved)
    ),
    *(
        Mutation("fca", wrong, WIDE, FCA_CASES, replaces="_cosine")
        for wrong in (without_root_two, without_half, not_divided)
    ),
    Mutation("fca", other_ranking, WIDE, ("fca_top16_c32_d14",), replaces="_pairs"),
    *(Mutation("fca", wrong, WIDE, FCA_CASES) for wrong in (FcaPlainMean, FcaMeanOfProducts)),
    Mutation("fca", FcaMaximaOfWindows, WIDE | {"size": (16, 17)}),
    Mutation(
        "fca",
        FcaCutOff,
        golden=FCA_CASES[:1],
        others=(gradients("fca", SMALL, TWO | {"frequencies": "low4", "dct_size": 7}),),
    ),
)

MUTATIONS = (*ORTHO, *FCA)
