"""How much each choice decides about accuracy, and about reaching the front: PED-ANOVA.

Watanabe, Bansal and Hutter, "PED-ANOVA", IJCAI 2023, in Optuna's version for conditional spaces:
a choice is important if it is made otherwise among the best trials than among all. Choices are read
off the architectures, whichever sampler, or list, they come from. A choice with many values looks
important by chance alone where trials are few, so every share is shown beside that which shuffled
accuracies give.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial

from models.architecture import Architecture, OptionValue
from search.front import rated
from search.trial import Role, State, Trial

FEWEST = 20  # fully trained candidates: five of them are the best quarter
BEST = 0.25  # of all are "the best"
BEST_OF_MANY = 0.1  # from so many trials on that five are in it
SHUFFLES = 6
MOST = 600  # trials, the latest

Choices = Mapping[str, OptionValue]


@dataclass(frozen=True)
class Importance:
    """A choice's shares, of all choices' importance, which add up to 1.

    `accuracy`: for being among the most accurate; `by_chance`: the mean share where accuracies are
    shuffled; `front`: for being near the front in all objectives, None where accuracy is the only.
    """

    choice: str
    accuracy: float
    by_chance: float
    front: float | None


@dataclass(frozen=True)
class Importances:
    """What was found of `trials` fully trained candidates, by falling share; nothing of too few."""

    trials: int
    found: tuple[Importance, ...] = ()
    best: float = BEST


def importances(trials: Sequence[Trial], objectives: Sequence[str]) -> Importances:
    """The importances of all choices that differ between the trials."""
    candidates = [t for t in trials if t.role is Role.CANDIDATE and t.state is State.COMPLETE]
    known = [t for t, _ in rated(candidates, objectives) if t.architecture.placements][-MOST:]
    if len(known) < FEWEST:
        return Importances(len(known))
    best = BEST_OF_MANY if BEST_OF_MANY * len(known) >= FEWEST * BEST else BEST
    rows = [_choices(trial.architecture) for trial in known]
    kinds = _distributions(rows)
    if not kinds:
        return Importances(len(known), best=best)
    table = _Table(rows, kinds, best)
    points = np.array([point for _, point in rated(known, objectives)])
    accuracy, front = table.shares(points[:, :1]), table.shares(points)
    chance = _by_chance(table, points[:, :1])
    found = [
        Importance(name, share, chance[name], front[name] if len(objectives) > 1 else None)
        for name, share in accuracy.items()
    ]
    found.sort(key=lambda each: (-each.accuracy, each.choice))
    return Importances(len(known), tuple(found), best)


def _by_chance(table: "_Table", losses: np.ndarray) -> Mapping[str, float]:
    generator = np.random.default_rng(0)
    sums: dict[str, float] = defaultdict(float)
    for _ in range(SHUFFLES):
        for name, share in table.shares(generator.permutation(losses)).items():
            sums[name] += share / SHUFFLES
    return sums


def _choices(architecture: Architecture) -> dict[str, OptionValue]:
    """What was chosen, by parameter; `_word` is what people call it."""
    found: dict[str, OptionValue] = {"placements": len(architecture.placements)}
    for number, placement in enumerate(architecture.placements, 1):
        slot, block = placement.slot, placement.block
        found |= {
            f"type/{number}": block.name,
            f"stage/{number}": slot.stage,
            f"residual block/{number}": slot.block,
            f"position/{number}": slot.position,
        }
        found |= {f"{block.name}: {name}/{number}": value for name, value in block.options}
    return found


def _word(parameter: str) -> str:
    return parameter.partition("/")[0]


def _distributions(rows: Sequence[Choices]) -> dict[str, BaseDistribution]:
    """Those of the parameters that differ at all."""
    values: dict[str, set[OptionValue]] = defaultdict(set)
    for row in rows:
        for name, value in row.items():
            values[name].add(value)
    several = {name: seen for name, seen in values.items() if len(seen) > 1}
    return {name: _distribution(name, seen) for name, seen in several.items()}


def _distribution(name: str, seen: set[OptionValue]) -> BaseDistribution:
    if name == "placements":
        numbers = [int(value) for value in seen]
        return IntDistribution(min(numbers), max(numbers))
    return CategoricalDistribution(sorted(seen, key=lambda value: (type(value).__name__, value)))


class _Table:
    """Trials by what was chosen, to be given other objectives again and again."""

    def __init__(
        self, rows: Sequence[Choices], kinds: Mapping[str, BaseDistribution], best: float
    ) -> None:
        self._rows, self._kinds, self._best = rows, kinds, best

    def shares(self, points: np.ndarray) -> dict[str, float]:
        """Each choice's share, given objectives [trials, objectives] that are minimised."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.simplefilter("ignore", UserWarning)  # where all trials are equally good
            study = optuna.create_study(directions=["minimize"] * points.shape[1])
            study.add_trials(list(self._trials(points)))
            evaluator = PedAnovaImportanceEvaluator(target_quantile=self._best)
            found = evaluator.evaluate(study)
        sums: dict[str, float] = defaultdict(float)
        for parameter in self._kinds:
            sums[_word(parameter)] += float(found.get(parameter, 0.0))
        whole = sum(sums.values())
        return {name: value / whole if whole > 0 else 1 / len(sums) for name, value in sums.items()}

    def _trials(self, points: np.ndarray) -> Iterator[FrozenTrial]:
        for row, values in zip(self._rows, points, strict=True):
            params = {name: value for name, value in row.items() if name in self._kinds}
            yield optuna.trial.create_trial(
                params=params,
                distributions={name: self._kinds[name] for name in params},
                values=[float(value) for value in values],
            )
