"""Searches of placements that were trained beforehand, epoch by epoch, so that nothing is trained.

`record_placements.py` made the table. A search of it is the project's own: driver, ledger (in
memory), proposer and early stopping. Only the worker's answers come from the table, those of one
of the recorded seeds, drawn at random for each architecture; fronts are judged by the mean of all.
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
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from benchmarks.record_placements import LATENCIES, SPACE, TABLE, lines
from models import build
from models.architecture import Architecture
from models.yaml_input import override, parse_yaml
from search.driver import Driver, NoTask
from search.latencies import Latencies
from search.ledger import Ledger
from search.placement_features import PlacementFeatures
from search.placements import PlacementDomain
from search.proposer import Chosen, Proposer
from search.sampling.observations import loss
from search.sampling.whole import EXHAUSTED, NothingLeftError
from search.space import Space, check_space
from search.trial import State
from trainers.messages import Answer, EpochResult, Latency, Measured, Task

DESCRIBED = PlacementFeatures()
RULES = ("none", "patience", "halving", "curve")

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

    def reaches(self, wanted: Architecture, others: Iterable[Architecture], seed: int) -> bool:
        """Whether, by the trainings of `seed`, none of `others` is better and costs no more."""
        mine = self._points[self._row[wanted], 1:]
        cheaper = [o for o in others if (self._points[self._row[o], 1:] <= mine).all()]
        best = max((self.curve(other, seed)[-1] for other in cheaper), default=0.0)
        return bool(self.curve(wanted, seed)[-1] >= best)

    def answers(self, task: Task, seed: int) -> Iterator[Answer]:
        """What a worker would answer in a search with `seed`: a recorded training, whole."""
        yield Measured(_latency(self.known[task.architecture].latency_ratio, task))
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
    return read_recordings(TABLE, LATENCIES)


def read_recordings(table: Path, latencies: Path) -> Recordings:
    """What the files of `record_placements.py` hold."""
    space, curves = recorded_space(), dict[Architecture, list[list[float]]]()
    backbone = json.loads(space.baseline.to_json())["backbone"]
    for line in lines(table):
        text = json.dumps({"backbone": backbone, "placements": line["placements"]})
        curves.setdefault(Architecture.from_json(text), []).append(line["val_accuracy"])
    ratios = json.loads(latencies.read_text(encoding="utf-8"))["ratios"]
    known = {
        architecture: Recorded(np.array(of_seeds), ratios[architecture.architecture_id])
        for architecture, of_seeds in curves.items()
    }
    if {recorded.curves.shape[1] for recorded in known.values()} != {space.file.training.epochs}:
        raise ValueError(f"{table} was not recorded with the recipe of {SPACE}")
    return Recordings(known, space.file.data.image_size)


def recorded_space(*overrides: str) -> Space:
    """The space that the table's architectures were drawn from; all of its trials are measured."""
    document = parse_yaml(SPACE.read_text(encoding="utf-8"), str(SPACE))
    override(document, ("latency.measure=every", *overrides))
    return check_space(document)


@dataclass
class Searched:
    """What became of a search, in words of JSON.

    `regrets`: after each epoch that was trained, by whichever candidate. `given_up`: how many of
    the `begun` were. `reaching`: how many, trained to the end, reached the front of those that
    ended before them; what is recorded says so of those given up as well, `reaching_given_up`.
    """

    regrets: list[float]
    begun: int = 0
    given_up: int = 0
    reaching: int = 0
    reaching_given_up: int = 0


def search(table: Recordings, sampler: str, rule: str, seed: int) -> Searched:
    """A search that ends when all architectures of `table` were begun, one after the other."""
    space = recorded_space(
        f"search.sampler={sampler}",
        f"search.early_stopping={rule}",
        f"search.seed={seed}",
        f"search.trials={len(table.known)}",
    )
    ledger = _memory_ledger(space)
    driver = Driver(
        space,
        ledger,
        Path("images"),
        make_proposer=lambda *of: _recorded_proposer(table, *of),
    )
    searched, complete = Searched([]), list[Architecture]()
    while not isinstance(assigned := driver.next_task(), NoTask):
        architecture = assigned.task.architecture
        before = table.regret(complete)
        for answer in table.answers(assigned.task, seed):
            if isinstance(answer, EpochResult):
                searched.regrets.append(before)
            if not driver.answered(assigned.number, answer):
                break
        given_up = ledger.trial(assigned.number).state is State.STOPPED
        reaches = table.reaches(architecture, complete, seed)
        searched.begun += 1
        searched.given_up += given_up
        searched.reaching += reaches
        searched.reaching_given_up += reaches and given_up
        if not given_up:
            complete.append(architecture)
            searched.regrets[-1] = table.regret(complete)
    return searched


def _latency(ratio: float, task: Task) -> Latency:
    return Latency(
        ratio=ratio,
        half_width=0.0,
        control=1.0,
        median_ms=ratio,
        p90_ms=ratio,
        reference_ms=1.0,
        rounds=1,
        batch=task.latency.batch,
        image_size=task.data.image_size,
        engine=task.latency.engine,
        clock="thread",
        quiet=True,
        core=None,
    )


def _memory_ledger(space: Space) -> Ledger:
    storage = optuna.storages.InMemoryStorage()
    costs = len(space.objective_names) - 1
    directions = [StudyDirection.MAXIMIZE] + [StudyDirection.MINIMIZE] * costs
    study = optuna.create_study(storage=storage, directions=directions)
    study.set_user_attr("objectives", list(space.objective_names))
    study.set_user_attr("space", space.file.fingerprint)
    return Ledger(study, storage)


def _recorded_proposer(
    table: Recordings, space: Space, latencies: Latencies, ledger: Ledger
) -> Proposer[Architecture]:
    """Whole samplers choose among what was recorded; what others choose is moved there."""
    config = space.file.search
    given = (config.sampler, ledger.study.directions, space.trials, config.seed)
    domain = _RecordedDomain(table.known, space, latencies, lambda: ledger.reference_ms)
    if config.sampler == "random":
        return _AtRandom(domain, *given)
    if config.sampler in {"ehvi", "grid"}:
        return Proposer(domain, *given)
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
        nearest = min(left, key=lambda each: _distance(chosen.candidate, each))
        parameters, distributions = self._domain.parameters(nearest)
        return replace(
            chosen, candidate=nearest, parameters=parameters, distributions=distributions
        )


def _distance(first: Architecture, second: Architecture) -> float:
    """How many features of placements only one of them has."""
    counts = Counter(DESCRIBED.features(first))
    counts.subtract(DESCRIBED.features(second))
    return sum(abs(count) for count in counts.values())
