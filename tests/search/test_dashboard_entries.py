"""What is written for Optuna's dashboard: all of it, once, whatever was interrupted."""

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from postgresql_server import running
from simulated import (
    Executor,
    curves,
    epoch,
    failing,
    make_driver,
    make_space,
    measured,
    memory_ledger,
)
from sqlalchemy.exc import SQLAlchemyError

from models.errors import StorageError
from search import database, study_file
from search.dashboard import entries
from search.dashboard.entries import Entries, fill
from search.dashboard.plots import front_numbers
from search.dashboard.rows import Rows
from search.events import Several
from search.front import front
from search.ledger import Ledger
from search.space import Space
from search.study_server import StudyServer, parse_address
from search.trial import State
from trainers.messages import Answer, Resumed, Task

Open = Callable[..., Ledger]
GIVEN = (
    "search.trials=7",
    "search.sampler=random",
    "search.early_stopping={rule: patience, patience: 1, min_improvement: 0.2}",
    "objectives.max_params=45100",
)


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def search(ledger: Ledger, space: Space, answers: int | None = None, **given: Any) -> Executor:
    """A whole search, or one that is killed after so many answers, which writes no more then."""
    shown = Entries(ledger, lambda: 0.0)
    executor = Executor(make_driver(space, ledger, watcher=shown, **given))
    executor.run(answers)
    if answers is None:
        shown.fill()
    return executor


def note(ledger: Ledger, number: int) -> tuple[int, str]:
    attributes, key = ledger.records.shown(), ledger.frozen(number)._trial_id
    return attributes[f"dashboard:{key}:note_ver"], attributes[f"dashboard:{key}:note_str:0"]


def noted(ledger: Ledger) -> list[int]:
    attributes = ledger.records.shown()
    ids = {t.number: ledger.frozen(t.number)._trial_id for t in ledger.trials()}
    return [number for number, key in ids.items() if f"dashboard:{key}:note_ver" in attributes]


