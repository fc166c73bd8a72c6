"""What a storage did not take, kept beside it for the next start of the search."""

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from models.errors import StorageError

FILE = "unrecorded.jsonl"
SET, END = {"study", "trial", "set", "value"}, {"study", "trial", "end", "values"}
ENDS = {state.name: state for state in TrialState if state.is_finished()}


@dataclass(frozen=True)
class Write:
    """A write to a trial of a study, from line `line`: attribute `key` set, or its `end`.

    `study`: the study's id. `value` of an end: the values of the objectives, None where it is not
    complete.
    """

    line: int
    study: object
    trial: int
    value: Any
    key: str = ""
    end: TrialState | None = None


class Unrecorded:
    """One JSON object a line, each a write to a study's trial: `set` an attribute, or `end` it."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE

    def keep(self, write: dict[str, Any]) -> None:
        """Adds a write; where the disk takes nothing at all, it is lost."""
        if self._path is None:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        with (
            contextlib.suppress(OSError),
            os.fdopen(os.open(self._path, flags, 0o666), "r+b") as file,
        ):
            file.truncate(file.read().rfind(b"\n") + 1)  # of a line that was cut off
            file.seek(0, os.SEEK_END)
            file.write(json.dumps(write).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def kept(self, study: str | None) -> list[Write]:
        """All that were kept of the study with this id, in their order.

        A last line that was cut off is none. Raises StorageError for any other line that is none of
        ours, and for those of another study, also where there is none yet (None).
        """
        found = self._parsed()
        if any(study is None or write.study != study for write in found):
            raise StorageError(
                f"{self._path} holds results of a study that is no longer here: put that back, or "
                "move the file away to go on without them"
            )
        return found

    def _parsed(self) -> list[Write]:
        *lines, rest = self._content().split(b"\n")
        found = []
        for number, line in enumerate(lines, 1):
            with self.refusing(number):
                found.append(_parsed(number, json.loads(line)))
        with contextlib.suppress(ValueError, RecursionError):
            last = json.loads(rest)
            with self.refusing(len(lines) + 1):
                found.append(_parsed(len(lines) + 1, last))
        return found

    @contextlib.contextmanager
    def refusing(self, line: int) -> Iterator[None]:
        """Turns what is wrong with a line into StorageError."""
        try:
            yield
        except (ValueError, KeyError, TypeError, RecursionError, StorageError) as error:
            what = "it is nested too deep" if isinstance(error, RecursionError) else error
            raise StorageError(
                f"{self._path}: line {line} is none that this program wrote: {what}; nothing of "
                "the file was recorded: mend it, or move it away to do again what it holds"
            ) from error

    def forget(self) -> None:
        """Once all is recorded."""
        if self._path is not None:
            with self._usable():
                self._path.unlink(missing_ok=True)

    def _content(self) -> bytes:
        if self._path is None:
            return b""
        with self._usable():
            try:
                if not stat.S_ISREG(self._path.lstat().st_mode):
                    raise StorageError(f"{self._path} is no file of this program: move it away")
                return self._path.read_bytes()
            except FileNotFoundError:
                return b""

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = f"{error.strerror or error}; see whose it is, or move it away"
            raise StorageError(f"{self._path} cannot be used: {why}") from error


def _parsed(line: int, given: Any) -> Write:
    """The write that a line says. Raises ValueError for one that says none."""
    if not isinstance(given, dict) or given.keys() not in (SET, END):
        raise ValueError("it is no write to a trial")
    trial = given["trial"]
    if type(trial) is not int or trial < 0:
        raise ValueError("it names no trial")
    if "set" in given:
        if not isinstance(given["set"], str):
            raise ValueError("it names no attribute")
        return Write(line, given["study"], trial, given["value"], key=given["set"])
    if not isinstance(given["end"], str) or given["end"] not in ENDS:
        raise ValueError("it names no end of a trial")
    return Write(line, given["study"], trial, given["values"], end=ENDS[given["end"]])
