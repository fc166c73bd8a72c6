"""Candidates that inherit weights: the baseline first, then all others, then some from scratch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from simulated import (
    START,
    TINY,
    Executor,
    Recorder,
    epoch,
    inheriting,
    make_driver,
    make_space,
    memory_ledger,
)

from models.errors import AllTrialsFailedError, InputError
from run_search import _refuse_all_failed
from search.ledger import Ledger
from search.space import Space
from search.tasks import Assignment, NoTask
from search.trial import Role, State
from trainers.messages import Answer, Cause, EpochResult, Failed, Task

WARM = ("training.epochs=10", "training.start=baseline", "training.warm.checks=3")


def warm(*overrides: str) -> tuple[Space, Ledger, Executor]:
    space = make_space(*WARM, *overrides)
    ledger = memory_ledger(space)
    driver = make_driver(space, ledger, watcher=Recorder(), weights=Path("w.safetensors"))
    return space, ledger, Executor(driver, inheriting, workers=2)


def test_the_baseline_is_trained_first_and_alone() -> None:
    space, _, executor = warm()
    first = executor.driver.next_task()
    assert isinstance(first, Assignment)
    assert first.task.architecture == space.baseline
    assert (first.task.save_to, first.task.start) == ("w.safetensors", None)
    assert (first.task.training.epochs, first.task.measure_first) == (10, False)
    assert executor.driver.next_task() is NoTask.LATER


def test_all_others_inherit_and_train_a_fifth() -> None:
    space, ledger, executor = warm()
    executor.run()
    origin, *others = executor.driver.trials
    assert (origin.role, origin.state, len(origin.curve)) == (Role.ORIGIN, State.COMPLETE, 10)
    tasks = {given.number: given.task for given in executor.assigned}
    for trial in others:
        task = tasks[trial.number]
        if trial.role is Role.CHECK:
            assert (task.start, len(trial.curve), trial.latency) == (None, 10, None)
            assert task.training == space.file.training
        else:
            assert (task.start, len(trial.curve), trial.epochs) == (START, 2, 2)
            assert task.training.learning_rate == pytest.approx(0.5 * 0.1)
    assert ledger.start == START
    roles = [trial.role for trial in others]
    assert roles[:2] == [Role.BASELINE, Role.CONTROL]
    assert roles.count(Role.CANDIDATE) == 6, "search.trials counts neither origin nor checks"
    assert roles[-3:] == [Role.CHECK] * 3


def test_checks_reach_from_the_best_to_the_worst() -> None:
    _, _, executor = warm()
    executor.run()
    trials = executor.driver.trials
    checked = {trial.architecture_id for trial in trials if trial.role is Role.CHECK}
    ranked = sorted(
        (t for t in trials if t.role in {Role.CANDIDATE, Role.CONTROL}),
        key=lambda trial: trial.val_accuracy or 0,
    )
    assert {ranked[0].architecture_id, ranked[-1].architecture_id} < checked
    assert len(checked) == 3


def test_neither_origin_nor_checks_are_on_optunas_front() -> None:
    _, ledger, executor = warm("search.trials=3")
    executor.run()
    hidden = [trial.number for trial in executor.driver.trials if not trial.role.contends]
    assert len(hidden) == 3
    best = {trial.number for trial in ledger.study.best_trials}
    assert best
    assert not best & set(hidden)
    assert not any(trial.eligible for trial in executor.driver.trials if not trial.role.contends)


def test_interrupted_in_the_origin_it_begins_with_it_again() -> None:
    space, ledger, executor = warm()
    executor.run(4)
    again = Executor(make_driver(space, ledger, weights=Path("w.safetensors")), inheriting)
    first = again.driver.next_task()
    assert isinstance(first, Assignment)
    assert (first.number, first.task.save_to) == (0, "w.safetensors")
    assert again.driver.next_task() is not NoTask.NEVER


def test_interrupted_in_the_checks_only_what_is_missing_is_done() -> None:
    space, ledger, executor = warm()
    executor.workers = 1
    executor.run(10 + 1 + 8 * 3 + 12)  # the origin, all trials, one check and two epochs
    driver = make_driver(space, ledger, weights=Path("w.safetensors"))
    assert not driver.done
    again = Executor(driver, inheriting)
    again.run()
    roles = [trial.role for trial in driver.trials]
    assert roles.count(Role.CHECK) == 3
    assert {trial.state for trial in driver.trials} == {State.COMPLETE}
    assert len(again.assigned) == 2
    assert driver.done
    assert driver.next_task() is NoTask.NEVER


def test_without_checks_there_are_none() -> None:
    _, _, executor = warm("training.warm.checks=0")
    executor.run()
    assert not any(trial.role is Role.CHECK for trial in executor.driver.trials)
    assert executor.driver.done


def test_an_origin_that_fails_ends_the_search_with_the_reason() -> None:
    _, _, executor = warm()

    def failing(task: Task) -> Iterator[Answer]:
        yield Failed("diverged in epoch 1: …")

    executor.simulation = failing
    executor.run()
    watcher = executor.driver._watcher
    assert isinstance(watcher, Recorder)
    assert [trial.state for trial in executor.driver.trials] == [State.FAILED]
    assert any("the baseline that all others start from" in text for text in watcher.notices)
    assert not executor.driver.done


def test_where_all_that_inherit_fail_the_baselines_training_is_no_success() -> None:
    _, ledger, executor = warm("search.trials=3")

    def failing(task: Task) -> Iterator[Answer]:
        return inheriting(task) if task.save_to else iter([Failed("no such weights")])

    executor.simulation = failing
    executor.run()
    assert [trial.state for trial in ledger.trials()] == [State.COMPLETE] + [State.FAILED] * 3
    with pytest.raises(AllTrialsFailedError, match="all 3 trials failed, 3 of them with: no such"):
        _refuse_all_failed(ledger)


def test_a_failed_origin_or_check_ends_as_it_should() -> None:
    """The origin alone is all there is; checks are told in the report."""
    _, ledger, executor = warm("search.trials=3")
    executor.simulation = lambda task: iter([Failed("diverged")])
    executor.run()
    with pytest.raises(AllTrialsFailedError, match="all 1 trials failed"):
        _refuse_all_failed(ledger)

    _, ledger, executor = warm("search.trials=3")
    executor.simulation = lambda task: (
        inheriting(task) if task.start or task.save_to else iter([Failed("diverged")])
    )
    executor.run()
    assert ledger.trials()[-1].state is State.FAILED
    _refuse_all_failed(ledger)


def test_weights_from_outside_need_no_origin(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.touch()
    space = make_space(f"training.start={weights}", "training.epochs=10")
    ledger = memory_ledger(space)
    ledger.note_start(START)
    executor = Executor(make_driver(space, ledger), inheriting)
    executor.run()
    roles = [trial.role for trial in executor.driver.trials]
    assert Role.ORIGIN not in roles
    assert roles.count(Role.CHECK) == 7, "all that were trained but the baseline: 8 are asked for"
    contending = [given.task for given in executor.assigned][:8]
    assert {task.start for task in contending} == {START}


def test_out_of_time_no_check_is_begun() -> None:
    space = make_space(*WARM, "search.timeout_minutes=1", "search.trials=2")
    now = [0.0]
    driver = make_driver(space, memory_ledger(space), clock=lambda: now[0], weights=Path("w"))
    executor = Executor(driver, inheriting)
    executor.run(10 + 1 + 2 * 3 - 1)
    now[0] = 61.0
    while isinstance(given := driver.next_task(), Assignment):
        pytest.fail(f"{given} was begun after the end")


def test_epochs_of_a_warm_start_can_be_set() -> None:
    _, _, executor = warm("training.warm={epochs: 4, learning_rate: 1.0, checks: 1}")
    executor.run()
    assert {t.epochs for t in executor.driver.trials if t.role.contends} == {4}


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("basline", "'basline' is not known; allowed: scratch, baseline, paddle or a file"),
        ("basline", 'did you mean "baseline"?'),
        ("weights.h5", "'weights.h5' is not known"),
        ("/", "/ is a folder; allowed: a file in it"),
        ("3", "allowed: scratch, baseline, paddle or a file of weights"),
        ("", "allowed: scratch, baseline, paddle or a file of weights"),
        ("nowhere/w.safetensors", "there is no file nowhere/w.safetensors"),
        ("''", "training.start"),
    ],
)
def test_starts_that_are_none(start: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        make_space(f"training.start={start}")
    assert said in str(refused.value)
    assert "training.start" in str(refused.value)


def test_a_file_of_weights_may_move(tmp_path: Path) -> None:
    """Its checksum is what the study holds on to."""
    prints = []
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).touch()
        space = make_space(f"training.start={tmp_path / name}")
        prints.append(space.file.fingerprint)
    assert prints[0] == prints[1]


def test_where_the_space_is_exhausted_the_checks_are_made() -> None:
    space = make_space(*WARM, *TINY, "search.trials=50")
    executor = Executor(
        make_driver(space, memory_ledger(space), weights=Path("w.safetensors")), inheriting
    )
    executor.run()
    roles = [trial.role for trial in executor.driver.trials]
    assert roles.count(Role.CHECK) == 3


def test_killed_between_the_weights_and_the_end_of_the_origin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others begin with these weights: they must not be trained again."""
    space, ledger, executor = warm()
    complete = ledger.complete
    monkeypatch.setattr(ledger, "complete", lambda *_: None)
    executor.run(11)
    assert ledger.start == START
    assert ledger.trial(0).state is State.RUNNING
    monkeypatch.setattr(ledger, "complete", complete)
    again = Executor(make_driver(space, ledger, weights=Path("w.safetensors")), inheriting)
    again.run()
    assert ledger.trial(0).state is State.COMPLETE
    assert all(given.task.save_to is None for given in again.assigned)


