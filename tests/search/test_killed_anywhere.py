"""A driver that is killed before any of its writes to the study, and again, goes on as if not.

Real processes, real SQLite and SIGKILL; workers are simulated, and keep their epochs on the disk as
real ones do. The child processes are forked, so that each begins in milliseconds.
"""

import dataclasses
import json
import multiprocessing
import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from simulated import Executor, chance, epoch, make_driver, make_space, measured
from sqlalchemy import Connection, Engine, event

from models.whole_file import replacing
from search import run_folder
from search.checkpoints import CheckpointFolders
from search.ledger import Ledger
from search.study_file import DATABASE
from search.trial import State, Trial
from trainers.messages import Answer, EpochResult, Resumed, Task

TRAINED, TRIALS = 3, 4  # one is over the budget
FORK = multiprocessing.get_context("fork")
WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE")
ENDED = {State.COMPLETE, State.STOPPED, State.INFEASIBLE}
# So that there are such; the sampler is one that takes no time.
GIVEN = (
    f"search.trials={TRAINED}",
    "search.sampler=random",
    "search.early_stopping={rule: patience, patience: 1, min_improvement: 0.2}",
    "objectives.max_latency_ms=1.72",
    "latency={measure: front, predicted_within: 0.5}",
)


def keeping(task: Task) -> Iterator[Answer]:
    """A worker that keeps its epochs before it says what they gave."""
    assert task.checkpoints is not None
    kept = Path(task.checkpoints) / "curve.json"
    curve = [EpochResult(**each) for each in json.loads(kept.read_text())] if kept.exists() else []
    plain = not task.architecture.placements
    latency = measured(1.0 if plain else 1.0 + chance(task, slice(4, 8)))
    if task.measure_first:
        yield latency
    if curve:
        yield Resumed(tuple(curve))
    for number in range(len(curve) + 1, task.training.epochs + 1):
        curve.append(epoch(number, chance(task) * (1 - 0.5**number)))
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as path:
            path.write_text(json.dumps([dataclasses.asdict(each) for each in curve]))
        yield curve[-1]
    if not task.measure_first:
        yield latency


class Writes:
    """Counts the transactions that change a database; the process is killed before number `at`."""

    def __init__(self, at: int | None) -> None:
        self.done, self._at = 0, at
        event.listen(Engine, "before_cursor_execute", self._executes)
        event.listen(Engine, "commit", self._commits)
        event.listen(Engine, "rollback", lambda connection: connection.info.clear())

    def _executes(self, connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(WRITES):
            connection.info["writes"] = True

    def _commits(self, connection: Connection) -> None:
        if connection.info.pop("writes", False):
            if self.done == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.done += 1


def search(folder: Path, workers: int, at: int | None) -> int:
    """A whole search, killed before write `at`; how many writes it took."""
    space, writes = make_space(*GIVEN), Writes(at)
    run_folder.prepare(folder)
    with run_folder.lock(folder, "a search"):
        ledger = Ledger.open(folder, space.objective_names, space.file.fingerprint)
        ledger.note("machine", {"cores": 2})
        driver = make_driver(space, ledger, checkpoints=CheckpointFolders(folder))
        Executor(driver, keeping, workers=workers).run()
    return writes.done


def in_a_process(folder: Path, workers: int, at: int | None = None) -> tuple[int, int]:
    """The exit code of a process that searches, and how many writes it took."""
    receiver, sender = FORK.Pipe(duplex=False)

    def run() -> None:
        sender.send(search(folder, workers, at))

    process = FORK.Process(target=run)
    process.start()
    sender.close()
    process.join(60)
    assert process.exitcode is not None, "it hangs"
    with receiver:
        return process.exitcode, receiver.recv() if process.exitcode == 0 else 0


def read(folder: Path) -> tuple[list[Trial], list[dict[str, Any]]]:
    """The trials, and all that their rows hold but when they began and ended."""
    ledger = Ledger.read(folder)
    trials = ledger.trials()
    frozen = [ledger.frozen(trial.number) for trial in trials]
    rows = [
        {"state": each.state, "values": each.values, "params": each.params}
        | {"user": each.user_attrs, "system": each.system_attrs}
        for each in frozen
    ]
    return trials, rows


def assert_clean(folder: Path) -> None:
    """Nothing is left that no search needs, and SQLite finds the file whole."""
    names = {path.name for path in folder.iterdir()} - {"checkpoints"}
    assert names <= {DATABASE, run_folder.LOCK, run_folder.HOLDER}
    assert not list(folder.glob("checkpoints/*"))
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        many, numbers = connection.execute(
            "SELECT count(*), count(DISTINCT number) FROM trials"
        ).fetchone()
        assert many == numbers == TRIALS


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """In memory, where there is such a folder: what a process has written outlives it anyway."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else tmp_path
    ) as name:
        yield Path(name)


def test_killed_before_any_write_it_goes_on_as_if_not(root: Path) -> None:
    """Every third one is killed again soon after it went on."""
    code, many = in_a_process(root / "whole", workers=1)
    assert (code, many > 30) == (0, True)
    whole = read(root / "whole")
    assert {trial.state for trial in whole[0]} == ENDED
    for at in range(many):
        folder = root / f"killed-{at}"
        assert in_a_process(folder, 1, at)[0] == -signal.SIGKILL
        if at % 3 == 0 and at + 4 < many:
            assert in_a_process(folder, 1, 3)[0] == -signal.SIGKILL
        assert in_a_process(folder, 1)[0] == 0
        assert_clean(folder)
        assert read(folder) == whole, f"killed before write {at}"


def test_killed_with_two_workers_no_trial_is_lost(root: Path) -> None:
    """Which of them had come how far decides what is proposed next; so that may be another."""
    _, many = in_a_process(root / "whole", workers=2)
    for at in range(2, many, 5):
        folder = root / f"killed-{at}"
        assert in_a_process(folder, 2, at)[0] == -signal.SIGKILL
        before = read(folder)[0] if (folder / DATABASE).exists() else []
        assert in_a_process(folder, 2)[0] == 0
        assert_clean(folder)
        after = read(folder)[0]
        assert len({trial.architecture_id for trial in after}) == TRIALS
        for was, now in zip(before, after, strict=False):
            assert now == was or was.state is State.RUNNING
            assert now.architecture == was.architecture
        for trial in after:
            assert trial.state in ENDED
            assert [each.epoch for each in trial.curve] == list(range(1, len(trial.curve) + 1))


def test_after_its_last_write_nothing_is_left_to_do(root: Path) -> None:
    code, many = in_a_process(root, 1)
    assert code == 0
    before = read(root)
    assert in_a_process(root, 1, many)[0] == 0
    assert read(root) == before