def figure(ledger: Ledger, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(ledger.records.shown()[f"dashboard:plot_data:{name}:0"])
    return loaded


def assert_steps(ledger: Ledger) -> None:
    """Every epoch is an intermediate value, in the storage itself."""
    held = ledger.study._storage.get_all_trials(ledger.study._study_id)
    for trial in ledger.trials():
        expected = {epoch.epoch: epoch.val_accuracy for epoch in trial.curve}
        assert held[trial.number].intermediate_values == expected


def test_a_search_leaves_notes_curves_and_figures(open_ledger: Open) -> None:
    space = make_space(*GIVEN)
    search(open_ledger(space), space)
    ledger = open_ledger(space)  # read back
    states = {trial.state for trial in ledger.trials()}
    assert states >= {State.COMPLETE, State.STOPPED, State.INFEASIBLE}
    assert noted(ledger) == [trial.number for trial in ledger.trials()]
    assert_steps(ledger)
    shown = ledger.records.shown()
    assert shown["dashboard:note_str:0"].startswith("# study")
    for trial in ledger.trials():
        version, text = note(ledger, trial.number)
        assert version == 1
        assert f"{trial.params:,}" in text
    traces = {trace["name"]: trace for trace in figure(ledger, "front-params")["data"]}
    members = {trial.params for trial in front(ledger.trials(), ledger.objectives)}
    assert set(traces["front"]["x"]) == members
    lines = figure(ledger, "learning-curves")["data"]
    assert [line["name"] for line in lines if line["line"]["dash"] == "dot"]
    volumes = figure(ledger, "hypervolume")["data"][0]["y"]
    assert volumes == sorted(volumes)
    assert volumes[-1] == 100


def test_the_search_itself_is_the_same_without(open_ledger: Open) -> None:
    space = make_space(*GIVEN)
    with_entries, without = open_ledger(space, "with"), open_ledger(space, "without")
    search(with_entries, space)
    Executor(make_driver(space, without)).run()
    assert with_entries.trials() == without.trials()


def test_what_is_there_is_not_written_again(open_ledger: Open) -> None:
    space = make_space(*GIVEN)
    search(open_ledger(space), space)
    again = Entries(open_ledger(space))
    assert not again.missing()
    assert not again.fill()


def test_a_study_of_before_is_filled(open_ledger: Open) -> None:
    space = make_space(*GIVEN)
    Executor(make_driver(space, open_ledger(space))).run()
    ledger = open_ledger(space)
    assert noted(ledger) == []
    assert fill(ledger)
    ledger = open_ledger(space)
    assert noted(ledger) == [trial.number for trial in ledger.trials()]
    assert_steps(ledger)
    assert figure(ledger, "learning-curves")["data"]


@pytest.mark.parametrize("answers", [0, 1, 5, 9, 14, 20])
def test_a_kill_leaves_nothing_out(open_ledger: Open, answers: int) -> None:
    space = make_space(*GIVEN)
    search(open_ledger(space), space, answers)
    ledger = open_ledger(space)
    search(ledger, space)
    assert noted(ledger) == [trial.number for trial in ledger.trials()]
    assert_steps(open_ledger(space))


def test_a_curve_that_was_cut_is_written_over(open_ledger: Open, space: Space) -> None:
    """As where a checkpoint was damaged: a later epoch may then give something else."""
    ledger = open_ledger(space)
    shown = Entries(ledger)
    driver = make_driver(space, ledger, watcher=shown)
    driver.next_task()
    for answer in (measured(1.0), epoch(1, 0.1), epoch(2, 0.2)):
        driver.answered(0, answer)
    shown.fill()
    driver.answered(0, Resumed((epoch(1, 0.1),)))
    driver.answered(0, epoch(2, 0.25))
    driver.answered(0, epoch(3, 0.3))
    shown.fill()
    assert_steps(open_ledger(space))


def test_what_a_person_wrote_stays(open_ledger: Open) -> None:
    space = make_space(*GIVEN)
    ledger = open_ledger(space)
    search(ledger, space, answers=12)
    assert noted(ledger) == []
    storage, study_id = ledger.study._storage, ledger.study._study_id
    for key in ("dashboard:1", "dashboard"):
        storage.set_study_system_attr(study_id, f"{key}:note_ver", 3)
        storage.set_study_system_attr(study_id, f"{key}:note_str:0", "mine")
    search(open_ledger(space), space)
    ledger = open_ledger(space)
    assert note(ledger, 0) == (3, "mine")
    assert ledger.records.shown()["dashboard:note_str:0"] == "mine"
    assert noted(ledger) == [trial.number for trial in ledger.trials()]


def test_there_are_only_so_many_notes_and_those_of_the_front(
    open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "MOST_NOTES", 3)
    space = make_space("search.trials=12")
    ledger = open_ledger(space)
    search(ledger, space)
    members = {trial.number for trial in front(ledger.trials(), ledger.objectives)}
    assert max(members) > 3
    assert set(noted(ledger)) == {0, 1, 2} | members


def test_the_front_is_the_same_as_everywhere() -> None:
    for minimize in ("[params, latency_ms]", "[params]", "[macs]"):
        space = make_space("search.trials=10", f"objectives.minimize={minimize}")
        ledger = memory_ledger(space)
        Executor(make_driver(space, ledger)).run()
        expected = {trial.number for trial in front(ledger.trials(), ledger.objectives)}
        assert front_numbers(ledger.trials(), ledger.objectives) == expected


def test_it_waits_between_writings(open_ledger: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    space, clock = make_space(*GIVEN), Clock()
    ledger = open_ledger(space)
    written: list[float] = []
    show = ledger.records.show

    def slowly(write: Any) -> None:
        show(write)
        written.append(clock.now)
        clock.now += 1.0  # as long as it takes

    monkeypatch.setattr(ledger.records, "show", slowly)
    shown = Entries(ledger, clock)

    def passing(task: Task) -> Iterator[Answer]:
        for answer in curves(task):
            clock.now += 10
            yield answer

    Executor(make_driver(space, ledger, watcher=shown), passing).run()
    gaps = [second - first for first, second in itertools.pairwise(written)]
    assert gaps
    assert len(written) < len(ledger.trials())
    assert min(gaps) >= entries.PAUSE_FACTOR * 1.0


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_file, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(database, "PATIENCE_S", 0.5)


@pytest.mark.usefixtures("_soon")
def test_a_storage_that_does_not_answer_is_said_and_filled_later(
    open_ledger: Open, tmp_path: Path
) -> None:
    space = make_space(*GIVEN)
    ledger = open_ledger(space)
    Executor(make_driver(space, ledger)).run()
    ledger.tell(lambda _: None)
    lock = sqlite3.connect(tmp_path / "study/study.db", isolation_level=None)
    with contextlib.closing(lock):
        lock.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError), Entries(ledger):
            pass
        lock.rollback()
    assert not (tmp_path / "study/unrecorded.jsonl").exists()
    assert noted(open_ledger(space)) == []
    assert fill(open_ledger(space))


def test_an_error_of_the_search_is_not_hidden(
    open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(make_space(*GIVEN))
    with pytest.raises(KeyError), Entries(ledger):
        raise KeyError
    assert "dashboard:note_ver" in ledger.records.shown()  # written all the same

    def broken(_: object) -> None:
        raise StorageError

    monkeypatch.setattr(ledger.records, "show", broken)
    monkeypatch.setattr(Entries, "missing", lambda _: Rows({"a": 1}))
    with pytest.raises(KeyError), Entries(ledger):
        raise KeyError


def test_all_or_nothing(open_ledger: Open, space: Space) -> None:
    ledger = open_ledger(space)
    rows = Rows({"dashboard:note_ver": 1}, {(1, 1): "no number"})  # type: ignore[dict-item]
    rows.steps[1, 2] = None  # type: ignore[assignment]
    rows.steps[None, 3] = 0.5  # type: ignore[index]
    storage = ledger.study._storage
    with pytest.raises(SQLAlchemyError):
        rows.write(storage, ledger.study._study_id)
    assert "dashboard:note_ver" not in ledger.records.shown()


@pytest.mark.parametrize("simulation", [failing("no"), None])
def test_odd_studies(open_ledger: Open, simulation: Any) -> None:
    space = make_space("search.trials=3")
    ledger = open_ledger(space)
    if simulation is not None:
        executor = Executor(make_driver(space, ledger), simulation)
        executor.run()
    assert fill(ledger)
    assert not any("plot_data" in key for key in ledger.records.shown())
    assert noted(ledger) == [trial.number for trial in ledger.trials()]


def test_one_cost(open_ledger: Open) -> None:
    space = make_space("search.trials=5", "search.sampler=random", "objectives.minimize=[macs]")
    ledger = open_ledger(space)
    search(ledger, space)
    assert_steps(ledger)
    assert figure(ledger, "hypervolume")["data"]
    fronts = [key for key in ledger.records.shown() if "front-" in key]
    assert fronts == ["dashboard:plot_data:front-macs:0"]


def test_a_study_in_memory() -> None:
    space = make_space(*GIVEN)
    ledger = memory_ledger(space)
    shown = Entries(ledger, lambda: 0.0)
    Executor(make_driver(space, ledger, watcher=Several(shown)), curves).run()
    assert shown.fill()
    assert len(noted(ledger)) == len(ledger.trials())


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with running() as started:
        yield started


def test_a_study_on_a_server(server: Any, tmp_path: Path) -> None:
    space = make_space(*GIVEN)

    def place(holder: str | None) -> StudyServer:
        return StudyServer(parse_address(server.url), "shown", holder)

    with contextlib.closing(place("a search")) as held:
        held.hold()
        ledger = Ledger.open(tmp_path, space.objective_names, space.file.fingerprint, held)
        search(ledger, space)
        assert_steps(ledger)
    with contextlib.closing(place(None)) as reader:
        ledger = Ledger.read(tmp_path, reader)
        assert noted(ledger) == [trial.number for trial in ledger.trials()]
        assert not Entries(ledger).missing()
        storage = getattr(ledger.study._storage, "_backend", None)
        assert isinstance(storage, RDBStorage)
        with pytest.raises(StorageError, match="read-only"):
            ledger.note("machine", {})
        states = [t.state for t in storage.get_all_trials(ledger.study._study_id)]
        assert TrialState.PRUNED in states
