"""The driver decides: a whole search without training, in a loop."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import pytest
from optuna.trial import FrozenTrial
from simulated import (
    TINY,
    Executor,
    Recorder,
    WorkerDiedError,
    attention,
    chance,
    curves,
    epoch,
    failing,
    make_driver,
    make_space,
    measured,
    memory_ledger,
    searched,
    states,
)

from models.architecture import Architecture
from models.errors import InputError, StorageError
from search.candidates import count_architectures
from search.front import front
from search.ledger import Ledger
from search.placements import placement_proposer
from search.samplers import KINDS
from search.sampling.whole import OVER_BUDGET, NothingNowError
from search.space import Space
from search.tasks import Assignment, NoTask
from search.trial import Role, State
from trainers.messages import Answer, Failed, Task


def fails_where(predicate: Callable[[Task], bool]) -> Callable[[Task], Iterator[Answer]]:
    return lambda task: failing("ValueError: no")(task) if predicate(task) else curves(task)


def test_baseline_then_control_then_candidates(space: Space) -> None:
    executor = searched()
    trials = executor.driver.trials
    roles = [trial.role for trial in trials]
    assert roles == [Role.BASELINE, Role.CONTROL] + [Role.CANDIDATE] * 6
    assert trials[0].architecture == space.baseline
    (control,) = trials[1].architecture.placements
    assert (control.slot, control.block.name) == (space.control_slot, "residual")
    assert [given.number for given in executor.assigned] == list(range(8))
    first = executor.assigned[0].task
    assert (first.device, first.seed, first.training.epochs) == ("cpu", 0, 3)
    assert first.data_folder == "images"


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("sampler", KINDS)
def test_as_many_trials_as_wanted_without_duplicates(workers: int, sampler: str) -> None:
    executor = searched("search.trials=10", f"search.sampler={sampler}", workers=workers)
    assert states(executor) == {State.COMPLETE: 10}
    assert len(set(executor.architecture_ids)) == 10
    assert executor.busiest == workers
    assert all(len(trial.curve) == 3 for trial in executor.driver.trials)


def test_what_is_recorded_is_what_the_workers_said(space: Space) -> None:
    executor = searched()
    for given, trial in zip(executor.assigned, executor.driver.trials, strict=True):
        assert trial.architecture == given.task.architecture
        assert trial.val_accuracy == pytest.approx(chance(given.task) * 0.875)
        longer = chance(given.task, slice(4, 8)) if trial.architecture.placements else 0
        assert trial.latency_ms == pytest.approx(1 + longer)
        assert not trial.latency_predicted
        assert trial.reason == ""


def test_watchers_hear_of_every_trial_once() -> None:
    executor = searched(workers=2)
    watcher = executor.driver._watcher
    assert isinstance(watcher, Recorder)
    assert watcher.began == list(range(8))
    assert sorted(trial.number for trial in watcher.ended) == list(range(8))
    assert all(trial.state is State.COMPLETE for trial in watcher.ended)
    assert watcher.notices == []


def test_a_failed_candidate_is_recorded_and_the_search_goes_on() -> None:
    executor = searched(simulation=fails_where(attention))
    assert states(executor) == {State.COMPLETE: 2, State.FAILED: 6}
    failed = [trial for trial in executor.driver.trials if trial.state is State.FAILED]
    assert {trial.reason for trial in failed} == {"ValueError: no"}
    ledger = executor.driver._ledger
    assert ledger.frozen(failed[0].number).user_attrs["traceback"] == "Traceback ..."


def test_all_trials_may_fail() -> None:
    executor = searched(simulation=failing("no"), workers=2)
    assert states(executor) == {State.FAILED: 8}
    assert front(executor.driver.trials, ("val_accuracy", "params")) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), None, "0.5"])
@pytest.mark.parametrize("at", [1, 3])
def test_an_accuracy_that_is_no_number_or_missing_fails_the_trial(value: Any, at: int) -> None:
    def simulation(task: Task) -> Iterator[Answer]:
        yield measured(1.0)
        for number in range(1, 4):
            yield epoch(number, value if number == at and attention(task) else 0.5)

    executor = searched("search.trials=4", simulation=simulation)
    assert states(executor) == {State.COMPLETE: 2, State.FAILED: 2}
    failed = executor.driver.trials[2]
    assert str(value) in failed.reason
    assert len(failed.curve) == at - 1
    assert not {2, 3} & {
        t.number for t in front(executor.driver.trials, ("val_accuracy", "params"))
    }


def test_a_lost_worker_fails_its_trial_only() -> None:
    def simulation(task: Task) -> Iterator[Answer]:
        answers = curves(task)
        yield next(answers)
        yield next(answers)
        if attention(task) and chance(task) < 0.5:
            raise WorkerDiedError("the worker process died")
        yield from answers

    executor = searched(simulation=simulation, workers=3)
    lost = [trial for trial in executor.driver.trials if trial.state is State.FAILED]
    assert 0 < len(lost) < 6
    assert {trial.reason for trial in lost} == {"the worker process died; twice"}
    assert all(len(trial.curve) == 1 for trial in lost)
    assert len(executor.driver.trials) == 8
    assert len(executor.assigned) == 8 + len(lost), "each was tried once more"


def test_answers_after_the_end_are_ignored(space: Space) -> None:
    driver = make_driver(space, memory_ledger(space))
    given = driver.next_task()
    assert isinstance(given, Assignment)
    assert driver.answered(given.number, measured(1.0))
    assert not driver.answered(given.number, Failed("broken"))
    driver.lost(given.number, Failed("gone"))
    assert not driver.answered(given.number, epoch(1, 0.5))
    assert (driver.trials[0].state, driver.trials[0].reason) == (State.FAILED, "broken")
    assert driver.trials[0].curve == ()


def test_stopped_trials_keep_their_curve_and_stay_off_the_front() -> None:
    rules = "search.early_stopping={rule: patience, patience: 1}"

    def flat(task: Task) -> Iterator[Answer]:
        yield measured(1.0)
        yield from (epoch(number, 0.9 if attention(task) else 0.1) for number in (1, 2, 3))

    executor = searched(rules, simulation=flat)
    assert [t.state for t in executor.driver.trials] == [State.COMPLETE] * 2 + [State.STOPPED] * 6
    stopped = executor.driver.trials[2:]
    assert all(len(trial.curve) == 2 and "patience" in trial.reason for trial in stopped)
    members = front(executor.driver.trials, ("val_accuracy", "params"))
    assert members == [executor.driver.trials[0]]


def test_candidates_behind_are_stopped_and_the_baseline_is_not() -> None:
    def worse(task: Task) -> Iterator[Answer]:
        yield measured(2.0 if attention(task) else 1.0)
        yield from (epoch(number, 0.1 if attention(task) else 0.5) for number in (1, 2, 3))

    trials = searched("search.early_stopping=halving", simulation=worse).driver.trials
    assert {trial.state for trial in trials[:2]} == {State.COMPLETE}
    assert {trial.state for trial in trials[2:]} == {State.STOPPED}
    assert all("halving" in t.reason and len(t.curve) == 1 for t in trials[2:])


def test_what_will_not_reach_the_front_is_stopped() -> None:
    """From the fifth whole curve on; the plain backbone is the cheapest and good enough."""

    def worse(task: Task) -> Iterator[Answer]:
        yield measured(2.0 if attention(task) else 1.0)
        final = 0.2 + 0.1 * chance(task) if attention(task) else 0.9
        yield from (epoch(number, final - 0.05 * (3 - number)) for number in (1, 2, 3))

    rule = "search.early_stopping={rule: curve, risk: 0.1}"
    trials = searched(rule, "search.trials=12", simulation=worse).driver.trials
    assert [trial.state for trial in trials[:4]] == [State.COMPLETE] * 4
    late = trials[4:]
    assert {trial.state for trial in late} == {State.STOPPED}
    assert all("trial 0" in trial.reason and len(trial.curve) == 1 for trial in late)


def test_a_space_smaller_than_the_trials_ends_the_search() -> None:
    executor = searched(*TINY, "search.trials=50", workers=3)
    assert states(executor) == {State.COMPLETE: count_architectures(make_space(*TINY)) + 1}
    assert executor.driver.next_task() is NoTask.NEVER


def test_an_error_of_the_ledger_is_raised(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Ledger, number: int, curve: object) -> None:
        raise StorageError("the disk is full")

    executor = Executor(make_driver(space, memory_ledger(space)))
    monkeypatch.setattr(Ledger, "epoch", full)
    with pytest.raises(StorageError, match="disk is full"):
        executor.run()


def test_where_little_is_to_be_gained_the_search_ends() -> None:
    executor = searched("search.min_gain=0.99", "search.trials=30")
    watcher = executor.driver._watcher
    assert isinstance(watcher, Recorder)
    assert 6 <= len(executor.driver.trials) < 30, "what is drawn at random is tried in any case"
    (notice,) = watcher.notices
    assert notice.endswith("none is expected to add 99 % to the front's hypervolume")
    assert len(searched("search.min_gain=1e-9", "search.trials=12").driver.trials) == 12


def test_little_to_gain_is_asked_once_while_nothing_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What runs may change it; executors ask again and again, and a proposal takes time."""
    space = make_space("search.min_gain=0.99", "search.trials=30")
    driver = make_driver(space, memory_ledger(space))
    Executor(driver).run(answers=4 * 5)
    first, second = driver.next_task(), driver.next_task()
    assert isinstance(first, Assignment)
    assert isinstance(second, Assignment)
    for answer in curves(first.task):
        driver.answered(first.number, answer)
    asked, propose = [], driver._proposer.propose
    monkeypatch.setattr(
        driver._proposer, "propose", lambda *given: asked.append(given) or propose(*given)
    )
    assert [driver.next_task() for _ in range(5)] == [NoTask.LATER] * 5
    assert len(asked) == 1
    assert driver.answered(second.number, measured(2.0))
    assert [driver.next_task() for _ in range(5)] == [NoTask.LATER] * 5
    assert len(asked) == 2


def test_what_runs_may_leave_something_within_the_budgets() -> None:
    """A measurement makes latencies, and so budgets, known better."""

    class Late:
        def __init__(self, *given: Any) -> None:
            self._proposer = placement_proposer(*given)

        def propose(self, trials: Sequence[FrozenTrial], held: Collection[Architecture]) -> Any:
            if any(not trial.state.is_finished() for trial in trials):
                raise NothingNowError(OVER_BUDGET)
            return self._proposer.propose(trials, held)

    space, watcher = make_space("search.trials=6"), Recorder()
    driver = make_driver(space, memory_ledger(space), watcher=watcher, make_proposer=Late)
    Executor(driver, workers=3).run()
    assert len(driver.trials) >= 6
    assert not watcher.notices


def test_gains_must_be_foreseen() -> None:
    with pytest.raises(InputError, match="min_gain needs a sampler that foresees gains: ehvi, not"):
        make_space("search.min_gain=0.1", "search.sampler=tpe")
