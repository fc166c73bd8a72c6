"""The few of a front that people ask for: most accurate, smallest, fastest, and the knee."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from search.front import front, minimised
from search.trial import Role, State, Trial

FEWEST_FOR_A_KNEE = 3  # of two, both are ends


class Label(enum.StrEnum):
    """What a pick is the best in; its value names folders."""

    MOST_ACCURATE = "most-accurate"
    SMALLEST = "smallest"
    FASTEST = "fastest"
    FEWEST_MACS = "fewest-macs"
    KNEE = "knee"


CHEAPEST = {
    "params": Label.SMALLEST,
    "latency_ms": Label.FASTEST,
    "macs": Label.FEWEST_MACS,
}


@dataclass(frozen=True)
class Pick:
    """A candidate of the front, and all that it is the best in, most important first."""

    trial: Trial
    labels: tuple[Label, ...]


def picks(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Pick]:
    """The picks of a study, each trial once; none where no candidate is on the front.

    The cheapest and the knee are chosen among the candidates more accurate than the fully trained
    baseline, if there is one: whoever wants less can have the plain backbone. The knee is the one
    nearest to the best of every objective at once, each scaled to what the front spans (compromise
    programming, Zeleny 1973).
    """
    members = front(trials, objectives)
    candidates = [trial for trial in members if trial.role is Role.CANDIDATE]
    if not candidates:
        return []
    best = {Label.MOST_ACCURATE: candidates[0]}
    above = [t for t in candidates if _accuracy(t) > _accuracy(_baseline(trials))]
    if above:
        for name in (name for name in objectives if name in CHEAPEST):
            best[CHEAPEST[name]] = min(above, key=lambda t: (_cost(t, name), -_accuracy(t)))
        if len(members) >= FEWEST_FOR_A_KNEE:
            best[Label.KNEE] = _knee(above, members, objectives)
    chosen = {trial.number: trial for trial in best.values()}
    return [
        Pick(trial, tuple(label for label, its in best.items() if its.number == number))
        for number, trial in chosen.items()
    ]


def _knee(above: Sequence[Trial], members: Sequence[Trial], objectives: Sequence[str]) -> Trial:
    rated = {t.number: minimised(t, objectives) or () for t in members}
    lows = [min(column) for column in zip(*rated.values(), strict=True)]
    spans = [max(column) - min(column) for column in zip(*rated.values(), strict=True)]

    def distance(trial: Trial) -> float:
        values = zip(rated[trial.number], lows, spans, strict=True)
        return math.hypot(*((value - low) / (span or 1.0) for value, low, span in values))

    return min(above, key=lambda trial: (distance(trial), trial.number))


def _baseline(trials: Sequence[Trial]) -> Trial | None:
    trained = (t for t in trials if t.role is Role.BASELINE and t.state is State.COMPLETE)
    return next(trained, None)


def _accuracy(trial: Trial | None) -> float:
    """-1 of no trial, which every accuracy is above."""
    return -1.0 if trial is None else trial.val_accuracy or 0.0


def _cost(trial: Trial, name: str) -> float:
    value = trial.objective(name)
    return math.inf if value is None else value
