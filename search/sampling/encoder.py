"""Candidates as rows of numbers, for a model that learns from some of them about others."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from search.sampling.domain import Candidate, Described, Features, Key

LEAST_SPREAD = 1e-9  # of logarithms of costs that are as good as equal
MOST_KNOWN = 50_000  # candidates whose numbers are kept, some hundred bytes each

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]


class Vocabulary(Generic[Candidate]):
    """Numbers for the features of a domain's candidates, in the order in which they turn up."""

    def __init__(self, described: Described[Candidate]) -> None:
        self._described = described
        self._number: dict[Key, int] = {}
        self._levels: list[int] = []
        self._forget()
        self.many_levels = len(described.levels)
        self._level = {level: index for index, level in enumerate(described.levels)}

    @property
    def levels(self) -> Numbers:
        """The level of every number, as an index into `Described.levels`."""
        return np.array(self._levels, dtype=np.intp)

    def numbers(self, candidates: Sequence[Candidate]) -> tuple[Numbers, Numbers, Array]:
        """Of every feature of every candidate: the candidate's row, the number and the value."""
        if len(self._place) > MOST_KNOWN:
            self._forget()
        place = self._place
        at = np.array([place.get(each) or self._learn(each) for each in candidates], np.intp)
        many = np.frombuffer(self._many, np.intp)[at]
        rows = np.repeat(np.arange(len(at)), many)
        of_all = np.arange(len(rows)) + np.repeat(
            np.frombuffer(self._begins, np.intp)[at] - np.cumsum(many) + many, many
        )
        return (
            rows,
            np.frombuffer(self._numbers, np.intp)[of_all],
            np.frombuffer(self._values)[of_all],
        )

    def _forget(self) -> None:
        """Begins anew with what is known of candidates: one after the other, in one row."""
        self._place: dict[Candidate, int] = {}
        self._begins, self._many = array("q", [0]), array("q", [0])  # none has place 0
        self._numbers, self._values = array("q"), array("d")

    def _learn(self, candidate: Candidate) -> int:
        features = self._described.features(candidate)
        for key in features:
            if key not in self._number:
                self._number[key] = len(self._levels)
                self._levels.append(self._level[key[0]])
        self._begins.append(len(self._numbers))
        self._many.append(len(features))
        self._numbers.extend([self._number[key] for key in features])
        self._values.extend(features.values())
        place = self._place[candidate] = len(self._many) - 1
        return place


class Encoder(Generic[Candidate]):
    """Turns candidates into rows; columns are the features of those `learned` from.

    A feature that none of these has still keeps a candidate apart from them: each level has a
    column more for the root of the sum of squares of such features. `level_of` gives the level
    of every column as an index into `Described.levels`, after which come the costs: `costs`
    [n, d] are those of `learned`, and costs count by their logarithms, standardised by these.
    """

    def __init__(
        self, vocabulary: Vocabulary[Candidate], learned: Sequence[Candidate], costs: Array
    ) -> None:
        self._vocabulary = vocabulary
        _, numbers, _ = vocabulary.numbers(learned)
        _, first = np.unique(numbers, return_index=True)
        self._numbers = numbers[np.sort(first)]  # by the study alone, whatever was seen before
        logs = np.log(costs)
        spread = logs.std(0)
        self._centre, self._spread = logs.mean(0), np.where(spread > LEAST_SPREAD, spread, 1.0)
        levels = vocabulary.many_levels
        of_costs = np.full(costs.shape[1], levels)
        self.level_of: Numbers = np.concatenate(
            [vocabulary.levels[self._numbers], np.arange(levels), of_costs]
        )

    def rows(self, candidates: Sequence[Candidate], costs: Array) -> Array:
        """The rows [n, columns] of candidates with these costs [n, d]."""
        at, numbers, values = self._vocabulary.numbers(candidates)
        levels = self._vocabulary.levels
        known = len(self._numbers)
        column_of = np.full(len(levels), -1)
        column_of[self._numbers] = np.arange(known)
        seen = column_of[numbers] >= 0
        columns = np.where(seen, column_of[numbers], known + levels[numbers])
        rows = np.zeros((len(candidates), len(self.level_of)))
        np.add.at(rows, (at, columns), np.where(seen, values, values**2))
        unseen = slice(known, known + self._vocabulary.many_levels)
        rows[:, unseen] = np.sqrt(rows[:, unseen])
        rows[:, unseen.stop :] = (np.log(costs) - self._centre) / self._spread
        return rows


def combined(parts: Iterable[Features]) -> dict[Key, float]:
    """The sum of features, as of a candidate's parts."""
    total: dict[Key, float] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = total.get(key, 0.0) + value
    return total
