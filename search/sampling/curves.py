"""Where a learning curve will end, from curves that were followed to their end."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

FEWEST = 4  # whole curves before anything is said
SLOPE, SLOPE_SD = 0.5, 0.5  # of final over present losses, usually: 1 if nothing were luck
LEAST_NOISE = 0.005  # of a final loss, however well few curves agree: half a percent of the error
Z_95 = 1.96
LEAST_SPREAD = 1e-9  # of numbers that are as good as equal
FAR, OUT_OF_SIGHT = 3.0, 6.0  # robust standard deviations above the middle
COVERAGE = 0.95
PARTS = (np.arange(9) + 0.5) / 9  # of a law that are as likely
STEPS = np.linspace(-8, 8, 801)  # of an integral over a normal law, in standard deviations

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """The loss at the end of a curve: `mean`, and `deviation` times a t of `freedom` degrees."""

    mean: float
    deviation: float
    freedom: int

    def chance_below(self, wanted: float) -> float:
        """How likely the curve ends at `wanted` or below."""
        if self.deviation == 0:
            return float(self.mean <= wanted)
        return float(stdtr(self.freedom, (wanted - self.mean) / self.deviation))

    @property
    def variance(self) -> float:
        """Of a normal law whose interval is as wide."""
        return (self.half_width / Z_95) ** 2

    @property
    def half_width(self) -> float:
        """Of the interval that holds the end in 95 of 100 cases."""
        return self.deviation * float(stdtrit(self.freedom, (1 + COVERAGE) / 2))


class Curves:
    """Predicts final losses by a regression on the loss at the same epoch, and on costs.

    `curves`: losses epoch by epoch of trainings; those that have as many epochs as the longest were
    not given up. `costs` [curves, d]: logarithms of what each candidate costs, where that is to
    count: what costs little is compared with what costs little. The final loss is taken to be
    linear in all of these, with a slope over the present loss that few curves cannot move far from
    `SLOPE` (a ridge), plus normal noise. That the worst were given up at this epoch does not bias
    the regression; that some were at later ones makes it a little hopeful.
    """

    def __init__(
        self, curves: Sequence[Sequence[float]], costs: Sequence[Sequence[float]] | None = None
    ) -> None:
        self._curves = curves
        self._costs = np.zeros((len(curves), 0)) if costs is None else np.array(costs, float)
        self._epochs = max((len(curve) for curve in curves), default=0)
        self._whole = np.array([len(curve) == self._epochs for curve in curves], bool)
        self._known: dict[tuple[int, tuple[float, ...]], _Epoch] = {}

    def expected(self, curve: Sequence[float], costs: Sequence[float] = ()) -> Expected | None:
        """The loss at the end of a curve of at least one epoch; None where too little is known.

        A whole curve ends at its end.
        """
        whole, epoch = int(self._whole.sum()), len(curve)
        if not whole or not epoch or not self._epochs:
            return None
        if epoch >= self._epochs:
            return Expected(curve[-1], 0.0, whole)
        if whole < FEWEST:
            return None
        known = self._known_of(epoch, costs)
        line, loss = known.line, min(curve[-1], known.worst)
        return Expected(line.at(loss), line.deviation(loss), line.freedom)

    def how_rarely_as_bad(
        self, curve: Sequence[float], wanted: float, costs: Sequence[float] = ()
    ) -> float | None:
        """Of those that end at `wanted` or below, the part that is as bad as `curve` at its epoch.

        None where too little is known, and in the first half of a training that is out of sight: it
        may have begun late. By Bayes' rule from how the losses of all that came to this epoch are
        spread, whatever became of them, which is taken to be normal, and from the regression: so it
        counts that a very good end is good luck as well, and that curves that say little are as bad
        for the best. The mean over the slopes that the regression may have.
        """
        epoch = len(curve)
        if self._whole.sum() < FEWEST or not 0 < epoch < self._epochs:
            return None
        if epoch <= self._epochs / 2 and self._is_out_of_sight(curve):
            return None
        known = self._known_of(epoch, costs)
        came = np.array([*known.losses, min(curve[-1], known.worst)])
        return float(np.mean([_part_as_bad(each, came, wanted) for each in known.line.possible()]))

    def _is_out_of_sight(self, curve: Sequence[float]) -> bool:
        return curve[-1] > _far(self._present(len(curve)), OUT_OF_SIGHT)

    def _present(self, epoch: int) -> Array:
        """The losses of all that came to an epoch."""
        return np.array([c[epoch - 1] for c in self._curves if len(c) >= epoch])

    def _known_of(self, epoch: int, costs: Sequence[float]) -> "_Epoch":
        key = (epoch, tuple(costs))
        if key not in self._known:
            self._known[key] = self._epoch(*key)
        return self._known[key]

    def _epoch(self, epoch: int, costs: Sequence[float]) -> "_Epoch":
        reached = np.array([len(c) >= epoch for c in self._curves])
        whole = self._whole[reached]
        present, final = self._present(epoch), self._present(self._epochs)
        ahead = self._costs[reached] - np.array(costs, float)
        spread = ahead.std(0)
        ahead = ahead[:, spread > LEAST_SPREAD] / spread[spread > LEAST_SPREAD]
        worst = _far(present, FAR)
        present = np.minimum(present, worst)
        line = _Line(present[whole], ahead[whole], final)
        return _Epoch(line, present - ahead @ _trend(ahead, present), worst)


@dataclass(frozen=True)
class _Epoch:
    """What is known of an epoch at some costs.

    `line`: the regression. `losses`: of all that came so far, as they would be at these costs.
    `worst`: what those that are far worse than others count as: a training that begins late says
    little of how others end.
    """

    line: "_Line"
    losses: Array
    worst: float


def _far(losses: Array, times: float) -> float:
    """So many standard deviations, robustly, above the middle; infinite where nothing is spread."""
    middle = float(np.median(losses))
    spread = float(np.median(np.abs(losses - middle)) / ndtri(0.75))  # as of a normal law
    return middle + times * spread if spread > LEAST_SPREAD else math.inf


def _trend(ahead: Array, values: Array) -> Array:
    """What the values rise with each of `ahead` [n, d], whose variances are 1; by a ridge."""
    offset = ahead - ahead.mean(0)
    precision = offset.T @ offset + np.eye(ahead.shape[1])
    found: Array = np.linalg.solve(precision, offset.T @ (values - values.mean()))
    return found


def _part_as_bad(line: "_Line", came: Array, wanted: float) -> float:
    """Of those that end at `wanted` or below, the part as bad as the last that `came` [n]."""
    spread = came.std(ddof=1)
    if spread <= LEAST_SPREAD:
        return 1.0
    possible = came.mean() + spread * STEPS
    reached = stdtr(line.freedom, (wanted - line.at(possible)) / line.deviation(came[-1]))
    weights = np.exp(-0.5 * STEPS**2) * reached
    whole, as_bad = weights.sum(), weights[possible >= came[-1]].sum()
    return float(as_bad / whole) if whole > 0 else 1.0


class _Line:
    """The regression of `final` losses [n] on `present` ones [n] and on costs `ahead` [n, d].

    It is used at the costs where `ahead` is 0; n is at least `FEWEST`.
    """

    def __init__(self, present: Array, ahead: Array, final: Array) -> None:
        self._many, gained = len(present), final - SLOPE * present
        columns = np.column_stack([present, ahead])
        self._centre, self._gained = columns.mean(0), float(gained.mean())
        offset, gained = columns - self._centre, gained - self._gained
        noise = max(float(np.var(gained, ddof=1)), LEAST_NOISE**2)
        usual = np.full(columns.shape[1], max(float(final.std()), LEAST_NOISE))
        usual[0] = SLOPE_SD
        for _ in range(10):  # the ridge depends on the noise, and the noise on the slopes
            self._inverse = np.linalg.inv(offset.T @ offset + np.diag(noise / usual**2))
            self._slopes = self._inverse @ (offset.T @ gained)
            left = gained - offset @ self._slopes
            noise = max(float(left @ left) / self.freedom, LEAST_NOISE**2)
        self._noise = noise

    def possible(self) -> Iterator["_Line"]:
        """The same with other slopes, each as likely as the others."""
        doubt = math.sqrt(self._noise * self._inverse[0, 0])
        beside = self._inverse[:, 0] / self._inverse[0, 0]
        for ahead in stdtrit(self.freedom, PARTS):
            line = copy.copy(self)
            line._slopes = self._slopes + doubt * float(ahead) * beside
            yield line

    @property
    def freedom(self) -> int:
        """The degrees of it that the deviation has."""
        return max(self._many - 1 - len(self._centre), 1)

    def at(self, loss: Any) -> Any:
        """The final loss that `loss`, one or many, leads to expect."""
        rest = float(self._centre[1:] @ self._slopes[1:])
        return SLOPE * loss + self._gained + self._slopes[0] * (loss - self._centre[0]) - rest

    def deviation(self, loss: float) -> float:
        """Of final losses around what `loss` leads to expect."""
        ahead = np.array([loss, *np.zeros(len(self._centre) - 1)]) - self._centre
        doubt = 1 + 1 / self._many + float(ahead @ self._inverse @ ahead)
        return math.sqrt(self._noise * doubt)
