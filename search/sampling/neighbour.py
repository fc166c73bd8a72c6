"""A sampler's choices with a few of them drawn again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution


class Neighbour:
    """Chooses as `given` did, but for `changes` parameters and what these make inapplicable.

    It is asked as an `optuna.Trial` is; `params` and `distributions` hold what was chosen.
    """

    def __init__(self, given: Mapping[str, Any], changes: int, rng: np.random.Generator) -> None:
        self.params: dict[str, Any] = {}
        self._asked: dict[str, Sequence[Any]] = {}
        names = sorted(given)
        again = {names[i] for i in rng.permutation(len(names))[:changes]}
        self._kept = {name: value for name, value in given.items() if name not in again}
        self._rng = rng

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What was chosen from, made when it is asked for: most neighbours are only looked at."""
        return {name: _distribution(choices) for name, choices in self._asked.items()}

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A number from `low` to `high`."""
        return int(self._choose(name, range(low, high + 1)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`."""
        return self._choose(name, choices)

    def _choose(self, name: str, choices: Sequence[Any]) -> Any:
        if name in self._kept and self._kept[name] in choices:
            chosen = self._kept[name]
        else:
            chosen = choices[int(self._rng.random() * len(choices))]  # faster than `integers`
        self.params[name], self._asked[name] = chosen, choices
        return chosen


def _distribution(choices: Sequence[Any]) -> BaseDistribution:
    if isinstance(choices, range):
        return IntDistribution(choices.start, choices.stop - 1)
    return CategoricalDistribution(choices)
