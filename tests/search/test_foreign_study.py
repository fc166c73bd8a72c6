"""A study from somebody else: whatever its rows hold, nothing of it is run."""

import contextlib
import json
import os
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from malicious_pickle import Payload
from simulated import Executor, make_driver

from models.errors import InputError, StorageError
from search.ledger import Ledger
from search.space import Space
from search.study_file import DATABASE

TABLES = ("trial_user_attributes", "study_user_attributes", "study_system_attributes")


def put(path: Path, table: str, value: object) -> None:
    """The same value in every row."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute(f"UPDATE {table} SET value_json = ?", (value,)).rowcount  # noqa: S608
        connection.commit()


@pytest.fixture
def study(space: Space, open_ledger: Callable[..., Ledger], tmp_path: Path) -> Path:
    Executor(make_driver(space, open_ledger(space))).run(6)
    return tmp_path / "study" / DATABASE


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("form", ["bytes", "hexadecimal digits", "a path"])
def test_nothing_of_it_is_run(
    study: Path, space: Space, open_ledger: Callable[..., Ledger], table: str, form: str
) -> None:
    mark = study.parent / "ran"
    evil = pickle.dumps(Payload(os.system, f"touch {mark}"))
    values = {"bytes": evil, "hexadecimal digits": json.dumps(evil.hex()), "a path": '"../../x"'}
    put(study, table, values[form])
    before = study.read_bytes()
    with contextlib.suppress(StorageError):
        open_ledger(space).trials()
    assert not mark.exists()
    assert study.read_bytes() == before
    assert {path.name for path in study.parent.iterdir()} <= {DATABASE, "lock", "lock.holder"}


@pytest.mark.parametrize("value", [b"\x80\x04.", "{", "null", "5", "[1, [2]]"])
def test_rows_that_are_none_of_ours_are_refused(
    study: Path, space: Space, open_ledger: Callable[..., Ledger], value: object
) -> None:
    put(study, "trial_user_attributes", value)
    with pytest.raises(StorageError, match=r"holds no study of this program|was not written by"):
        open_ledger(space).trials()


def test_ten_megabytes_of_text_are_only_text(study: Path) -> None:
    with contextlib.closing(sqlite3.connect(study)) as connection:
        long = json.dumps("x" * 10_000_000)
        connection.execute(
            "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, 'reason', ?)",
            (long,),
        )
        connection.commit()
    assert len(Ledger.read(study.parent).trial(0).reason) == 10_000_000


def put_attribute(study: Path, key: str, value: object) -> None:
    """In trial 0."""
    with contextlib.closing(sqlite3.connect(study)) as connection:
        where = "FROM trial_user_attributes WHERE trial_id = 1 AND key = ?"
        connection.execute(f"DELETE {where}", (key,))
        connection.execute(
            "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, ?, ?)",
            (key, json.dumps(value)),
        )
        connection.commit()


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


EPOCH = {"epoch": 1, "val_accuracy": 0.5, "val_loss": 1.0, "train_loss": 1.0,
         "train_seconds": 1.0, "validation_seconds": 1.0, "images_per_second": 1.0}  # fmt: skip
NUMBERS = (None, "7", [7], {}, True, -1, float("nan"), float("inf"), 10**400)
LOSSES = tuple(value for value in NUMBERS if value != -1)
ODD: dict[str, tuple[object, ...]] = {
    "params": (*NUMBERS, 1.5),
    "macs": (*NUMBERS, 1.5),
    "latency_ms": NUMBERS[1:],
    "role": (None, "", "king", 3, []),
    "curve": (
        3, "ab", [3], [{}], [EPOCH | {"epoch": 2}], [EPOCH, EPOCH], [EPOCH | {"more": 1}],
        *([EPOCH | {"val_accuracy": value}] for value in (*NUMBERS, 1.01)),
        *([EPOCH | {"train_seconds": value}] for value in NUMBERS),
        *([EPOCH | {"val_loss": value}] for value in LOSSES),
        *([EPOCH | {"train_loss": value}] for value in LOSSES),
        *([EPOCH | {"epoch": value}] for value in (True, 1.0, "1", None)), {}, "",
    ),
    "micro_batches": (None, True, 0, -1, 1.5),
    "candidate": (None, 3, "x", {}, [], nested(500)),
    "worker": ("x", 3, {}, [], {"more": 1}),
    "latency": ("x", 3, {}, [], {"more": 1}),
}  # fmt: skip


@pytest.mark.parametrize("key", ODD)
def test_values_that_are_none_of_ours_are_refused(study: Path, key: str) -> None:
    for value in ODD[key]:
        put_attribute(study, key, value)
        with pytest.raises(StorageError, match=r"trial 0 was not written by|holds no study"):
            Ledger.read(study.parent).trials()


@pytest.mark.parametrize("key", ["space", "objectives"])
@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [3], nested(500)], ids=str)
def test_facts_that_are_none_of_ours_are_refused(
    study: Path, space: Space, open_ledger: Callable[..., Ledger], key: str, value: object
) -> None:
    with contextlib.closing(sqlite3.connect(study)) as connection:
        query = "UPDATE study_user_attributes SET value_json = ? WHERE key = ?"
        assert connection.execute(query, (json.dumps(value), key)).rowcount == 1
        connection.commit()
    with pytest.raises((StorageError, InputError)):  # the latter: of another space
        open_ledger(space).trials()
