"""A study's storage that does not answer: asked again for a while, its errors in words."""

import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import optuna
import tenacity
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from models.errors import StorageError
from models.printable import one_line
from search.refusals import UNRESOLVED, refusal

PATIENCE_S = 90.0  # that all is tried again which may pass
SLOWEST_S = 10.0  # between two attempts
LOOK_S = 0.2  # how soon it is noticed that nobody waits any more
# The low byte of SQLite's error codes.
BUSY, FULL, BROKEN, DENIED, DAMAGED = {5, 6}, {13}, {10}, {8, 14}, {11, 26}
HINTS = (
    (BUSY, "another program holds it: end that, then run the same command"),
    (FULL, "make room on the disk, then run the same command: what is recorded is whole"),
    (BROKEN, "see that the disk has room and is sound, then run the same command"),
    (DENIED, "it cannot be written: see whose it is, or choose another place with --runs"),
    (DAMAGED, "put a copy back in its place, or begin anew with --fresh, which sets it aside"),
)

# What comes of taking somebody else's study for one of this program's.
FOREIGN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

Value = TypeVar("Value")
Say = Callable[[str], None]


def to_stderr(text: str) -> None:
    """Says something to who started the program."""
    print(f"warning: {text}", file=sys.stderr, flush=True)  # noqa: T201


@dataclass
class Patience:
    """Does a step again for `PATIENCE_S` where the storage may yet answer.

    `say` is told once that it is waited for; the waiting ends early where `is_over` says so, as
    after Ctrl-C. `before` is called first, and raises where the storage is no longer ours.
    """

    say: Say = to_stderr
    is_over: Callable[[], bool] = lambda: False
    before: Callable[[], None] = lambda: None
    _answered: bool = field(default=False, init=False)

    def __call__(self, step: Callable[[], Value]) -> Value:
        """What `step` gives; it must not mind being done twice: what failed may have arrived."""
        self.before()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            wait=tenacity.wait_exponential(multiplier=0.25, max=SLOWEST_S),
            stop=self._ends,
            sleep=self._sleep,
            before_sleep=self._before,
            reraise=True,
        )
        value = retrying(step)
        self._answered = True
        return value

    def opening(self, place: object, step: Callable[[], Value]) -> Value:
        """What `step` gives, or why `place` cannot be used, as StorageError."""
        with storage_errors(place):
            return self(step)

    def _may_pass(self, error: BaseException) -> bool:
        """A host that nobody knows is a typing error, unless it has answered before."""
        return may_pass(error) and (self._answered or _hint(error) != UNRESOLVED)

    def _ends(self, attempt: tenacity.RetryCallState) -> bool:
        return self.is_over() or tenacity.stop_after_delay(PATIENCE_S)(attempt)

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.is_over() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_S))

    def _before(self, attempt: tenacity.RetryCallState) -> None:
        outcome = attempt.outcome
        if attempt.attempt_number == 1 and outcome is not None:
            why = _cause(outcome.exception())
            self.say(f"the study does not answer ({why}); it is tried again for {PATIENCE_S:g} s")


def may_pass(error: BaseException) -> bool:
    """Whether the same may succeed later: another holds the lock, or a server is away."""
    for each in _chain(error):
        if isinstance(each, sqlite3.Error):
            return _code(each) in BUSY
        if isinstance(each, DBAPIError) and not isinstance(each.orig, sqlite3.Error):
            refused = refusal(each.orig)
            if refused is not None:
                return refused.passes
            return each.connection_invalidated or isinstance(
                each, (OperationalError, InterfaceError)
            )
    return False


@contextlib.contextmanager
def storage_errors(place: object = None) -> Iterator[None]:
    """Turns what the database says into StorageError; `place`: what is being opened."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError) as error:
        what = f"{place} cannot be used as a study" if place else "the study cannot be written"
        raise StorageError(f"{what}: {_cause(error)}; {_hint(error)}") from error
    except (*FOREIGN, RuntimeError) as error:  # the last for Optuna's tables of another version
        if place is None:
            raise
        what = f"{place} holds no study of this program: {one_line(str(error))}"
        raise StorageError(f"{what}; {_other(place)}") from error


def _other(place: object) -> str:
    """What a person can do about a place that holds something else."""
    if getattr(place, "server", None) is not None:
        return "give yours another name (--study NAME), or another database"
    return "put the study's own file there, or begin anew with --fresh, which sets it aside"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised for; what a database said comes after what wraps it."""
    while error is not None:
        yield error
        error = error.__cause__ or getattr(error, "orig", None)


def _cause(error: BaseException | None) -> str:
    """What the database said, in its own words, without the statement."""
    if error is None:
        return ""
    last = list(_chain(error))[-1]
    said = getattr(getattr(last, "diag", None), "message_primary", None) or str(last)
    return one_line(" ".join(said.split()))


def _code(error: BaseException) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _hint(error: BaseException) -> str:
    """What a person can do about it."""
    last = list(_chain(error))[-1]
    for codes, hint in HINTS:
        if _code(last) in codes:
            return hint
    refused = None if isinstance(last, sqlite3.Error) else refusal(last)
    if refused is not None:
        return refused.hint
    if may_pass(error):
        return "the same command goes on once it answers again"
    return "see that it is the right one, and what you may do there"
