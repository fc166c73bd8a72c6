"""Where a learning curve will end, from curves that were followed to their end."""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FEWEST = 4  # whole curves before anything is said
SLOPE, SLOPE_SD = 0.5, 0.5  # of final over present losses, usually: 1 if nothing were luck
LEAST_NOISE = 0.005  # of a final loss, however well few curves agree: half a percent of the error
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

    @property
    def half_width(self) -> float:
        """Of the interval that holds the end in 95 of 100 cases."""
        return self.deviation * float(stats.t.ppf((1 + COVERAGE) / 2, self.freedom))


class Curves:
    """Predicts final losses by a regression on the loss at the same epoch.

    `curves`: losses epoch by epoch of trainings; those that have as many epochs as the longest were
    not given up. The final loss is taken to be a line over that of the epoch, whose slope few
    curves cannot move far from `SLOPE` (a ridge), plus normal noise. That the worst were given up
    at this epoch does not bias the regression on it; that some were at later ones makes it a little
    hopeful.
    """

    def __init__(self, curves: Sequence[Sequence[float]]) -> None:
        self._curves = curves
        self._epochs = max((len(curve) for curve in curves), default=0)
        self._whole = np.array([c for c in curves if len(c) == self._epochs])

    def expected(self, curve: Sequence[float]) -> Expected | None:
        """The loss at the end of a curve of at least one epoch; None where too little is known.

        A whole curve ends at its end.
        """
        many, epoch = len(self._whole), len(curve)
        if not many or not epoch:
            return None
        if epoch >= self._epochs:
            return Expected(curve[-1], 0.0, many)
        if many < FEWEST:
            return None
        line = _Line(self._whole[:, epoch - 1], self._whole[:, -1])
        return Expected(line.at(curve[-1]), line.deviation(curve[-1]), line.freedom)

    def how_rarely_as_bad(self, curve: Sequence[float], wanted: float) -> float | None:
        """Of those that end at `wanted` or below, the part that is as bad as `curve` at its epoch.

        None where too little is known. By Bayes' rule from what the curves that came to this epoch
        lead to expect, whatever became of them, which is taken to be normally distributed, and from
        the regression: so it counts that a very good end is good luck as well, and that curves that
        say little are as bad for the best. The mean over the slopes that the regression may have.
        """
        many, epoch = len(self._whole), len(curve)
        if many < FEWEST or not 0 < epoch < self._epochs:
            return None
        likeliest = _Line(self._whole[:, epoch - 1], self._whole[:, -1])
        came = np.array([*(c[epoch - 1] for c in self._curves if len(c) >= epoch), curve[-1]])
        found = [_part_as_bad(line, came, wanted) for line in likeliest.possible()]
        return float(np.mean(found))


def _part_as_bad(line: "_Line", came: Array, wanted: float) -> float:
    """Of those that end at `wanted` or below, the part as bad as the last that `came`."""
    leads_to = line.at(came)
    possible = leads_to.mean() + leads_to.std(ddof=1) * STEPS
    reached = stats.t.cdf((wanted - possible) / line.deviation(came[-1]), line.freedom)
    weights = np.exp(-0.5 * STEPS**2) * reached
    whole, as_bad = weights.sum(), weights[possible >= leads_to[-1]].sum()
    return float(as_bad / whole) if whole > 0 else 1.0


class _Line:
    """The regression of `final` losses on `present` ones, at least `FEWEST`."""

    def __init__(self, present: Array, final: Array) -> None:
        many = len(present)
        self._centre, gained = float(present.mean()), final - SLOPE * present
        self._gained, offset = float(gained.mean()), present - self._centre
        noise = float(np.var(gained, ddof=1))
        for _ in range(10):  # the ridge depends on the noise, and the noise on the slope
            ridge = noise / SLOPE_SD**2
            self._spread = float(offset @ offset) + ridge
            self._tilt = float(offset @ gained) / self._spread if self._spread else 0.0
            left = gained - self._gained - self._tilt * offset
            noise = max(float(left @ left) / (many - 2), LEAST_NOISE**2)
        self._noise, self._many = noise, many

    def possible(self) -> Iterator["_Line"]:
        """The same with other slopes, each as likely as the others; none that falls."""
        doubt = math.sqrt(self._noise / self._spread) if self._spread else 0.0
        for part in PARTS:
            line = copy.copy(self)
            line._tilt = max(self._tilt + doubt * float(stats.t.ppf(part, self.freedom)), -SLOPE)
            yield line

    @property
    def freedom(self) -> int:
        """The degrees of it that the deviation has."""
        return self._many - 2

    def at(self, loss: Any) -> Any:
        """The final loss that `loss`, one or many, leads to expect."""
        return SLOPE * loss + self._gained + self._tilt * (loss - self._centre)

    def deviation(self, loss: float) -> float:
        """Of final losses around what `loss` leads to expect."""
        ahead = loss - self._centre
        doubt = 1 + 1 / self._many + (ahead**2 / self._spread if self._spread else 0.0)
        return math.sqrt(self._noise * doubt)
