"""Searches of placements that were trained beforehand, epoch by epoch, so that nothing is trained.

`record_placements.py` made the table. A search of it is the project's own: driver, ledger (in
memory), proposer and early stopping. Only the worker's answers come from the table, those of one
of the seeds with which all were recorded, drawn at random for each architecture; fronts are judged
by the mean of these. With one seed, as in a study of one's own, both are the same trainings.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from benchmarks.made_latencies import made_latency
from benchmarks.record_placements import LATENCIES, SPACE, TABLE, recorded
from models import build
from models.architecture import Architecture
from search.driver import Driver
from search.latencies import Latencies
from search.ledger import Ledger
from search.placement_features import features_of
from search.placements import PlacementDomain
from search.proposer import Chosen, Proposer
from search.samplers import KINDS
from search.sampling.observations import loss
from search.sampling.whole import EXHAUSTED, NothingLeftError
from search.space import Space, load_space
from search.tasks import NoTask
from search.trial import State
from trainers.messages import Answer, EpochResult, Measured, Task

RULES = {  # of early stopping, as space files have them
    "none": "none",
    "patience": "patience",
    "halving": "halving",
    "curve": "curve",
    "curve, risk 0.2": "{rule: curve, risk: 0.2}",
}

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Recorded:
    """Accuracies [seeds, epochs] of one architecture, and its latency ÷ the plain backbone's."""

    curves: Array
    latency_ratio: float


class Recordings:
    """The architectures of a table, and what a search of them finds.

    Hypervolumes are those of logarithms of error, parameters and latency, up to the table's worst.
    """

    def __init__(self, known: Mapping[Architecture, Recorded], image_size: int) -> None:
        self.known = known
        self._row = {architecture: row for row, architecture in enumerate(known)}
        errors = [loss(float(recorded.curves[:, -1].mean())) for recorded in known.values()]
        costs = [
            (build.cost(architecture, image_size).params, recorded.latency_ratio)
            for architecture, recorded in known.items()
        ]
        self._points = np.column_stack([errors, np.log(costs)])
        self._whole = self._hypervolume(known)

    def regret(self, found: Sequence[Architecture]) -> float:
        """What the front of `found` lacks of what placements add to the plain backbone.

        A part of the hypervolume of all less that of the backbone alone; 1 without the backbone.
        """
        plain = self._hypervolume([each for each in found if not each.placements])
        if plain == 0:
            return 1.0
        if plain == self._whole:
            return 0.0
        return (self._whole - self._hypervolume(found)) / (self._whole - plain)

    def _hypervolume(self, found: Iterable[Architecture]) -> float:
        points = self._points[[self._row[each] for each in found]]
        return float(moocore.hypervolume(points, ref=self._points.max(0)))

    def cheaper(self, wanted: Architecture, others: Iterable[Architecture]) -> list[Architecture]:
        """Those of `others` that cost no more in anything."""
        mine = self._points[self._row[wanted], 1:]
        return [o for o in others if (self._points[self._row[o], 1:] <= mine).all()]

    def reaches(self, wanted: Architecture, others: Iterable[Architecture], seed: int) -> bool:
        """Whether, by the trainings of `seed`, none of `others` is better and costs no more."""
        rivals = self.cheaper(wanted, others)
        best = max((self.curve(rival, seed)[-1] for rival in rivals), default=0.0)
        return bool(self.curve(wanted, seed)[-1] >= best)

    def answers(self, task: Task, seed: int) -> Iterator[Answer]:
        """What a worker would answer in a search with `seed`: a recorded training, whole."""
        yield Measured(made_latency(self.known[task.architecture].latency_ratio))
        for epoch, accuracy in enumerate(self.curve(task.architecture, seed), start=1):
            yield EpochResult(epoch, float(accuracy), 0.0, 0.0, 1.0, 0.0, 1.0)

    def curve(self, architecture: Architecture, seed: int) -> Array:
        """The recorded training that searches with `seed` meet with, whatever they are."""
        rng = np.random.default_rng([seed, self._row[architecture]])
        drawn: Array = rng.choice(self.known[architecture].curves)
        return drawn


@cache
def recordings() -> Recordings:
    """The checkout's table."""
    return read_recordings(TABLE)


def read_recordings(table: Path) -> Recordings:
    """What the files of `record_placements.py` hold: trainings with the seeds that all have.

    With more seeds for some, the front would be of those with one, whose mean is luck.
    """
    space = recorded_space()
    curves = recorded(space, table)
    seeds = sorted(set.intersection(*(set(of_seeds) for of_seeds in curves.values())))
    latencies = table.with_name(LATENCIES).read_text(encoding="utf-8")
    ratios = json.loads(latencies)["ratios"]
    missing = [each for each in curves if each.architecture_id not in ratios]
    if missing or not seeds:
        raise ValueError(
            f"{table}: {len(missing)} architectures without a latency, {len(seeds)} seeds with "
            "which all were trained: go on with benchmarks/record_placements.py"
        )
    known = {
        architecture: Recorded(
            np.array([of_seeds[seed] for seed in seeds]), ratios[architecture.architecture_id]
        )
        for architecture, of_seeds in curves.items()
    }
    return Recordings(known, space.file.data.image_size)


