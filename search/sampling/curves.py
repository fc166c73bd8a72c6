"""Where a learning curve will end, from curves that were followed to their end."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

FEWEST = 4  # whole curves before anything is said
SLOPE_SD = 0.5  # how far from 1 the slope of final over present losses usually is
LEAST_NOISE = 0.005  # of a final loss, however well few curves agree: half a percent of the error
COVERAGE = 0.95


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
        return float(stats.t.cdf((wanted - self.mean) / self.deviation, self.freedom))

    @property
    def half_width(self) -> float:
        """Of the interval that holds the end in 95 of 100 cases."""
        return self.deviation * float(stats.t.ppf((1 + COVERAGE) / 2, self.freedom))


class Curves:
    """Predicts final losses by a regression on the loss at the same epoch.

    `whole`: losses epoch by epoch of trainings that were not given up, the last epoch's last. The
    final loss is taken to be that of the epoch, plus a constant, with a slope near 1 that few
    curves cannot move far (a ridge), plus normal noise. That the worst were given up at this
    epoch does not bias the regression on it; that some were at later ones makes it a little
    hopeful.
    """

    def __init__(self, whole: Sequence[Sequence[float]]) -> None:
        self._epochs = max((len(curve) for curve in whole), default=0)
        self._whole = np.array([c for c in whole if len(c) == self._epochs])

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
        present, final = self._whole[:, epoch - 1], self._whole[:, -1]
        centre, gained = float(present.mean()), final - present
        offset = present - centre
        noise = float(np.var(gained, ddof=1))
        for _ in range(3):  # the ridge depends on the noise, and the noise on the slope
            ridge = noise / SLOPE_SD**2
            spread = float(offset @ offset) + ridge
            tilt = float(offset @ gained) / spread if spread else 0.0
            left = gained - gained.mean() - tilt * offset
            noise = max(float(left @ left) / (many - 2), LEAST_NOISE**2)
        ahead = curve[-1] - centre
        mean = curve[-1] + float(gained.mean()) + tilt * ahead
        doubt = 1 + 1 / many + (ahead**2 / spread if spread else 0.0)
        return Expected(mean, math.sqrt(noise * doubt), many - 2)
