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

from search.driver import Assignment, NoTask
from search.front import front
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
        "objectives.max_latency_ms=0.5", "objectives.max_params=44700", "search.trials=4"
    )
    baseline, control, *rest = executor.driver.trials
    assert baseline.state is State.COMPLETE
    assert control.state is State.COMPLETE
    assert control.params > 44_700
    assert dict(control.over_budget).keys() == {"max_params", "max_latency_ms"}
    assert {trial.state for trial in rest} == {State.INFEASIBLE}
    assert front(executor.driver.trials, ("val_accuracy", "params")) == []


def test_nothing_within_budget_ends_with_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.driver.MAX_INFEASIBLE_IN_A_ROW", 7)
    executor = searched("objectives.max_params=44622")
    assert states(executor) == {State.COMPLETE: 2, State.INFEASIBLE: 7}
    (notice,) = notices(executor)
    assert "7 candidates in a row were over budget" in notice
    assert executor.driver.next_task() is NoTask.NEVER
    assert len(executor.driver.trials) == 9


@pytest.mark.parametrize("workers", [1, 3])
def test_nothing_fast_enough_ends_with_a_notice(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr("search.driver.MAX_INFEASIBLE_IN_A_ROW", 7)
    executor = searched("objectives.max_latency_ms=0.5", "search.trials=50", workers=workers)
    assert states(executor)[State.COMPLETE] == 2
    assert 7 <= states(executor)[State.INFEASIBLE] < 7 + workers
    assert len(notices(executor)) == 1


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
    monkeypatch.setattr("search.driver.MAX_INFEASIBLE_IN_A_ROW", 7)
    space, watcher = make_space("objectives.max_params=44622"), Recorder()
    driver = make_driver(space, memory_ledger(space), watcher=watcher)
    assert isinstance(driver.next_task(), Assignment)
    assert isinstance(driver.next_task(), Assignment)
    assert [driver.next_task() for _ in range(5)] == [NoTask.LATER] * 5
    assert len(driver.trials) == 9
    assert len(watcher.notices) == 1
