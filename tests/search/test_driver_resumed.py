"""A search that is interrupted, out of time or run again continues where it was."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial
from simulated import (
    Executor,
    Recorder,
    epoch,
    make_driver,
    make_space,
    measured,
    memory_ledger,
    searched,
)

from models.architecture import Architecture
from search.latencies import Latencies
from search.ledger import Ledger
from search.placements import PlacementDomain
from search.proposer import Chosen, Proposer
from search.samplers import KINDS
from search.sampling.domain import CONSTRAINTS
from search.space import Space
from search.tasks import Assignment, NoTask
from search.trial import State
from trainers.messages import Failed, Resumed


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("answers", [0, 1, 6, 10, 17, 21])
def test_killed_after_any_answer(answers: int, workers: int) -> None:
    space = make_space()
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger), workers=workers).run(answers)
    before = {trial.number: trial for trial in ledger.trials()}
    left = [number for number, trial in before.items() if trial.state is State.RUNNING]
    assert len(left) == workers
    again = Executor(make_driver(space, ledger), workers=workers)
    again.run()
    after = {trial.number: trial for trial in ledger.trials()}
    assert [given.number for given in again.assigned[: len(left)]] == left
    assert len({trial.architecture_id for trial in after.values()}) == len(after) == 8
    assert {trial.state for trial in after.values()} == {State.COMPLETE}
    assert all([e.epoch for e in trial.curve] == [1, 2, 3] for trial in after.values())
    done = {number: trial for number, trial in before.items() if number not in left}
    assert {number: after[number] for number in done} == done, "no finished trial changes"
    assert not set(done) & {given.number for given in again.assigned}, "nor is one run again"


def test_killed_before_a_candidate_over_the_budget_was_refused() -> None:
    """Its latency is recorded, and nothing else of what follows from it."""
    space = make_space("objectives.max_latency_ms=1.001", "search.trials=3")
    ledger = memory_ledger(space)
    driver = make_driver(space, ledger)
    for number in (0, 1):
        driver.next_task()
        for answer in (measured(1.0), *(epoch(n, 0.5) for n in (1, 2, 3))):
            driver.answered(number, answer)
    driver.next_task()
    ledger._records.set(2, "latency", asdict(measured(2.0).latency))
    again = make_driver(space, ledger)
    given = again.next_task()
    assert isinstance(given, Assignment)
    assert given.number == 3, "the next one"
    trial = ledger.trial(2)
    assert (trial.state, trial.latency_ms, trial.curve) == (State.INFEASIBLE, 2.0, ())
    assert ledger.frozen(2).system_attrs[CONSTRAINTS][0] > 0.9


def test_killed_before_a_training_that_stands_still_was_stopped(tmp_path: Path) -> None:
    rule = "search.early_stopping={rule: patience, patience: 1, min_improvement: 0.9}"
    space = make_space(rule)
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger)).run(8)
    driver = make_driver(space, ledger)
    driver.next_task()
    driver.answered(2, measured(1.0))
    ledger.epoch(2, [epoch(1, 0.5), epoch(2, 0.5)])
    again = make_driver(space, ledger)
    again.next_task()
    assert not again.answered(2, Resumed((epoch(1, 0.5), epoch(2, 0.5))))
    assert ledger.trial(2).state is State.STOPPED


def test_killed_and_opened_from_disk(open_ledger: Callable[[Space], Ledger]) -> None:
    space = make_space()
    Executor(make_driver(space, open_ledger(space)), workers=2).run(7)
    ledger = open_ledger(space)
    Executor(make_driver(space, ledger), workers=2).run()
    trials = open_ledger(space).trials()
    assert [trial.state for trial in trials] == [State.COMPLETE] * 8
    assert len({trial.architecture_id for trial in trials}) == 8
    assert trials == ledger.trials()


def test_an_interrupted_trial_without_checkpoints_begins_anew(space: Space) -> None:
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger)).run(3)
    assert len(ledger.trial(0).curve) == 2
    driver = make_driver(space, ledger)
    given = driver.next_task()
    assert isinstance(given, Assignment)
    assert given.number == 0
    assert given.task.architecture == space.baseline
    assert driver.answered(0, epoch(1, 0.25))
    assert [each.val_accuracy for each in ledger.trial(0).curve] == [0.25]
    assert ledger.trial(0).state is State.RUNNING


def test_killed_between_entering_and_handing_out(space: Space) -> None:
    ledger = memory_ledger(space)
    driver = make_driver(space, ledger)
    driver._enter(driver._fixed.popleft())
    executor = Executor(make_driver(space, ledger))
    executor.run()
    assert executor.architecture_ids[0] == space.baseline.architecture_id
    assert len(ledger.trials()) == 8
    assert {trial.state for trial in ledger.trials()} == {State.COMPLETE}


def test_a_search_that_is_done_adds_nothing(space: Space) -> None:
    ledger, watcher = memory_ledger(space), Recorder()
    first = make_driver(space, ledger)
    assert not first.done
    Executor(first).run()
    assert first.done
    before = ledger.trials()
    second = make_driver(space, ledger, watcher=watcher)
    assert second.done
    assert [second.next_task() for _ in range(3)] == [NoTask.NEVER] * 3
    assert ledger.trials() == before == second.trials
    assert (watcher.began, watcher.ended) == ([], [])


def test_more_trials_continue_the_same_study() -> None:
    space = make_space()
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger)).run()
    before = ledger.trials()
    more = make_space("search.trials=12", "search.sampler=random")
    Executor(make_driver(more, ledger), workers=3).run()
    trials = ledger.trials()
    assert trials[:8] == before
    assert len({trial.architecture_id for trial in trials}) == len(trials) == 12


def test_an_interrupted_study_is_not_done(space: Space) -> None:
    fewer = replace(space, file=make_space("search.trials=2").file)
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger)).run(9)  # two trials done, the third begun
    driver = make_driver(fewer, ledger)
    assert not driver.done
    Executor(driver).run()
    assert [trial.state for trial in ledger.trials()] == [State.COMPLETE] * 3
    assert driver.done


def test_out_of_time_what_runs_is_finished_and_nothing_begun() -> None:
    space, clock = make_space("search.timeout_minutes=2"), Clock()
    ledger = memory_ledger(space)
    executor = Executor(make_driver(space, ledger, clock=clock), workers=2)
    executor.run(4)
    driver = executor.driver
    clock.now += 119.9
    assert not driver.done
    clock.now += 0.1
    assert driver.next_task() is NoTask.LATER
    for trial in ledger.trials():
        driver.answered(trial.number, Failed("x"))
    assert driver.next_task() is NoTask.NEVER
    assert len(ledger.trials()) == 2


def test_time_counts_from_the_driver_that_runs() -> None:
    space, clock = make_space("search.timeout_minutes=2"), Clock()
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger, clock=clock)).run(5)
    clock.now += 1e6
    again = Executor(make_driver(space, ledger, clock=clock))
    again.run()
    assert [trial.state for trial in ledger.trials()] == [State.COMPLETE] * 8


def test_without_time_interrupted_trials_stay_as_they_are() -> None:
    space, clock = make_space("search.timeout_minutes=2"), Clock()
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger, clock=clock)).run(3)
    driver = make_driver(space, ledger, clock=clock)
    clock.now += 120
    assert driver.next_task() is NoTask.NEVER
    assert ledger.trial(0).state is State.RUNNING
    assert len(ledger.trial(0).curve) == 2


@pytest.mark.parametrize("sampler", KINDS)
@pytest.mark.parametrize("answers", [9, 23, 37])
def test_a_search_goes_on_as_if_it_had_not_been_interrupted(sampler: str, answers: int) -> None:
    """With predicted latencies, early stopping and one worker; between and within trials."""
    given = (
        f"search.sampler={sampler}",
        "search.trials=18",
        "search.early_stopping=curve",
        "latency={measure: front, predicted_within: 0.5}",
        "placement.stages=[2, 3, 4]",
    )
    whole = searched(*given).driver.trials
    space = make_space(*given)
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger)).run(answers)
    again = Executor(make_driver(space, ledger))
    again.run()
    assert [t.architecture for t in again.driver.trials] == [t.architecture for t in whole]
    assert [t.state for t in again.driver.trials] == [t.state for t in whole]


class Doubled(Proposer):
    """Proposes what a proposer would that knows nothing but the study as it is now."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)
        self.given = given
        self.same: list[bool] = []

    def propose(self, trials: Sequence[FrozenTrial], held: Collection[Architecture]) -> Chosen:
        known, fresh = super().propose(trials, held), Proposer(*self.given).propose(trials, held)
        self.same.append(known == fresh)
        return known


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("rule", ["curve", "halving"])
def test_a_proposal_depends_on_the_study_alone(workers: int, rule: str) -> None:
    """However long the proposer has followed it: latencies come in while trials run."""
    space = make_space(
        "search.trials=40",
        f"search.early_stopping={rule}",
        "latency={measure: front, predicted_within: 0.5}",
        "placement.stages=[2, 3, 4]",
    )
    made = []

    def doubled(space: Space, latencies: Latencies, ledger: Ledger) -> Doubled:
        domain = PlacementDomain(space, latencies, lambda: ledger.reference_ms)
        made.append(Doubled(domain, "ehvi", ledger.study.directions, space.trials, 0))
        return made[0]

    driver = make_driver(space, memory_ledger(space), make_proposer=doubled)
    Executor(driver, workers=workers).run()
    assert len(made[0].same) > 30
    assert all(made[0].same)
