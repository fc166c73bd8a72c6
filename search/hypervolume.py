"""How the front grew: the hypervolume of what was found, trial by trial."""

from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from search.front import rated
from search.trial import Trial

BEYOND = 1.1  # the reference point lies at so many spans of each objective from its best value


@dataclass(frozen=True)
class Moment:
    """What was found by the first `trials` trials, in the order they were begun.

    `seconds` of training and validation they took, all workers together. `volume`: the hypervolume
    of their front as a fraction of that of all trials.
    """

    trials: int
    seconds: float
    volume: float


def growth(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Moment]:
    """A moment behind every trial that has ended; none where nothing can be on a front.

    Every objective is scaled by what the fully trained trials within the budgets span, and the
    reference point lies a tenth of that span behind their worst.
    """
    points = {trial.number: point for trial, point in rated(trials, objectives)}
    if not points:
        return []
    scaled = _scaled(np.array(list(points.values())))
    rows = dict(zip(points, scaled, strict=True))
    whole = _volume(scaled)
    moments, found, seconds = [], np.zeros((0, scaled.shape[1])), 0.0
    volume = 0.0
    ended = [trial for trial in trials if trial.state.ended]
    for many, trial in enumerate(sorted(ended, key=lambda trial: trial.number), 1):
        seconds += sum(epoch.train_seconds + epoch.validation_seconds for epoch in trial.curve)
        if trial.number in rows:
            found = np.vstack([found, rows[trial.number]])
            found = found[moocore.is_nondominated(found)]
            volume = _volume(found)
        moments.append(Moment(many, seconds, volume / whole))
    return moments


def _scaled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = points.min(0), points.max(0)
    span = np.where(high > low, high - low, 1.0)
    found: NDArray[np.float64] = (points - low) / span
    return found


def _volume(points: NDArray[np.float64]) -> float:
    return float(moocore.hypervolume(points, ref=[BEYOND] * points.shape[1]))
