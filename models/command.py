"""What the commands have in common: signals, errors in words, exit codes, output nobody reads."""

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TextIO

from models.errors import ProgramError, StorageError
from models.interruption import SIGNALS, Interrupted, Interruption
from models.printable import one_line, printable


def run_command(work: Callable[[Interruption], None], *, debug: bool, stopped: str) -> int:
    """Does `work`; the exit code.

    An error is told in a line, and where it arose if `debug`; `stopped` is said after a signal.
    """
    interruption = Interruption()
    interruption.install()
    try:
        try:
            work(interruption)
        except Exception as error:
            if debug:
                traceback.print_exc()
            # Raised amid an import, or cutting a wait short, a signal becomes any error.
            interruption.check()
            return _explain(error)
    except Interrupted as interrupted:
        _say(stopped)
        return interrupted.exit_code
    return 0


def _explain(error: Exception) -> int:
    """Says in words why the program ended; the exit code."""
    # It may quote a file or a study of somebody else's.
    if isinstance(error, ProgramError):
        _say("error: " + "\n".join(printable(line) for line in str(error).splitlines()))
        return error.exit_code
    if isinstance(error, OSError):
        _say(f"error: {one_line(str(error))}; is the disk full, or a file not yours?")
        return StorageError.exit_code
    _say(f"error: {type(error).__name__}: {one_line(str(error))}")
    _say("this is a defect of the program; --debug shows where")
    return 1


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def speak_to_nobody() -> None:
    """Has this process go on where nobody reads what it prints, as after `… | head`.

    The same where it is printed to a full disk or a terminal that is gone: what was measured is in
    the study, and no line of text is worth the end of a search.
    """
    sys.stdout, sys.stderr = _unheard(sys.stdout), _unheard(sys.stderr)


def _unheard(stream: TextIO | None) -> TextIO:
    if stream is None:  # closed, as by `>&-`
        return Path(os.devnull).open("w", encoding="utf-8")
    return io.TextIOWrapper(
        io.BufferedWriter(_Unheard(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors="replace" if stream.errors == "strict" else stream.errors,
        line_buffering=stream.isatty() or stream is sys.stderr,
        write_through=getattr(stream, "write_through", False),
    )


class _Unheard(io.FileIO):
    """Takes what it cannot write as written."""

    def write(self, data: "io.ReadableBuffer") -> int | None:  # type: ignore[override,name-defined]
        written = None  # also where a stream that does not block takes no more
        with contextlib.suppress(OSError):
            written = super().write(data)
        return len(data) if written is None else written


def leave(code: int) -> NoReturn:
    """Ends the process without waiting for threads, which may wait for a Ray that is gone.

    A signal ends it at once: whoever is to read the last lines may not do so.
    """
    for number in SIGNALS:
        signal.signal(number, lambda *_: os._exit(code))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
