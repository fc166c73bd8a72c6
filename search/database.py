"""The storage of a study: opened and written with patience, its errors in words."""

import contextlib
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import optuna
import tenacity
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from models.errors import StorageError

TIMEOUT_S = 5.0  # that SQLite itself waits for another process's lock
PATIENCE_S = 90.0  # that all is tried again which may pass
SLOWEST_S = 10.0  # between two attempts
# The low byte of SQLite's error codes.
BUSY, FULL, DENIED, DAMAGED = {5, 6}, {10, 13}, {8, 14}, {11, 26}
HINTS = (
    (BUSY, "another program holds it: end that, then run the same command"),
    (FULL, "make room on the disk, then run the same command: what is recorded is whole"),
    (DENIED, "it cannot be written: see whose it is, or choose another place with --runs"),
    (DAMAGED, "put a copy back in its place, or begin anew with --fresh, which sets it aside"),
)

Value = TypeVar("Value")
Say = Callable[[str], None]


def to_stderr(text: str) -> None:
    """Says something to who started the program."""
    print(f"warning: {text}", file=sys.stderr, flush=True)  # noqa: T201


def patiently(step: Callable[[], Value], say: Say = to_stderr) -> Value:
    """What `step` gives, tried again for `PATIENCE_S` where the storage may yet answer.

    `step` must not mind being done twice: what failed may have reached the storage. `say` is told
    once.
    """

    def before(attempt: tenacity.RetryCallState) -> None:
        outcome = attempt.outcome
        if attempt.attempt_number == 1 and outcome is not None:
            why = _cause(outcome.exception())
            say(f"the study does not answer ({why}); it is tried again for {PATIENCE_S:g} s")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_pass),
        wait=tenacity.wait_exponential(multiplier=0.25, max=SLOWEST_S),
        stop=tenacity.stop_after_delay(PATIENCE_S),
        before_sleep=before,
        reraise=True,
    )
    return retrying(step)


def may_pass(error: BaseException) -> bool:
    """Whether the same may succeed later: another holds the lock, or a server is away."""
    for each in _chain(error):
        if isinstance(each, sqlite3.Error):
            return _code(each) in BUSY
        if isinstance(each, DBAPIError) and not isinstance(each.orig, sqlite3.Error):
            return each.connection_invalidated or isinstance(
                each, (OperationalError, InterfaceError)
            )
    return False


def refuse_foreign(path: Path) -> None:
    """Raises ValueError for a database without studies, which Optuna would write its tables into.

    `mode=rw` never makes a file, and rolls back what a killed program left half written.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=TIMEOUT_S)) as connection:
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'studies'"
        if connection.execute(query).fetchone() == (0,):
            raise ValueError("it has no table of studies")


def open_sqlite(path: Path) -> optuna.storages.BaseStorage:
    """SQLite that waits a little for another process's lock before it says so."""
    options = {"connect_args": {"timeout": TIMEOUT_S}}
    return optuna.storages.get_storage(
        optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=options)
    )


@contextlib.contextmanager
def storage_errors(path: Path | None = None) -> Iterator[None]:
    """Turns what the database says into StorageError; `path` where it is being opened."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError) as error:
        what = f"{path} cannot be used as a study" if path else "the study cannot be written"
        raise StorageError(f"{what}: {_cause(error)}; {_hint(error)}") from error
    except (ValueError, KeyError) as error:
        if path is None:
            raise
        hint = "put the study's own file there, or begin anew with --fresh, which sets it aside"
        raise StorageError(f"{path} holds no study of this program: {error}; {hint}") from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised for; what a database said comes after what wraps it."""
    while error is not None:
        yield error
        error = error.__cause__ or getattr(error, "orig", None)


def _cause(error: BaseException | None) -> str:
    """What the database said, in its own words."""
    return str(list(_chain(error))[-1]) if error else ""


def _code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _hint(error: BaseException) -> str:
    """What a person can do about it."""
    code = _code(list(_chain(error))[-1])
    for codes, hint in HINTS:
        if code in codes:
            return hint
    return "the same command goes on once it answers again"
