"""Which blocks and places help: what the trials of a study say, and what a model makes of them.

The model is the sampler's without the costs, so that what a placement gains by its size counts as
its own. For a property, such as "type: se", it compares every trained candidate that has it with
itself without the placements that have it, by the fitted process; what was never trained is thus
predicted. Trainings that were given up count with what their curves lead to expect; without them,
blocks would seem good whose bad candidates are given up. The plain comparison, of fully trained
trials that have the property with those that do not, is confounded: a sampler puts what seems good
beside what seems good.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from models.architecture import Architecture, Placement, option_text
from search.placement_features import PlacementFeatures
from search.sampling.curves import Curves
from search.sampling.encoder import Encoder, Vocabulary
from search.sampling.observations import loss
from search.sampling.surrogate import Known, Surrogate
from search.trial import State, Trial

FEWEST = 8  # fully trained candidates with placements, before a model is fitted
COVERAGE = 0.95
TRIALS_A_FREEDOM = 4  # an interval is that of a t law with a degree of freedom for so many trials
MOST = 600  # trained candidates that the model is given, the latest; its time grows with the cube


def place_of(placement: Placement) -> str:
    """Where a placement sits, whichever residual block of its stage: `stage3, before_add`."""
    return f"stage{placement.slot.stage}, {placement.slot.position}"


PROPERTIES: Mapping[str, Callable[[Placement], Sequence[str]]] = {
    "type": lambda p: [p.block.name],
    "stage": lambda p: [f"stage{p.slot.stage}"],
    "position": lambda p: [p.slot.position],
    "slot": lambda p: [str(p.slot)],
    "type, stage": lambda p: [f"{p.block.name}, stage{p.slot.stage}"],
    "type, position": lambda p: [f"{p.block.name}, {p.slot.position}"],
    "stage, position": lambda p: [place_of(p)],
    "type, stage, position": lambda p: [f"{p.block.name}, {place_of(p)}"],
    "option": lambda p: [f"{p.block.name}, {k}={option_text(v)}" for k, v in p.block.options],
}


@dataclass(frozen=True)
class Gain:
    """A gain in validation accuracy, a fraction, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """What placements with a property are worth.

    `by_model`: the gain of one such placement, in the mean over the `trials` candidates that have
    it and were trained, to the end or for a part. `by_trials`: the mean accuracy of those that were
    to the end, less that of all others; None where either side has fewer than two.
    """

    kind: str
    value: str
    trials: int
    by_model: Gain
    by_trials: Gain | None


def effects(trials: Sequence[Trial]) -> list[Effect]:
    """The effects of all properties, by kind and falling gain; none where little was trained."""
    seen = _seen([trial for trial in trials if trial.role.contends])[-MOST:]
    complete = [each.trial for each in seen if each.trial.state is State.COMPLETE]
    if sum(bool(trial.architecture.placements) for trial in complete) < FEWEST:
        return []
    model = _Model(seen)
    found = []
    for kind, values in PROPERTIES.items():
        of_kind = []
        for value, having in _by_value([each.trial for each in seen], values).items():
            gain = model.gain(having, _has(kind, value))
            of_kind.append(Effect(kind, value, len(having), gain, _raw(having, complete)))
        found += sorted(of_kind, key=lambda each: (-each.by_model.value, each.value))
    return found


@dataclass(frozen=True)
class _Seen:
    """A trial with its final loss, or with that which its curve leads to expect."""

    trial: Trial
    loss: float
    variance: float = 0.0


def _seen(trials: Sequence[Trial]) -> list[_Seen]:
    """Those trained to the end and those given up, as far as it is known where they would end."""
    losses = {trial.number: [loss(e.val_accuracy) for e in trial.curve] for trial in trials}
    curves = Curves([losses[t.number] for t in trials if t.state is State.COMPLETE])
    found = []
    for trial in trials:
        if trial.state is State.COMPLETE:
            found.append(_Seen(trial, losses[trial.number][-1]))
        elif trial.state is State.STOPPED:
            end = curves.expected(losses[trial.number])
            found += [] if end is None else [_Seen(trial, end.mean, end.variance)]
    return found


def _has(kind: str, value: str) -> Callable[[Placement], bool]:
    return lambda placement: value in PROPERTIES[kind](placement)


def _by_value(
    trials: Sequence[Trial], values: Callable[[Placement], Sequence[str]]
) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        of_one = (value for p in trial.architecture.placements for value in values(p))
        for value in dict.fromkeys(of_one):
            found.setdefault(value, []).append(trial)
    return found


class _Model:
    """The process over placements alone."""

    def __init__(self, seen: Sequence[_Seen]) -> None:
        architectures = [each.trial.architecture for each in seen]
        self._encoder = Encoder(
            Vocabulary(PlacementFeatures()), architectures, np.ones((len(seen), 0))
        )
        known = Known(
            self._rows(architectures),
            np.array([each.loss for each in seen]),
            np.array([each.variance for each in seen]),
        )
        self._surrogate = Surrogate(known, self._encoder.level_of)
        # Wider than a normal law's: the process's parameters are themselves chosen by the trials.
        freedom = len(seen) / TRIALS_A_FREEDOM
        self._deviations = float(stats.t.ppf((1 + COVERAGE) / 2, freedom))
        plain = Architecture(architectures[0].backbone)
        means, _ = self._surrogate.predict(self._rows([plain]))
        self._plain_error = float(np.exp(means[0]))

    def gain(self, having: Sequence[Trial], chosen: Callable[[Placement], bool]) -> Gain:
        """What one `chosen` placement gains over its absence, in the mean over `having`.

        In accuracy where the error is the plain backbone's.
        """
        without, weights = [], []
        for trial in having:
            left = tuple(p for p in trial.architecture.placements if not chosen(p))
            without.append(Architecture(trial.architecture.backbone, left))
            removed = len(trial.architecture.placements) - len(left)
            weights.append(1 / (removed * len(having)))
        rows = self._rows([*(trial.architecture for trial in having), *without])
        mean, deviation = self._surrogate.combination(
            rows, np.array([*weights, *np.negative(weights)])
        )
        half = self._deviations * deviation
        ends = (mean, mean - half, mean + half)
        value, high, low = (self._plain_error * (1 - float(np.exp(end))) for end in ends)
        return Gain(value, low, high)

    def _rows(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        return self._encoder.rows(architectures, np.ones((len(architectures), 0)))


def _raw(having: Sequence[Trial], complete: Sequence[Trial]) -> Gain | None:
    """Welch's interval for the difference of the means, of those trained to the end."""
    numbers = {trial.number for trial in having}
    sides = [
        [t.val_accuracy or 0.0 for t in complete if (t.number in numbers) == inside]
        for inside in (True, False)
    ]
    if min(map(len, sides)) < 2 or all(len(set(side)) == 1 for side in sides):
        return None
    # As scipy.stats.ttest_ind has it, which takes milliseconds for each of hundreds of rows.
    errors = [float(np.var(side, ddof=1)) / len(side) for side in sides]
    freedom = sum(errors) ** 2 / sum(
        error**2 / (len(side) - 1) for error, side in zip(errors, sides, strict=True)
    )
    difference = float(np.mean(sides[0]) - np.mean(sides[1]))
    half = float(special.stdtrit(freedom, (1 + COVERAGE) / 2)) * sum(errors) ** 0.5
    return Gain(difference, difference - half, difference + half)
