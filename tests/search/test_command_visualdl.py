"""`run_search.py --visualdl`, and what every search leaves for Optuna's dashboard; no Ray."""

import contextlib
import importlib.util
import sqlite3
from pathlib import Path

import pytest
from simulated import Command

from search.ledger import Ledger

RUN = Path("runs") / "quick"
GIVEN = ("-o", "search.trials=3", "-o", "search.sampler=random")


def epochs(number: int) -> list[int]:
    from visualdl import LogReader

    path = RUN / f"visualdl/trial-{number:04d}/vdlrecords.log"
    reader = LogReader(file_path=str(path))
    return [each.id for each in reader.get_data("scalar", "validation%accuracy")]


def test_every_trial_has_its_log(command: Command) -> None:
    assert command("--visualdl", *GIVEN)[0] == 0
    trials = Ledger.read(RUN).trials()
    assert {trial.number: epochs(trial.number) for trial in trials if trial.curve} == {
        trial.number: [1, 2, 3] for trial in trials
    }
    assert command("--visualdl", "-o", "search.trials=4")[0] == 0  # goes on
    assert epochs(0) == epochs(3) == [1, 2, 3]


def test_without_the_option_there_are_none(command: Command) -> None:
    assert command(*GIVEN)[0] == 0
    assert not (RUN / "visualdl").exists()


def test_without_the_package_nothing_begins(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    code, _, err = command("--visualdl", *GIVEN)
    assert code == 2
    assert "--visualdl: the package is missing: pip install" in err
    assert not Path("runs").exists()


def test_the_dashboard_has_notes(command: Command) -> None:
    assert command(*GIVEN)[0] == 0
    ledger = Ledger.read(RUN)
    shown = ledger.records.shown()
    versions = [key for key in shown if key.endswith(":note_ver")]
    assert len(versions) == 1 + len(ledger.trials())


def test_a_search_that_is_done_fills_in_what_is_missing(command: Command) -> None:
    assert command(*GIVEN)[0] == 0
    with contextlib.closing(sqlite3.connect(RUN / "study.db")) as database, database:
        database.execute("DELETE FROM study_system_attributes WHERE key LIKE 'dashboard:%'")
        database.execute("DELETE FROM trial_intermediate_values")
    code, out, _ = command(*GIVEN)
    assert code == 0
    assert "already holds its trials" in out
    ledger = Ledger.read(RUN)
    assert len([key for key in ledger.records.shown() if key.endswith(":note_ver")]) == 4
    assert all(len(ledger.frozen(number).intermediate_values) == 3 for number in range(3))