def test_trainings_from_scratch_dominate_nobody() -> None:
    """They were trained longer, by another recipe."""
    rules = "search.early_stopping={rule: curve, risk: 0.4}"
    space = make_space(*WARM, rules, "objectives.minimize=[params]", "training.warm.epochs=5")

    def flat(task: Task) -> Iterator[Answer]:
        better = 0.9 if task.save_to else 0.5
        yield from (
            epoch(answer.epoch, better) if isinstance(answer, EpochResult) else answer
            for answer in inheriting(task)
        )

    executor = Executor(
        make_driver(space, memory_ledger(space), weights=Path("w.safetensors")), flat
    )
    executor.run()
    assert {trial.state for trial in executor.driver.trials} == {State.COMPLETE}


def test_weights_that_vanish_stop_the_search_and_use_up_nothing() -> None:
    """Every other trial would fail as well: the user is asked to put them back."""
    _, ledger, executor = warm("search.trials=5")
    gone = Failed("w.safetensors: the weights are gone: put the file back", cause=Cause.INPUT)
    executor.simulation = lambda task: inheriting(task) if task.save_to else iter([gone])
    with pytest.raises(InputError, match="put the file back"):
        executor.run()
    assert State.FAILED not in {trial.state for trial in ledger.trials()}
    space = make_space(*WARM, "search.trials=5")
    again = Executor(make_driver(space, ledger, weights=Path("w.safetensors")), inheriting)
    again.run()
    states = [trial.state for trial in ledger.trials() if trial.role.contends]
    assert states == [State.COMPLETE] * 5
