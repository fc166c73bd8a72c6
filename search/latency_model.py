"""Latency of architectures that were not measured, from those that were.

A latency here is a *ratio*: that of the network ÷ that of the plain backbone on the same device at
the same time, so it has no unit, and the plain backbone's is 1. What its placements add is taken
to add up, ratio − 1 = Σ contribution(placement), as in look-up tables of operators (Wu et al.,
"FBNet", CVPR 2019). A table would have to have seen every block in every slot; here placements
that have something in common (`LEVELS`) share what was learned: a contribution is linear in what
they have in common, with a Gaussian prior on each coefficient. This is a Gaussian process with an
additive kernel; equations are those of Rasmussen & Williams, "Gaussian Processes for Machine
Learning", 2006. Noise is relative: its standard deviation is the same fraction of every ratio.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import build
from models.architecture import Architecture, Placement
from models.backbone import Plan

FEWEST = 8  # different architectures with placements; of 8 errors the largest bounds 8/9 of others
COVERAGE = 0.95
Z_95 = 1.96  # standard deviations on either side of a mean that hold as much of a normal law

LEVELS = {  # what coefficients are of: log10 of their variance ÷ that of the noise, before any data
    "type": 2.0,
    "type, stage": 1.0,
    "type, position": 1.0,
    "type, slot": 1.0,
    "block": 1.0,  # the type with its options
    "block, slot": 0.0,
    "macs": 3.0,  # of the block ÷ those of the plain backbone
    "type, macs": 3.0,
    "elements": 2.0,  # of the feature map ÷ those of the backbone's largest: memory traffic
    "type, elements": 2.0,
    "whole": 0.0,  # the architecture, where two placements or more may not add up
}
DECADES = 1.5  # standard deviation of log10 of a variance's ratio around its value in LEVELS
STEPS = (1.0, 0.5)  # of the search for these ratios, in decades
SWEEPS = 6  # at most, for each step
USUAL_NOISE = 0.01  # relative; it counts as much as one measurement

Array = NDArray[np.float64]
Key = tuple[str, Hashable]  # a level, and which of its coefficients
Features = Mapping[Key, float]


@dataclass(frozen=True)
class Prediction:
    """`ratio` is the predicted latency ÷ that of the plain backbone, never below 1.

    `half_width`, a fraction of `ratio`: a measurement lies within `ratio · (1 ± half_width)` in
    95 of 100 cases.
    """

    ratio: float
    half_width: float


class LatencyModel:
    """Predicts latency ratios of architectures of one backbone at square images of `image_size`.

    `measured` are architectures with their ratios, in any order; one that was measured repeatedly
    counts with its mean. Raises ValueError for a ratio that is not finite and positive and for two
    different backbones, InputError for an illegal placement.
    """

    def __init__(self, image_size: int, measured: Iterable[tuple[Architecture, float]]) -> None:
        groups = _grouped(measured)
        self._image_size = image_size
        self._backbone = groups[0].architecture.backbone if groups else None
        self._known: dict[Placement, Features] = {}
        self._times_seen = Counter(type_ for group in groups for type_ in group.types)
        judged = [self._can_be_left_out(group) for group in groups]
        features = [self._features(group.architecture) for group in groups]
        self._fit = _Fit(groups, features, np.array(judged)) if sum(judged) >= FEWEST else None

    @property
    def error(self) -> float:
        """Which relative error 95 of 100 predictions stay below, by leaving one out; inf: unknown.

        Left out are architectures with all their measurements; never the plain backbone, nor one
        that alone has a block of some type.
        """
        return self._fit.error if self._fit else math.inf

    def predict(self, architecture: Architecture) -> Prediction | None:
        """The latency ratio of `architecture`.

        None for another backbone, where a block's type was never measured, and with fewer than
        `FEWEST` architectures measured (counting those that the others say something about).
        Raises InputError for an illegal placement.
        """
        known = self._knows(architecture)
        return None if known is None else known.predict(self._features(architecture))

    def ratio(self, architecture: Architecture) -> float | None:
        """The ratio of `predict` alone, which takes less time."""
        known = self._knows(architecture)
        return None if known is None else known.ratio(self._features(architecture))

    def _knows(self, architecture: Architecture) -> "_Fit | None":
        if self._fit is None or architecture.backbone != self._backbone:
            return None
        return self._fit if _types(architecture) <= self._times_seen.keys() else None

    def _can_be_left_out(self, group: "_Group") -> bool:
        """Whether the other measurements say anything about it; what they do not is no error."""
        return bool(group.types) and all(self._times_seen[type_] > 1 for type_ in group.types)

    def _features(self, architecture: Architecture) -> Features:
        """What the coefficients are multiplied by: the sum over the placements."""
        total: dict[Key, float] = {}
        for placement in architecture.placements:
            if placement not in self._known:
                alone = Architecture(architecture.backbone, (placement,))
                build.check(alone, self._image_size)
                self._known[placement] = _features(placement, build.plan(alone, self._image_size))
            for key, value in self._known[placement].items():
                total[key] = total.get(key, 0.0) + value
        if len(architecture.placements) > 1:
            total["whole", architecture.placements] = 1.0
        return total


def _features(placement: Placement, planned: Plan) -> Features:
    slot, block = placement.slot, placement.block
    shape = planned.slots[slot]
    largest = max(s.channels * s.positions for s in planned.slots.values())
    elements = shape.channels * shape.positions / largest
    macs = build.block_cost(block, shape).macs / planned.cost.macs
    return {
        ("type", block.name): 1.0,
        ("type, stage", (block.name, slot.stage)): 1.0,
        ("type, position", (block.name, slot.position)): 1.0,
        ("type, slot", (block.name, slot)): 1.0,
        ("block", block): 1.0,
        ("block, slot", placement): 1.0,
        ("macs", None): macs,
        ("type, macs", block.name): macs,
        ("elements", None): elements,
        ("type, elements", block.name): elements,
    }


@dataclass(frozen=True)
class _Group:
    """An architecture with the mean of its ratios, their number and relative sum of squares."""

    architecture: Architecture
    ratio: float
    count: int
    scatter: float

    @property
    def types(self) -> Set[str]:
        return _types(self.architecture)


def _types(architecture: Architecture) -> Set[str]:
    return {placement.block.name for placement in architecture.placements}


def _grouped(measured: Iterable[tuple[Architecture, float]]) -> list[_Group]:
    """One group for each architecture, in an order that does not depend on that of `measured`."""
    ratios: dict[Architecture, list[float]] = {}
    for architecture, ratio in measured:
        if not (math.isfinite(ratio) and ratio > 0):
            raise ValueError(f"{architecture.describe()}: {ratio} is no ratio of latencies")
        ratios.setdefault(architecture, []).append(ratio)
    if len({architecture.backbone for architecture in ratios}) > 1:
        raise ValueError("measurements of different backbones have no common reference")
    ordered = sorted(ratios.items(), key=lambda item: item[0].to_json())
    return [_group(architecture, sorted(values)) for architecture, values in ordered]


def _group(architecture: Architecture, ratios: Sequence[float]) -> _Group:
    mean = math.fsum(ratios) / len(ratios)
    scatter = math.fsum((ratio / mean - 1) ** 2 for ratio in ratios)
    return _Group(architecture, mean, len(ratios), scatter)


class _Fit:
    """The Gaussian process given the measurements.

    Rows (measured architectures) are divided by the noise's standard deviation in units of σ, the
    relative noise of one measurement: by ratio/√count. So errors of rows are relative errors, all
    noise has variance σ², and all (co)variances are in units of σ².

    Intervals are the Gaussian process's, stretched to hold the errors of the `judged` rows left
    out, and by `1 + FEWEST/n`, since the same n rows have chosen the variances: on made-up truths
    intervals from 10 or 16 measurements held 83 % without it.
    """

    def __init__(
        self, groups: Sequence[_Group], features: Sequence[Features], judged: NDArray[np.bool_]
    ) -> None:
        self._columns = {key: i for i, key in enumerate(dict.fromkeys(_keys(features)))}
        ratios = np.array([group.ratio for group in groups])
        roots = np.sqrt([group.count for group in groups])
        x = np.zeros((len(groups), len(self._columns)))
        for row, of_row in enumerate(features):
            for key, value in of_row.items():
                x[row, self._columns[key]] = value
        x *= (roots / ratios)[:, None]
        y = (ratios - 1) * roots / ratios
        count, scatter = int(np.sum(roots**2)), math.fsum(group.scatter for group in groups)
        self._variances = _likeliest(_Kernels(x, list(self._columns), y, count, scatter))
        scales = np.sqrt([self._variances[level] for level, _ in self._columns])
        scaled = x * scales
        covariance = scaled @ scaled.T + np.eye(len(y))
        root = np.linalg.cholesky(covariance)
        inverse = np.linalg.inv(covariance)
        weights = inverse @ y
        self._noise = _noise(float(y @ weights), count, scatter)
        self._means = scales * (scaled.T @ weights)  # eq. 2.11: of the coefficients
        self._explained = np.linalg.solve(root, scaled) * scales
        errors = weights / np.diag(inverse)  # eq. 5.12: of a row, predicted from all the others
        surprises = np.abs(errors) * np.sqrt(np.diag(inverse)) / self._noise
        few = 1 + FEWEST / int(np.sum(judged))
        self._stretch = few * max(Z_95, _bound(surprises[judged]))
        self.error = _bound(_relative_errors(errors / roots, ratios)[judged])

    def predict(self, features: Features) -> Prediction:
        """Mean and variance of the sum of coefficients times features, eq. 2.12."""
        columns, values = self._seen(features)
        ratio = self.ratio(features)
        before = math.fsum(self._variances[key[0]] * x * x for key, x in features.items())
        explained = self._explained[:, columns] @ values
        variance = max(0.0, before - float(explained @ explained)) / ratio**2
        return Prediction(ratio, self._stretch * self._noise * math.sqrt(1.0 + variance))

    def ratio(self, features: Features) -> float:
        """The mean alone."""
        columns, values = self._seen(features)
        return max(1.0, 1.0 + float(self._means[columns] @ values))

    def _seen(self, features: Features) -> tuple[NDArray[np.intp], Array]:
        """The features that have coefficients, as columns and values."""
        known = [(self._columns[key], x) for key, x in features.items() if key in self._columns]
        columns = np.array([column for column, _ in known], dtype=np.intp)
        return columns, np.array([value for _, value in known])


def _keys(features: Iterable[Features]) -> Iterator[Key]:
    for of_one in features:
        yield from of_one


def _relative_errors(errors: Array, ratios: Array) -> Array:
    """Sizes of the relative errors, once no prediction is below 1; `errors` are measured − it."""
    predicted = np.maximum(1.0, ratios * (1 - errors))
    return np.abs(1 - predicted / ratios)


def _bound(sizes: Array) -> float:
    """What one more of such sizes stays below in 95 of 100 cases, if they are exchangeable.

    The ⌈COVERAGE · (n + 1)⌉-th smallest of n, as in conformal prediction (Vovk et al., "Algorithmic
    Learning in a Random World", 2005); with fewer than 19 the largest, which holds n/(n + 1).
    """
    rank = min(math.ceil(COVERAGE * (len(sizes) + 1)), len(sizes))
    return float(np.sort(sizes)[rank - 1])


def _noise(misfit: float, count: int, scatter: float) -> float:
    """σ, the relative noise of one of `count` measurements, where the evidence is largest."""
    return math.sqrt((misfit + scatter + USUAL_NOISE**2) / (count + 1))


class _Kernels:
    """The rows' covariances, one matrix for each level, and the evidence for variances of these."""

    def __init__(self, x: Array, keys: Sequence[Key], y: Array, count: int, scatter: float) -> None:
        of_level = {level: [i for i, key in enumerate(keys) if key[0] == level] for level in LEVELS}
        self._kernels = {
            level: x[:, columns] @ x[:, columns].T for level, columns in of_level.items() if columns
        }
        self.levels = tuple(self._kernels)
        self._y, self._count, self._scatter = y, count, scatter

    def evidence(self, decades: Mapping[str, float]) -> float:
        """Log marginal likelihood, eq. 5.8, with the likeliest σ, and the prior of LEVELS.

        Means and scatter of repeated measurements are sufficient for them, hence `count`.
        """
        covariance = np.eye(len(self._y))
        for level, kernel in self._kernels.items():
            covariance += 10 ** decades[level] * kernel
        root = np.linalg.cholesky(covariance)
        misfit = float(np.sum(np.linalg.solve(root, self._y) ** 2))
        noise = _noise(misfit, self._count, self._scatter)
        prior = sum(((decades[level] - LEVELS[level]) / DECADES) ** 2 for level in LEVELS)
        determinant = 2 * float(np.sum(np.log(np.diag(root))))
        return -(self._count + 1) * math.log(noise) - (determinant + prior) / 2


def _likeliest(kernels: _Kernels) -> Mapping[str, float]:
    """Each level's variance ÷ σ², by climbing the evidence one level at a time."""
    best = dict(LEVELS)
    highest = kernels.evidence(best)
    for step in STEPS:
        for _ in range(SWEEPS):
            before = highest
            for level in kernels.levels:
                for tried in (best[level] + step, best[level] - step):
                    value = kernels.evidence({**best, level: tried})
                    if value > highest:
                        best[level], highest = tried, value
                        break
            if highest == before:
                break
    return {level: 10**decades for level, decades in best.items()}
