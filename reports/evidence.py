"""What the finalists' trainings show on the test split, and which differences are real.

Whether a training hits an image depends on the seed, on the image and on both. So a mean over seeds
and images has two errors, s²/n of the seeds' means and s²/N of the images' means, which are added:
what belongs to both is counted twice, which makes intervals a little too wide (the two-way random
effects model; Owen, "The pigeonhole bootstrap", 2007). Each error has its own Student's t, whose
squares are added (Banerjee, 1960): with few seeds the degrees of freedom of Welch and Satterthwaite
would call up to a tenth of differences of nothing real. Networks are compared pair by pair: same
seed, same batches, same images. Of several comparisons the p-values are corrected by Holm (1979).
"""

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from search.trial import Role, State, Trial

LEVEL = 0.05
TINY = 1e-12  # p-values below are not told apart
FEWEST_SEEDS = 2  # of one nothing is known of another

Hits = npt.NDArray[np.float64]


class Kind(enum.StrEnum):
    """What a network is among the finalists."""

    CANDIDATE = "candidate"
    BASELINE = "baseline"
    CONTROL = "control"
    EQUAL_SIZE = "equal size"


@dataclass(frozen=True)
class Estimated:
    """A mean and its squared errors, each with its degrees of freedom; fractions."""

    value: float
    errors: tuple[tuple[float, int], ...]

    @classmethod
    def of(cls, hits: Hits) -> "Estimated":
        """Of `[seeds, images]`, at least two by two."""
        means = (hits.mean(axis=1), hits.mean(axis=0))  # of seeds, of images
        errors = tuple((float(m.var(ddof=1)) / len(m), len(m) - 1) for m in means)
        return cls(float(hits.mean()), errors)

    @cached_property
    def half_width(self) -> float:
        """Half the 95 % interval."""
        return _half_width(LEVEL, self.errors)

    @cached_property
    def p(self) -> float:
        """The p-value of its being 0."""
        if self.half_width == 0:
            return 1.0 if self.value == 0 else TINY
        return _p_value(abs(self.value), self.errors)


def _half_width(level: float, errors: Sequence[tuple[float, int]]) -> float:
    """Of the interval that misses in the part `level`; squared errors with degrees of freedom."""
    quantiles = (float(stats.t.isf(level / 2, freedom)) for _, freedom in errors)
    squared = (t * t * square for t, (square, _) in zip(quantiles, errors, strict=True))
    return math.sqrt(sum(squared))


def _p_value(distance: float, errors: Sequence[tuple[float, int]]) -> float:
    """The level at which 0 is at the end of the interval."""
    if _half_width(TINY, errors) <= distance:
        return TINY
    return float(
        optimize.brentq(lambda level: _half_width(level, errors) - distance, TINY, 1.0, xtol=TINY)
    )


@dataclass(frozen=True)
class Final:
    """A network and its trainings, by seed; `trial` is the search's that they are made for."""

    kind: Kind
    trial: Trial
    runs: tuple[Trial, ...]

    @property
    def params(self) -> int:
        """Trained parameters."""
        return self.runs[0].params

    @property
    def title(self) -> str:
        """What is placed in it."""
        return self.runs[0].architecture.describe()

    @cached_property
    def accuracies(self) -> tuple[float, ...]:
        """On the test split, by seed; fractions."""
        return tuple(run.judged.accuracy for run in self.runs if run.judged)

    @property
    def mean(self) -> float:
        """Of the accuracies."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float | None:
        """The seeds' standard deviation; None of one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.runs) > 1 else None

    @cached_property
    def accuracy(self) -> Estimated | None:
        """The mean with its interval, by seeds and images; None of one seed."""
        return Estimated.of(hits(self.runs)) if len(self.runs) >= FEWEST_SEEDS else None


