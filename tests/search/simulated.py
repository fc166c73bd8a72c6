"""A small space, ledgers, and an executor that simulates workers: no training, no Ray, no clock."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import optuna

from benchmarks.made_latencies import made_latency
from models.yaml_input import override, parse_yaml
from search.driver import Driver
from search.events import Silent
from search.ledger import Ledger
from search.space import Space, check_space
from search.tasks import Assignment, NoTask
from search.trial import State, Trial
from trainers.messages import (
    Answer,
    EpochResult,
    Failed,
    Judged,
    Measured,
    Saved,
    Start,
    Task,
    Worker,
    packed,
)

SPACE = """\
backbone: {width: 0.0625}
data: {image_size: 16}
placement:
  stages: [3, 4]
  blocks: [2]
  at_most: 2
  attention:
    se: {reduction: [2, 4]}
    gc: {ratio: 0.5, fusion: [add, mul]}
    bridge: {reduction: 4}
training: {epochs: 3}
latency: {measure: every}
search: {trials: 8, early_stopping: none}
finalists: {count: 0}
"""
# Two slots of two blocks each, one placement at most: four architectures and the plain backbone.
TINY = (
    "placement.at_most=1",
    "placement.positions=[before_add]",
    "placement.attention={se: {reduction: [2, 4]}}",
)
WORKER = Worker("host", 1, "a processor", "cpu", 1, "3.3.1", None)

TEST_IMAGES = 50

START = Start("/somewhere/baseline.safetensors", "abc")

Simulation = Callable[[Task], Iterator[Answer]]
Command = Callable[..., tuple[int, str, str]]
"""`run_search.py` with simulated workers: exit code, stdout, stderr."""


class WorkerDiedError(Exception):
    """What a simulation raises for a worker that is killed."""


def make_space(*overrides: str, text: str = SPACE) -> Space:
    document = parse_yaml(text, "space.yaml")
    override(document, overrides)
    return check_space(document)


def memory_ledger(space: Space) -> Ledger:
    """A ledger that outlives drivers, but not the test's process."""
    storage = optuna.storages.InMemoryStorage()
    return Ledger.create(storage, "memory", space.objective_names, space.file.fingerprint)


def measured(latency_ms: float) -> Measured:
    return Measured(made_latency(latency_ms))


def epoch(number: int, val_accuracy: float) -> EpochResult:
    return EpochResult(number, val_accuracy, 1.0, 1.0, 2.0, 0.5, 100.0)


def chance(task: Task, digits: slice = slice(0, 4)) -> float:
    """A number from 0 to 1 that depends on the architecture alone."""
    text = task.architecture.architecture_id[digits]
    return int(text, 16) / (16 ** len(text) - 1)


def curves(task: Task) -> Iterator[Answer]:
    """A learning curve that approaches a limit given by the architecture.

    The plain backbone takes 1 ms, what contains it longer.
    """
    plain = not task.architecture.placements
    if not task.final:
        yield measured(1.0 if plain else 1.0 + chance(task, slice(4, 8)))
    for number in range(1, task.training.epochs + 1):
        yield epoch(number, chance(task) * (1 - 0.5**number))
    if task.final:
        yield judged(task)


def judged(task: Task) -> Judged:
    """What the test split says: images are hit with the chance that the architecture has."""
    draws = np.random.default_rng(task.seed).random(TEST_IMAGES)
    hits = [bool(draw < chance(task)) for draw in draws]
    return Judged(sum(hits) / TEST_IMAGES, 1.0, TEST_IMAGES, packed(hits))


def failing(reason: str) -> Simulation:
    def simulation(task: Task) -> Iterator[Answer]:
        yield measured(1.0)
        yield Failed(reason, "Traceback ...")

    return simulation


def inheriting(task: Task) -> Iterator[Answer]:
    """Weights are saved where the task asks for it."""
    if task.measure_first:
        yield Measured(made_latency(1.0 + chance(task, slice(4, 8))))
    for number in range(1, task.training.epochs + 1):
        yield epoch(number, chance(task) * (1 - 0.5**number))
    if task.save_to is not None:
        yield Saved(START)


@dataclass
class Recorder(Silent):
    """Remembers what the driver told."""

    began: list[int] = field(default_factory=list)
    ended: list[Trial] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def trial_began(self, trial: Trial) -> None:
        self.began.append(trial.number)

    def trial_ended(self, trial: Trial) -> None:
        self.ended.append(trial)

    def notice(self, text: str) -> None:
        self.notices.append(text)


@dataclass
class Executor:
    """Runs a driver's tasks on `workers` simulated workers that answer in turn."""

    driver: Driver
    simulation: Simulation = curves
    workers: int = 1
    assigned: list[Assignment] = field(default_factory=list)
    answers: int = 0
    busiest: int = 0

    def run(self, answers: int | None = None) -> None:
        """Until the driver has no more, or, as if killed, until so many answers were passed on."""
        running: deque[tuple[Assignment, Iterator[Answer]]] = deque()
        while True:
            given: Assignment | NoTask = NoTask.LATER
            while len(running) < self.workers:
                given = self.driver.next_task()
                if isinstance(given, NoTask):
                    break
                self.assigned.append(given)
                running.append((given, self.simulation(given.task)))
            self.busiest = max(self.busiest, len(running))
            if not running:
                assert given is NoTask.NEVER, "nothing runs, and the driver says LATER"
                return
            if answers is not None and self.answers >= answers:
                return
            assignment, simulation = running.popleft()
            if self._pass_on(assignment, simulation):
                running.append((assignment, simulation))

    def _pass_on(self, assignment: Assignment, simulation: Iterator[Answer]) -> bool:
        self.answers += 1
        try:
            return self.driver.answered(assignment.number, next(simulation))
        except WorkerDiedError as died:
            self.driver.lost(assignment.number, Failed(str(died)))
            return False

    @property
    def architecture_ids(self) -> list[str]:
        """Of all tasks handed out, in order."""
        return [given.task.architecture.architecture_id for given in self.assigned]


def make_driver(space: Space, ledger: Ledger, **more: object) -> Driver:
    return Driver(space, ledger, Path("images"), **more)  # type: ignore[arg-type]


def searched(*overrides: str, simulation: Simulation = curves, workers: int = 1) -> Executor:
    """A whole simulated search of `SPACE` with overrides."""
    space = make_space(*overrides)
    watcher = Recorder()
    executor = Executor(make_driver(space, memory_ledger(space), watcher=watcher), simulation)
    executor.workers = workers
    executor.run()
    return executor


def states(executor: Executor) -> Counter[State]:
    return Counter(trial.state for trial in executor.driver.trials)


def attention(task: Task) -> bool:
    """Whether the task is neither the baseline nor the control."""
    names = [placement.block.name for placement in task.architecture.placements]
    return names not in ([], ["residual"])
