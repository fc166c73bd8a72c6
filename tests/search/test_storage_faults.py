"""Storages that are locked, full or away for a while: real locks, a real full disk."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from simulated import Executor, Recorder, epoch, make_driver, make_space
from small_disk import fill, small_file_system
from sqlalchemy.exc import OperationalError

from models.build import cost
from models.errors import StorageError
from search import database, study_file
from search.ledger import Ledger, Proposal
from search.space import Space
from search.study_file import DATABASE
from search.trial import State
from search.unrecorded import FILE

Open = Callable[..., Ledger]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes minutes takes seconds."""
    monkeypatch.setattr(study_file, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(database, "PATIENCE_S", 1.5)


@pytest.fixture
def begun(space: Space, open_ledger: Open) -> Ledger:
    """A study whose trial 0 has had one epoch."""
    ledger = open_ledger(space)
    ledger.begin(Proposal(space.baseline), cost(space.baseline, 16), epochs=2)
    ledger.epoch(0, [epoch(1, 0.25)])
    return ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study" / DATABASE


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """As another process has it that writes."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.close()


def test_a_lock_that_passes_is_waited_for(begun: Ledger, path: Path) -> None:
    said: list[str] = []
    begun.tell(said.append)
    with contextlib.ExitStack() as held:
        held.enter_context(locked(path))
        threading.Timer(0.8, held.pop_all().close).start()
        begun.epoch(0, [epoch(1, 0.25), epoch(2, 0.5)])
    assert said == ["the study does not answer (database is locked); it is tried again for 1.5 s"]
    assert len(Ledger.read(path.parent).trial(0).curve) == 2
    assert not (path.parent / FILE).exists()


def test_one_that_does_not_pass_ends_the_search_and_nothing_is_lost(
    begun: Ledger, space: Space, open_ledger: Open, path: Path
) -> None:
    begun.tell(lambda _: None)
    began = time.monotonic()
    with locked(path), pytest.raises(StorageError, match="cannot be written: database is locked"):
        begun.epoch(0, [epoch(1, 0.25), epoch(2, 0.5)])
    assert 1 < time.monotonic() - began < 10
    assert len(begun.trial(0).curve) == 1, "memory has what the storage has"
    assert len(Ledger.read(path.parent).trial(0).curve) == 1, "who only reads does not write"
    again = open_ledger(space)
    assert [e.val_accuracy for e in again.trial(0).curve] == [0.25, 0.5]
    assert not (path.parent / FILE).exists()
    assert Ledger.read(path.parent).trials() == again.trials()


def test_an_end_is_kept_as_well(begun: Ledger, space: Space, open_ledger: Open, path: Path) -> None:
    begun.tell(lambda _: None)
    with locked(path), pytest.raises(StorageError):
        begun._records.end(0, database.optuna.trial.TrialState.FAIL)
    with (path.parent / FILE).open("a") as file:
        file.write('{"trial": 0, "se')  # cut off
    assert open_ledger(space).trial(0).state is State.FAILED
    assert open_ledger(space).trial(0).state is State.FAILED


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_opening_waits_too(begun: Ledger, space: Space, open_ledger: Open, path: Path) -> None:
    with locked(path), pytest.raises(StorageError, match="another program holds it: end that"):
        open_ledger(space)
    assert open_ledger(space).trials() == begun.trials()


def after_all(original: Callable[..., object]) -> Callable[..., object]:
    """The write reaches the storage, and its answer is lost."""
    lost = [True]

    def step(*given: object, **named: object) -> object:
        found = original(*given, **named)
        if lost.pop() if lost else False:
            raise OperationalError("statement", {}, ConnectionError("server closed"))
        return found

    return step


def test_what_had_reached_the_storage_is_not_written_twice(
    space: Space, open_ledger: Open, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    ledger = open_ledger(space)
    ledger.tell(lambda _: None)
    storage = ledger._records._storage
    for name in ("create_new_trial", "set_trial_state_values", "set_trial_user_attr"):
        monkeypatch.setattr(storage, name, after_all(getattr(storage, name)))
    Executor(make_driver(space, ledger)).run()
    trials = Ledger.read(path.parent).trials()
    assert trials == ledger.trials()
    assert [trial.number for trial in trials] == list(range(8))
    assert {trial.state for trial in trials} == {State.COMPLETE}


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "no database": lambda _: b"not a database" * 100,
    "truncated": lambda study: study[: len(study) // 2],
    "overwritten": lambda study: study[:5000] + b"\xff" * 4000 + study[9000:],
    "another program's": lambda _: foreign_database(),
}


def foreign_database() -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
        return connection.serialize()


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_study_is_left_as_it_is(
    begun: Ledger, space: Space, open_ledger: Open, path: Path, damage: str
) -> None:
    content = DAMAGES[damage](path.read_bytes())
    path.write_bytes(content)
    began = time.monotonic()
    with pytest.raises(StorageError, match=f"{path}.* begin anew with --fresh"):
        open_ledger(space)
    assert time.monotonic() - began < 1, "that does not pass"
    assert path.read_bytes() == content


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "small") as folder:
        yield folder


@pytest.mark.parametrize("answers", [3, 12, 20])
def test_a_full_disk(small_disk: Path, answers: int) -> None:
    """The study is whole, and goes on when there is room, as if nothing had been."""
    space = make_space()
    folder = small_disk / "study"
    folder.mkdir()
    ledger = Ledger.open(folder, space.objective_names, space.file.fingerprint)
    Executor(make_driver(space, ledger)).run(answers)
    before = Ledger.read(folder).trials()
    filler = fill(small_disk)
    watcher, began = Recorder(), time.monotonic()
    with pytest.raises(StorageError, match="is full; make room on the disk"):
        Executor(make_driver(space, ledger, watcher=watcher)).run()
    assert time.monotonic() - began < 10, "that does not pass"
    filler.unlink()
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    after = Ledger.open(folder, space.objective_names, space.file.fingerprint)
    ended = [trial for trial in before if trial.state is not State.RUNNING]
    assert after.trials()[: len(ended)] == ended
    Executor(make_driver(space, after)).run()
    assert {trial.state for trial in after.trials()} == {State.COMPLETE}
    assert len({trial.architecture_id for trial in after.trials()}) == len(after.trials()) == 8
