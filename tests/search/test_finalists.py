"""Finalists: the best of the front and what they are compared with, with several seeds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from simulated import (
    TEST_IMAGES,
    Executor,
    WorkerDiedError,
    curves,
    inheriting,
    judged,
    make_driver,
    make_space,
    measured,
    memory_ledger,
    searched,
)
from simulated import epoch as made_epoch

from models import build
from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import make_block
from search import finalists
from search.ledger import Ledger
from search.picks import picks
from search.tasks import NoTask
from search.trial import Role, State, Trial
from trainers.messages import Answer, EpochResult, Failed, Resumed, Task

WITH = ("finalists={count: 1, seeds: 2}",)


def final(executor: Executor) -> list[Trial]:
    return [t for t in executor.driver.trials if t.role is Role.FINALIST]


def contending(executor: Executor) -> list[Trial]:
    return [t for t in executor.driver.trials if t.role.contends]


def best(executor: Executor) -> Trial:
    return picks(contending(executor), ("val_accuracy", "params", "latency_ms"))[0].trial


def test_the_best_and_what_it_is_compared_with_are_trained_with_every_seed() -> None:
    executor = searched(*WITH, "search.seed=7")
    number = best(executor).number
    twin = finalists.equal_size(best(executor).architecture, 16)
    expected = [
        (trial.architecture, seed, trial.number)
        for seed in (8, 9)
        for trial in executor.driver.trials[:2]
    ]
    expected += [(best(executor).architecture, seed, number) for seed in (8, 9)]
    expected += [(twin, seed, number) for seed in (8, 9) if twin.placements]
    made = [(t.architecture, t.seed, t.of) for t in final(executor)]
    assert sorted(made, key=str) == sorted(expected, key=str)
    assert all(t.state is State.COMPLETE and t.judged is not None for t in final(executor))
    assert [t.seed for t in final(executor)] == sorted(t.seed or 0 for t in final(executor))


def test_only_they_are_judged_by_the_test_split_and_only_in_the_end() -> None:
    executor = searched(*WITH, workers=3)
    tasks = [given.task for given in executor.assigned]
    first = next(index for index, task in enumerate(tasks) if task.final)
    assert all(task.final for task in tasks[first:])
    assert len(tasks) - first == len(final(executor))
    assert not any(task.measure_first or task.start for task in tasks[first:])
    assert [task.seed for task in tasks[:first]] == [0] * first
    assert not any(t.judged for t in contending(executor))


def test_the_search_is_what_it_is_without_them() -> None:
    without, with_them = searched("finalists.count=0"), searched(*WITH)
    assert contending(without) == contending(with_them)
    assert not final(without)


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_the_picks_come_first_then_the_front(count: int) -> None:
    executor = searched("finalists.count=0")
    space = make_space(f"finalists.count={count}")
    names = space.objective_names
    found = finalists.contestants(space, executor.driver.trials)
    chosen = [c.of for c in found if c.architecture not in (space.baseline, space.control)]
    chosen = list(dict.fromkeys(chosen))
    wanted = [pick.trial.number for pick in picks(executor.driver.trials, names)]
    assert chosen[: len(wanted)] == wanted[:count]
    assert len({c.architecture for c in found}) == len(found)


def test_without_a_candidate_on_the_front_there_is_nothing_to_judge() -> None:
    def beaten(task: Task) -> Iterator[Answer]:
        plain = not task.architecture.placements
        yield measured(1.0 if plain else 2.0)
        yield from (made_epoch(n, 0.9 if plain else 0.1) for n in (1, 2, 3))

    assert not final(searched(*WITH, simulation=beaten))


def test_more_seeds_train_what_is_missing() -> None:
    space, ledger = make_space(*WITH), None
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger), curves).run()
    before = [t.number for t in ledger.trials()]
    more = make_space("finalists={count: 1, seeds: 3}")
    executor = Executor(make_driver(more, ledger), curves)
    assert not executor.driver.done
    executor.run()
    added = [t for t in ledger.trials() if t.number not in before]
    assert {t.seed for t in added} == {3}
    assert executor.driver.done


def test_another_length_is_another_training() -> None:
    space = make_space(*WITH)
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger), curves).run()
    many = sum(t.role is Role.FINALIST for t in ledger.trials())
    longer = make_space("finalists={count: 1, seeds: 2, epochs: 5}")
    executor = Executor(make_driver(longer, ledger), curves)
    executor.run()
    assert {given.task.training.epochs for given in executor.assigned} == {5}
    assert sum(t.role is Role.FINALIST for t in ledger.trials()) == 2 * many


def test_one_that_failed_is_not_tried_again() -> None:
    def fails(task: Task) -> Iterator[Answer]:
        if task.final and task.seed == 1:
            yield Failed("it is broken")
        yield from curves(task)

    space = make_space(*WITH)
    ledger = memory_ledger(space)
    executor = Executor(make_driver(space, ledger), fails)
    executor.run()
    assert {t.state for t in final(executor) if t.seed == 1} == {State.FAILED}
    assert {t.state for t in final(executor) if t.seed == 2} == {State.COMPLETE}
    assert make_driver(space, ledger).done


@pytest.mark.parametrize("answers", range(30, 62, 3))
@pytest.mark.parametrize("workers", [1, 3])
def test_killed_after_any_answer(answers: int, workers: int) -> None:
    """The study ends with the same finalists, those that ran under their numbers."""
    whole = final(searched(*WITH))
    space = make_space(*WITH)
    ledger = memory_ledger(space)
    first = Executor(make_driver(space, ledger), curves, workers)
    first.run(answers)
    Executor(make_driver(space, ledger), curves, workers).run()
    made = [t for t in ledger.trials() if t.role is Role.FINALIST]
    assert {(t.architecture, t.seed, t.judged) for t in made} == {
        (t.architecture, t.seed, t.judged) for t in whole
    }
    assert len(made) == len(whole)
    assert {t.state for t in made} == {State.COMPLETE}


def test_one_whose_worker_dies_before_its_test_is_tried_once_more() -> None:
    def dies(task: Task) -> Iterator[Answer]:
        for answer in curves(task):
            if task.final and not isinstance(answer, EpochResult) and task.seed not in seen:
                seen.append(task.seed)
                raise WorkerDiedError("killed")
            yield answer

    seen: list[int] = []
    executor = searched(*WITH, simulation=dies)
    assert seen == [1, 2]
    assert {t.state for t in final(executor)} == {State.COMPLETE}
    assert len({t.number for t in final(executor)}) == len(
        {(t.architecture, t.seed) for t in final(executor)}
    )


def test_a_resumed_one_with_all_epochs_waits_for_its_test() -> None:
    space = make_space(*WITH)
    driver = make_driver(space, memory_ledger(space))
    executor = Executor(driver, curves)
    while not (executor.assigned and executor.assigned[-1].task.final):
        given = driver.next_task()
        assert not isinstance(given, NoTask)
        executor.assigned.append(given)
        if given.task.final:
            break
        for answer in curves(given.task):
            if not driver.answered(given.number, answer):
                break
    number, task = executor.assigned[-1].number, executor.assigned[-1].task
    whole = tuple(a for a in curves(task) if isinstance(a, EpochResult))
    assert driver.answered(number, Resumed(whole)), "the worker is to go on, to its test"
    assert not driver.answered(number, judged(task))
    assert driver.trials[number].state is State.COMPLETE


def test_early_stopping_and_budgets_leave_them_alone() -> None:
    executor = searched(*WITH, "search.early_stopping={rule: patience, patience: 1}")
    assert all(len(t.curve) == 3 for t in final(executor))


def test_time_that_is_over_ends_the_search_not_its_judgement() -> None:
    """They are the answer; who has no time says `--finalists 0`."""
    now = [0.0]
    space = make_space(*WITH, "search.timeout_minutes=1")
    driver = make_driver(space, memory_ledger(space), clock=lambda: now[0])

    def slow(task: Task) -> Iterator[Answer]:
        now[0] += 14.0
        yield from curves(task)

    executor = Executor(driver, slow)
    executor.run()
    assert len(contending(executor)) < 8
    assert {t.state for t in final(executor)} == {State.COMPLETE}
    assert final(executor)


def test_started_from_the_baseline_they_are_trained_from_scratch() -> None:
    def simulation(task: Task) -> Iterator[Answer]:
        yield from inheriting(task)
        if task.final:
            yield judged(task)

    over = ("training.start=baseline", "training.warm={checks: 2, epochs: 1}")
    space = make_space(*WITH, *over)
    driver = make_driver(space, memory_ledger(space), weights=Path("w.safetensors"))
    executor = Executor(driver, simulation)
    executor.run()
    tasks = [given.task for given in executor.assigned if given.task.final]
    assert tasks
    assert all(task.start is None and task.training.epochs == 3 for task in tasks)
    roles = [t.role for t in executor.driver.trials]
    last_check = max(i for i, role in enumerate(roles) if role is Role.CHECK)
    assert last_check < roles.index(Role.FINALIST)


def test_what_is_recorded_is_read_again(tmp_path: Path) -> None:
    space = make_space(*WITH)
    tmp_path.joinpath("study").mkdir()
    names, fingerprint = space.objective_names, space.file.fingerprint
    ledger = Ledger.open(tmp_path / "study", names, fingerprint)
    Executor(make_driver(space, ledger), curves).run()
    again = Ledger.read(tmp_path / "study").trials()
    assert again == ledger.trials()
    judged_ones = [t.judged for t in again if t.judged]
    assert all(each.images == TEST_IMAGES for each in judged_ones)
    assert len(judged_ones) == len([t for t in again if t.role is Role.FINALIST])


def test_the_same_study_may_have_them_or_not() -> None:
    """They are no part of what trials share."""
    assert make_space(*WITH).file.fingerprint == make_space("finalists.count=0").file.fingerprint


SLOT = Slot(4, 2, "before_add")


def placed(name: str, **options: object) -> Architecture:
    backbone = Backbone(width=0.25)
    return Architecture(backbone, (Placement(SLOT, make_block(name, options)),))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("se", {"reduction": 4}),
        ("se", {"reduction": 16}),
        ("gc", {"ratio": 0.25}),
        ("nonlocal", {"bottleneck_ratio": 0.5}),
        ("nonlocal", {"bottleneck_ratio": 1.0}),
        ("snl", {}),
        ("residual", {}),
    ],
)
def test_a_control_of_equal_size_is_the_nearest_there_is(name: str, options: dict) -> None:
    architecture = placed(name, **options)
    twin = finalists.equal_size(architecture, 32)
    wanted = build.cost(architecture, 32).params
    off = abs(build.cost(twin, 32).params - wanted)
    (placement,) = twin.placements
    assert (placement.slot, placement.block.name) == (SLOT, finalists.MATCHED)
    hidden = int(dict(placement.block.options)["hidden"])
    for other in {max(1, hidden - 1), hidden + 1}:
        block = make_block(finalists.MATCHED, {"hidden": other})
        near = replace(twin, placements=(Placement(SLOT, block),))
        assert abs(build.cost(near, 32).params - wanted) >= off
    plain = build.cost(Architecture(architecture.backbone), 32).params
    assert off < 0.35 * (wanted - plain)


@pytest.mark.parametrize("name", ["eca", "simam"])
def test_what_has_hardly_a_parameter_is_matched_by_the_plain_backbone(name: str) -> None:
    assert finalists.equal_size(placed(name), 32).placements == ()
