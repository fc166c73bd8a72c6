"""Budgets: who is refused, when, and what ends a search that nothing fits."""

import itertools
from collections.abc import Iterator

import pytest
from simulated import (
    Executor,
    Recorder,
    attention,
    epoch,
    make_driver,
    make_space,
    measured,
    memory_ledger,
    searched,
    states,
)

from search.budgets import Budgets
from search.driver import Driver
from search.front import front
from search.tasks import Assignment, NoTask
from search.trial import Role, State
from trainers.messages import Answer, Task


def notices(executor: Executor) -> list[str]:
    watcher = executor.driver._watcher
    assert isinstance(watcher, Recorder)
    return watcher.notices


def test_too_slow_is_infeasible_untrained_and_not_counted() -> None:
    executor = searched("objectives.max_latency_ms=1.5")
    trials = executor.driver.trials
    slow = [t for t in trials if t.state is State.INFEASIBLE]
    assert slow, "the simulation has candidates of both kinds"
    assert len(trials) - len(slow) == 8
    assert all(trial.curve == () and trial.latency_ms > 1.5 for trial in slow)
    assert all("max_latency_ms" in trial.reason for trial in slow)
    assert not set(slow) & set(front(trials, ("val_accuracy", "params", "latency_ms")))


def test_too_many_parameters_is_infeasible_before_it_is_handed_out() -> None:
    budget = 45_000
    executor = searched(f"objectives.max_params={budget}", "search.sampler=random")
    refused = [t for t in executor.driver.trials if t.state is State.INFEASIBLE]
    assert refused, "the space has candidates of both kinds"
    assert all(trial.params > budget and trial.role is Role.CANDIDATE for trial in refused)
    assert all("max_params" in trial.reason for trial in refused)
    handed = {given.number for given in executor.assigned}
    assert not handed & {trial.number for trial in refused}
    assert len(handed) == 8


def test_baseline_and_control_are_trained_whatever_they_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.driver.MAX_INFEASIBLE_IN_A_ROW", 7)
    executor = searched(
        "objectives.max_latency_ms=0.5", "objectives.max_params=44800", "search.trials=4"
    )
    baseline, control, *rest = executor.driver.trials
    assert baseline.state is State.COMPLETE
    assert control.state is State.COMPLETE
    assert control.params > 44_800
    assert dict(control.over_budget).keys() == {"max_params", "max_latency_ms"}
    assert not rest  # each contains the baseline
    assert front(executor.driver.trials, ("val_accuracy", "params")) == []


def hopeless(monkeypatch: pytest.MonkeyPatch, watcher: Recorder) -> Driver:
    """A driver whose ledger lets no candidate pass, as a budget between two sizes may."""
    monkeypatch.setattr("search.driver.MAX_INFEASIBLE_IN_A_ROW", 7)
    space = make_space()
    ledger = memory_ledger(space)
    ledger.budgets = Budgets(max_params=44_622)
    return make_driver(space, ledger, watcher=watcher)


def test_nothing_within_budget_ends_with_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Recorder()
    executor = Executor(hopeless(monkeypatch, watcher))
    executor.run()
    assert states(executor) == {State.COMPLETE: 2, State.INFEASIBLE: 7}
    (notice,) = watcher.notices
    assert "7 in a row were over budget" in notice
    assert executor.driver.next_task() is NoTask.NEVER
    assert len(executor.driver.trials) == 9


@pytest.mark.parametrize("workers", [1, 3])
def test_a_baseline_that_is_too_slow_ends_the_search(workers: int) -> None:
    executor = searched("objectives.max_latency_ms=0.5", "search.trials=50", workers=workers)
    assert states(executor)[State.COMPLETE] == 2
    assert states(executor)[State.INFEASIBLE] < workers  # begun before the baseline was measured
    (notice,) = notices(executor)
    assert "plain backbone alone is over max_latency_ms" in notice


def test_now_and_then_infeasible_is_no_reason_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.driver.MAX_INFEASIBLE_IN_A_ROW", 3)
    candidates = itertools.count()

    def slow_two_times_in_three(task: Task) -> Iterator[Answer]:
        slow = attention(task) and next(candidates) % 3
        yield measured(2.0 if slow else 1.0)
        yield from (epoch(number, 0.5) for number in (1, 2, 3))

    executor = searched("objectives.max_latency_ms=1.5", simulation=slow_two_times_in_three)
    assert states(executor) == {State.COMPLETE: 8, State.INFEASIBLE: 10}
    assert notices(executor) == []


def test_after_the_notice_a_waiting_executor_gets_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Executors ask again and again while the last trainings run."""
    watcher = Recorder()
    driver = hopeless(monkeypatch, watcher)
    assert isinstance(driver.next_task(), Assignment)
    assert isinstance(driver.next_task(), Assignment)
    assert [driver.next_task() for _ in range(5)] == [NoTask.LATER] * 5
    assert len(driver.trials) == 9
    assert len(watcher.notices) == 1


def test_an_empty_space_is_said_once_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampler's memory must not grow while an executor polls."""
    watcher = Recorder()
    space = make_space("search.trials=100", "placement.at_most=1")
    executor = Executor(make_driver(space, memory_ledger(space), watcher=watcher))
    executor.run()
    asked = []
    monkeypatch.setattr(executor.driver._proposer, "propose", asked.append)
    assert executor.driver.next_task() is NoTask.NEVER
    assert asked == []
    (notice,) = watcher.notices
    assert "holds no other architecture" in notice


def test_time_that_is_over_is_said() -> None:
    watcher = Recorder()
    space = make_space("search.timeout_minutes=1")
    now = [0.0]
    driver = make_driver(space, memory_ledger(space), watcher=watcher, clock=lambda: now[0])
    assert isinstance(driver.next_task(), Assignment)
    now[0] = 61.0
    assert driver.next_task() is NoTask.LATER
    assert not driver.done
    (notice,) = watcher.notices
    assert "timeout_minutes" in notice