@dataclass(frozen=True)
class Difference:
    """How much more accurate `final` is than `reference`, by the seeds that both have.

    `p`: corrected for all comparisons of a study.
    """

    final: Final
    reference: Final
    seeds: tuple[int, ...]
    gain: Estimated
    p: float

    @property
    def real(self) -> bool:
        """Whether it is more than noise, up or down."""
        return self.p < LEVEL

    @property
    def won(self) -> bool:
        """Whether it is a gain beyond noise."""
        return self.real and self.gain.value > 0

    @property
    def lost(self) -> bool:
        """Whether it is a loss beyond noise."""
        return self.real and self.gain.value < 0


def hits(runs: Iterable[Trial]) -> Hits:
    """`[seeds, images]`: 1 where the image was labelled right."""
    return np.array([run.judged.unpacked() for run in runs if run.judged], np.float64)


def finals(finalists: Sequence[Trial], trials: Sequence[Trial]) -> list[Final]:
    """The networks of the trainings that were judged, `trials` being those of the search.

    Candidates come first, each before its control of equal size, then control and baseline. Of a
    network that was trained for different numbers of epochs the last kind of training counts.
    """
    by_number = {trial.number: trial for trial in trials}
    judged = [t for t in finalists if t.state is State.COMPLETE and t.judged and t.of in by_number]
    if not judged:
        return []
    epochs, images = judged[-1].epochs, judged[-1].judged
    groups: dict[str, list[Trial]] = {}
    for run in judged:
        if run.epochs == epochs and run.judged and images and run.judged.images == images.images:
            groups.setdefault(run.architecture_id, []).append(run)
    found = [_final(runs, by_number) for runs in groups.values()]
    order = list(Kind)
    return sorted(
        found,
        key=lambda final: (
            final.kind in {Kind.BASELINE, Kind.CONTROL},
            -order.index(final.kind) if final.kind in {Kind.BASELINE, Kind.CONTROL} else 0,
            -(final.trial.val_accuracy or 0.0),
            final.trial.number,
            order.index(final.kind),
        ),
    )


def _final(runs: Sequence[Trial], trials: dict[int, Trial]) -> Final:
    trial = trials[runs[0].of if runs[0].of is not None else -1]
    kind = Kind.EQUAL_SIZE
    if runs[0].architecture == trial.architecture:
        kind = Kind(trial.role.value) if trial.role is not Role.CANDIDATE else Kind.CANDIDATE
    by_seed = {run.seed: run for run in runs}
    return Final(kind, trial, tuple(by_seed[seed] for seed in sorted(by_seed, key=int_of)))


def int_of(seed: int | None) -> int:
    """Finalists have a seed."""
    return -1 if seed is None else seed


def differences(found: Sequence[Final]) -> list[Difference]:
    """Every candidate against the baseline, its control of equal size and the control.

    Only by seeds that both were trained with, of which there must be two.
    """
    pairs = [
        (final, reference)
        for final in found
        if final.kind is Kind.CANDIDATE
        for reference in _references(final, found)
    ]
    compared = [(a, b, _common(a, b)) for a, b in pairs]
    compared = [each for each in compared if len(each[2]) >= FEWEST_SEEDS]
    gains = [
        Estimated.of(hits(_with(a, seeds)) - hits(_with(b, seeds))) for a, b, seeds in compared
    ]
    corrected = holm([gain.p for gain in gains])
    return [
        Difference(a, b, seeds, gain, p)
        for (a, b, seeds), gain, p in zip(compared, gains, corrected, strict=True)
    ]


def _references(final: Final, found: Sequence[Final]) -> list[Final]:
    twins = [f for f in found if f.kind is Kind.EQUAL_SIZE and f.trial.number == final.trial.number]
    shared = {kind: [f for f in found if f.kind is kind] for kind in (Kind.BASELINE, Kind.CONTROL)}
    return [*shared[Kind.BASELINE], *twins, *shared[Kind.CONTROL]]


def _common(a: Final, b: Final) -> tuple[int, ...]:
    both = {run.seed for run in a.runs} & {run.seed for run in b.runs}
    return tuple(sorted(map(int_of, both)))


def _with(final: Final, seeds: Sequence[int]) -> list[Trial]:
    return [run for run in final.runs if run.seed in seeds]


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values, corrected so that in 19 of 20 studies no difference is wrongly called real."""
    corrected = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        corrected[index] = highest
    return corrected