def recorded_space(*overrides: str) -> Space:
    """The space that the table's architectures were drawn from; all of its trials are measured."""
    return load_space(SPACE, ("latency.measure=every", "finalists.count=0", *overrides))


@dataclass
class Searched:
    """What became of a search, in words of JSON.

    `regrets`: after each epoch that was trained, by whichever candidate. `given_up`: how many of
    the `begun` were. `reaching`: of those that something ended before them is cheaper than, how
    many, trained to the end, reach the front of these; what is recorded says so of those given up
    as well, `reaching_given_up`. `front`: of all that were begun, what is beaten by nothing at its
    costs, and `front_given_up` of these. All by the trainings that the search met with.
    """

    regrets: list[float]
    begun: int = 0
    given_up: int = 0
    reaching: int = 0
    reaching_given_up: int = 0
    front: int = 0
    front_given_up: int = 0


def search(table: Recordings, sampler: str, rule: str, seed: int) -> Searched:
    """A search that ends when all architectures of `table` were begun, one after the other.

    `rule`: one of `RULES`.
    """
    space = recorded_space(
        f"search.sampler={sampler}",
        f"search.early_stopping={RULES[rule]}",
        f"search.seed={seed}",
        f"search.trials={len(table.known)}",
    )
    storage = optuna.storages.InMemoryStorage()
    ledger = Ledger.create(storage, "recorded", space.objective_names, space.file.fingerprint)
    driver = Driver(
        space,
        ledger,
        Path("images"),
        make_proposer=lambda *of: _recorded_proposer(table, *of),
    )
    searched, complete, stopped = Searched([]), list[Architecture](), list[Architecture]()
    while not isinstance(assigned := driver.next_task(), NoTask):
        architecture = assigned.task.architecture
        before = searched.regrets[-1] if searched.regrets else table.regret(())
        for answer in table.answers(assigned.task, seed):
            if isinstance(answer, EpochResult):
                searched.regrets.append(before)
            if not driver.answered(assigned.number, answer):
                break
        given_up = ledger.trial(assigned.number).state is State.STOPPED
        rivals = table.cheaper(architecture, complete)
        if rivals and table.reaches(architecture, rivals, seed):
            searched.reaching += 1
            searched.reaching_given_up += given_up
        if given_up:
            stopped.append(architecture)
        else:
            complete.append(architecture)
            searched.regrets[-1] = table.regret(complete)
    begun = [*complete, *stopped]
    searched.begun, searched.given_up = len(begun), len(stopped)
    searched.front = sum(table.reaches(each, begun, seed) for each in begun)
    searched.front_given_up = sum(table.reaches(each, begun, seed) for each in stopped)
    return searched


def _recorded_proposer(
    table: Recordings, space: Space, latencies: Latencies, ledger: Ledger
) -> Proposer[Architecture]:
    """Whole samplers choose among what was recorded; what others choose is moved there.

    All are shown the whole study.
    """
    config = space.file.search
    kind = replace(KINDS[config.sampler], most_shown=None)
    given = (kind, ledger.study.directions, space.trials, config.seed)
    domain = _RecordedDomain(table.known, space, latencies, lambda: ledger.reference_ms)
    if config.sampler == "random":
        return _AtRandom(domain, *given)
    return _Moved(domain, *given)


class _RecordedDomain(PlacementDomain):
    """The architectures of a table alone, though parameters are those of the whole space."""

    def __init__(self, known: Collection[Architecture], *given: Any) -> None:
        super().__init__(*given)
        self._recorded = [each for each in known if self.parameters(each)[0]]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._recorded)

    def every(self) -> Iterator[Architecture]:
        """In the order of the table."""
        return iter(self._recorded)


class _AtRandom(Proposer[Architecture]):
    """Proposes what is recorded, in an order that depends on the seed."""

    def __init__(self, domain: _RecordedDomain, *given: Any) -> None:
        super().__init__(domain, *given)
        *_, seed = given
        left = list(domain.every())
        self._order = [left[i] for i in np.random.default_rng(seed).permutation(len(left))]

    def propose(self, _: object, held: Collection[Architecture]) -> Chosen[Architecture]:
        """The next in that order. Raises NothingLeftError."""
        for candidate in self._order:
            if candidate not in held:
                return Chosen(candidate, *self._domain.parameters(candidate))
        raise NothingLeftError(EXHAUSTED)


class _Moved(Proposer[Architecture]):
    """Proposes the recorded architecture that has most in common with what a sampler chose."""

    def propose(
        self, trials: Sequence[FrozenTrial], held: Collection[Architecture]
    ) -> Chosen[Architecture]:
        """As its parameters, the sampler is told those of the recorded one."""
        left = [each for each in self._domain.every() if each not in held]
        if not left:
            raise NothingLeftError(EXHAUSTED)
        chosen = super().propose(trials, held)
        if chosen.candidate in left:
            return chosen
        nearest = min(left, key=lambda each: _distance(chosen.candidate, each))
        parameters, distributions = self._domain.parameters(nearest)
        return replace(
            chosen, candidate=nearest, parameters=parameters, distributions=distributions
        )


def _distance(first: Architecture, second: Architecture) -> float:
    """How many features of placements only one of them has."""
    counts = Counter(key for placement in first.placements for key in features_of(placement))
    counts.subtract(key for placement in second.placements for key in features_of(placement))
    return sum(abs(count) for count in counts.values())
