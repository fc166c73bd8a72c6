"""Trials go on from their last epoch after whatever interrupted them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulated import (
    Executor,
    Recorder,
    WorkerDiedError,
    chance,
    epoch,
    make_driver,
    make_space,
    measured,
    memory_ledger,
    searched,
)

from models.errors import StorageError
from search.checkpoints import CheckpointFolders
from search.driver import BY_HALVES, Assignment, Driver
from search.ledger import Ledger
from search.space import Space
from search.trial import State
from trainers.messages import Answer, Cause, EpochResult, Failed, Resumed, Task


class Keeping:
    """Workers that keep every epoch, by the folder of the task, and die as told."""

    def __init__(self, deaths: int = 0) -> None:
        self.deaths = deaths
        self.kept: dict[str, list[EpochResult]] = {}
        self.trained: Counter[str] = Counter()

    def __call__(self, task: Task) -> Iterator[Answer]:
        assert task.checkpoints is not None
        curve = self.kept.setdefault(task.checkpoints, [])
        if task.measure_first:
            yield measured(1.0 + (chance(task, slice(4, 8)) if task.architecture.placements else 0))
        if curve:
            yield Resumed(tuple(curve))
        for number in range(len(curve) + 1, task.training.epochs + 1):
            self.trained[task.checkpoints] += 1
            curve.append(epoch(number, chance(task) * (1 - 0.5**number)))
            if self.deaths:
                self.deaths -= 1
                raise WorkerDiedError("the worker process died")
            yield curve[-1]


def driver_of(space: Space, ledger: Ledger, folder: Path, **more: object) -> Driver:
    return make_driver(space, ledger, checkpoints=CheckpointFolders(folder), **more)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("answers", [1, 6, 10, 17, 21])
def test_no_epoch_is_trained_twice(tmp_path: Path, answers: int, workers: int) -> None:
    """Killed after any answer; and the study is that of a search which was not."""
    space, keeping = make_space(), Keeping()
    ledger = memory_ledger(space)
    Executor(driver_of(space, ledger, tmp_path), keeping, workers).run(answers)
    Executor(driver_of(space, ledger, tmp_path), keeping, workers).run()
    assert set(keeping.trained.values()) == {3}
    assert len(keeping.trained) == 8
    if workers == 1:
        assert ledger.trials() == searched().driver.trials


@pytest.mark.parametrize("answers", [10, 13])
def test_killed_between_a_checkpoint_and_its_record(tmp_path: Path, answers: int) -> None:
    """What the ledger missed is judged when the worker says it: here, that it is enough."""
    rule = "search.early_stopping={rule: patience, patience: 1, min_improvement: 0.9}"
    space, keeping = make_space(rule), Keeping()
    ledger = memory_ledger(space)
    Executor(driver_of(space, ledger, tmp_path), keeping).run(answers)
    (interrupted,) = (trial for trial in ledger.trials() if trial.state is State.RUNNING)
    assert len(interrupted.curve) == 1
    curve = keeping.kept[str(CheckpointFolders(tmp_path).of(interrupted.number))]
    curve.append(epoch(2, curve[0].val_accuracy))
    Executor(driver_of(space, ledger, tmp_path), keeping).run()
    after = ledger.trial(interrupted.number)
    assert (after.state, len(after.curve)) == (State.STOPPED, 2)
    assert set(keeping.trained.values()) == {1, 2, 3}


def begun(tmp_path: Path, *curve: float) -> tuple[Driver, Ledger, Recorder]:
    """A driver that has just taken up trial 0 again, which had come so far."""
    space, watcher = make_space(), Recorder()
    ledger = memory_ledger(space)
    first = driver_of(space, ledger, tmp_path)
    assert isinstance(first.next_task(), Assignment)
    first.answered(0, measured(1.0))
    for number, accuracy in enumerate(curve, start=1):
        first.answered(0, epoch(number, accuracy))
    driver = driver_of(space, ledger, tmp_path, watcher=watcher)
    given = driver.next_task()
    assert isinstance(given, Assignment)
    assert given.number == 0
    return driver, ledger, watcher


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_what_was_not_kept_is_no_longer_known(tmp_path: Path, kept: int) -> None:
    driver, ledger, watcher = begun(tmp_path, 0.1, 0.2)
    curve = tuple(epoch(n, n / 10) for n in range(1, kept + 1))
    assert driver.answered(0, Resumed(curve, ("epoch-00002: the SHA-256 is another one",)))
    assert ledger.trial(0).curve == curve
    (notice,) = watcher.notices
    assert notice.startswith("trial 0: a checkpoint is damaged and not used: epoch-00002: the")


def test_one_that_was_trained_to_its_end_is_complete(tmp_path: Path) -> None:
    driver, ledger, _ = begun(tmp_path, 0.1, 0.2)
    assert not driver.answered(0, Resumed(tuple(epoch(n, n / 10) for n in (1, 2, 3))))
    assert (ledger.trial(0).state, ledger.trial(0).val_accuracy) == (State.COMPLETE, 0.3)


def test_a_lost_worker_is_replaced_once(tmp_path: Path) -> None:
    space, keeping, watcher = make_space(), Keeping(deaths=1), Recorder()
    ledger = memory_ledger(space)
    executor = Executor(driver_of(space, ledger, tmp_path, watcher=watcher), keeping)
    executor.run()
    assert [given.number for given in executor.assigned] == [0, 0, *range(1, 8)]
    assert watcher.notices == ["trial 0 is tried once more: the worker process died"]
    assert {trial.state for trial in ledger.trials()} == {State.COMPLETE}
    assert set(keeping.trained.values()) == {3}


def test_who_loses_two_workers_has_failed(tmp_path: Path) -> None:
    space = make_space()
    ledger = memory_ledger(space)
    Executor(driver_of(space, ledger, tmp_path), Keeping(deaths=2)).run()
    failed, *others = ledger.trials()
    assert (failed.state, failed.reason) == (State.FAILED, "the worker process died; twice")
    assert {trial.state for trial in others} == {State.COMPLETE}


def test_a_full_disk_ends_the_search_and_the_trial_goes_on_later(tmp_path: Path) -> None:
    driver, ledger, _ = begun(tmp_path, 0.1)
    with pytest.raises(StorageError, match=r"^no space$"):
        driver.answered(0, Failed("no space", cause=Cause.STORAGE))
    assert ledger.trial(0).state is State.RUNNING
    assert len(ledger.trial(0).curve) == 1


def test_out_of_memory_is_tried_again_by_halves(tmp_path: Path) -> None:
    space, keeping, watcher = make_space(), Keeping(), Recorder()

    def short(task: Task) -> Iterator[Answer]:
        if task.micro_batches == 1 and len(task.architecture.placements) == 1:
            yield Failed("out of memory: 1 GB", cause=Cause.MEMORY)
        yield from keeping(task)

    ledger = memory_ledger(space)
    Executor(driver_of(space, ledger, tmp_path, watcher=watcher), short).run()
    again = [trial for trial in ledger.trials() if len(trial.architecture.placements) == 1]
    assert again
    assert watcher.notices == [
        f"trial {trial.number} is tried once more{BY_HALVES}: out of memory: 1 GB"
        for trial in again
    ]
    for trial in ledger.trials():
        assert trial.state is State.COMPLETE
        assert trial.micro_batches == (2 if trial in again else 1)


@pytest.mark.parametrize("lost", [False, True])
def test_out_of_memory_by_halves_as_well_is_a_failure(tmp_path: Path, lost: bool) -> None:
    """Whether Paddle says so, or who ended the worker."""
    space = make_space("search.trials=1")
    ledger = memory_ledger(space)
    driver = driver_of(space, ledger, tmp_path)
    failed = Failed("out of memory", cause=Cause.MEMORY)
    for parts in (1, 2):
        given = driver.next_task()
        assert isinstance(given, Assignment)
        assert (given.number, given.task.micro_batches) == (0, parts)
        if lost:
            driver.lost(0, failed)
        else:
            assert not driver.answered(0, failed)
    (trial,) = ledger.trials()
    assert (trial.state, trial.reason) == (State.FAILED, f"out of memory{BY_HALVES}")


# Folders.


def test_each_trial_has_its_own_while_it_runs(tmp_path: Path) -> None:
    space, seen = make_space(), []

    def keeping(task: Task) -> Iterator[Answer]:
        folder = Path(task.checkpoints or "")
        seen.append(folder)
        folder.mkdir(parents=True)
        (folder / "epoch-00001.json").write_text("{}")
        yield from Keeping()(task)

    Executor(driver_of(space, memory_ledger(space), tmp_path), keeping, workers=3).run()
    assert seen == [tmp_path / "checkpoints" / f"trial-{number:05d}" for number in range(8)]
    assert list((tmp_path / "checkpoints").iterdir()) == [], "they have ended"


def test_leftovers_of_a_killed_driver_are_removed(tmp_path: Path) -> None:
    space = make_space()
    ledger = memory_ledger(space)
    Executor(driver_of(space, ledger, tmp_path), Keeping()).run(6)  # trial 1 runs
    folders = CheckpointFolders(tmp_path)
    for number in range(3):
        folders.of(number).mkdir(parents=True)
    (tmp_path / "checkpoints" / "trial-notes").mkdir()
    driver_of(space, ledger, tmp_path)
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["trial-00001", "trial-notes"]


def test_workers_find_them_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CheckpointFolders(Path("runs/a")).of(7) == tmp_path / "runs/a/checkpoints/trial-00007"
