"""A conditional domain that is quick to search: words of one to `longest` letters."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.sampling.domain import Chooser, Features, Key, by_parameters

LETTERS = "abcd"
DIRECTIONS = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]


class Words:
    """Costs are the word's length and the sum of its letters; `forbidden` are over a budget."""

    levels = ("letter", "place, letter")

    def __init__(self, longest: int = 3, forbidden: Collection[str] = ()) -> None:
        self.longest, self.forbidden = longest, forbidden

    @property
    def size(self) -> int:
        return sum(len(LETTERS) ** length for length in range(1, self.longest + 1))

    def choose(self, chooser: Chooser) -> str:
        length = chooser.suggest_int("length", 1, self.longest)
        return "".join(
            str(chooser.suggest_categorical(f"letter{place}", tuple(LETTERS)))
            for place in range(length)
        )

    def parameters(self, candidate: str) -> tuple[dict[str, Any], Mapping[str, BaseDistribution]]:
        values = {f"letter{place}": letter for place, letter in enumerate(candidate)}
        values = {"length": len(candidate), **values}
        return values, {name: self.distributions()[name] for name in values}

    def distributions(self) -> Mapping[str, BaseDistribution]:
        letters = {
            f"letter{place}": CategoricalDistribution(tuple(LETTERS))
            for place in range(self.longest)
        }
        return {"length": IntDistribution(1, self.longest), **letters}

    def every(self) -> Iterator[str]:
        for length in range(1, self.longest + 1):
            yield from map("".join, itertools.product(LETTERS, repeat=length))

    def recall(self, trial: FrozenTrial) -> str | None:
        return by_parameters(self, trial)

    def costs(self, candidate: str) -> tuple[float, ...]:
        return float(len(candidate)), float(sum(LETTERS.index(each) + 1 for each in candidate))

    def allowed(self, candidate: str) -> bool:
        return candidate not in self.forbidden

    def features(self, candidate: str) -> Features:
        found: dict[Key, float] = {
            ("letter", each): float(candidate.count(each)) for each in candidate
        }
        return found | {("place, letter", pair): 1.0 for pair in enumerate(candidate)}


def accuracy(word: str) -> float:
    """Longer words are better, `b` is the best letter, and `d` at the end spoils it."""
    worth = 0.5 + 0.1 * word.count("b") + 0.03 * len(word)
    return worth - 0.2 * word.endswith("d")


def trial_of(
    words: Words,
    word: str,
    value: float | None = None,
    state: TrialState = TrialState.COMPLETE,
    curve: Sequence[float] = (),
) -> FrozenTrial:
    values, distributions = words.parameters(word)
    complete = state is TrialState.COMPLETE
    value = accuracy(word) if value is None else value
    return create_trial(
        state=state,
        values=[value, *words.costs(word)] if complete else None,
        params=values,
        distributions=dict(distributions),
        intermediate_values=dict(enumerate(curve, start=1)),
    )


def study_with(sampler: BaseSampler, trials: Sequence[FrozenTrial] = ()) -> optuna.Study:
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    study.add_trials(trials)
    return study


def ask(study: optuna.Study, words: Words) -> tuple[optuna.Trial, str]:
    trial = study.ask()
    return trial, words.choose(trial)


def searched(words: Words, sampler: BaseSampler, trainings: int, noise: float = 0.0) -> list[str]:
    """The words that a study asks for, one after the other."""
    study, rng = study_with(sampler), np.random.default_rng(0)
    found = []
    for _ in range(trainings):
        trial, word = ask(study, words)
        found.append(word)
        study.tell(trial, [accuracy(word) + noise * rng.normal(), *words.costs(word)])
    return found
