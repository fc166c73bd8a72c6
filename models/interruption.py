"""Ctrl-C, SIGTERM and a terminal that goes: raised between steps, never in the middle of one."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked the program to end. `exit_code` is 128 + the signal's number."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class Interruption:
    """Turns signals into `Interrupted`; a second signal ends the process at once."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._shields = 0

    @property
    def received(self) -> bool:
        """Whether a signal came; for those who look themselves, under a shield."""
        return self._received is not None

    @property
    def exit_code(self) -> int | None:
        """128 + the signal's number; None where none came."""
        return None if self._received is None else 128 + self._received

    def install(self) -> None:
        """Takes the signals over; below `nohup`, which has SIGHUP ignored, it stays ignored."""
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)

    @property
    def pending(self) -> bool:
        """Whether a signal waits, in the block of `library`."""
        return bool(signal.sigpending() & set(SIGNALS))

    @contextlib.contextmanager
    def library(self) -> Iterator[None]:
        """For the import of a library that takes signals over: they wait, and are ours after it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            yield
        finally:
            self.install()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Puts a signal off until the end of the block, so that nothing is half written."""
        self.check()
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
            self.check()  # also after an error: that of a wait which the signal cut short

    def check(self) -> None:
        """Raises `Interrupted` if a signal came and was put off, or lost in a library."""
        if self._received is not None and not self._shields:
            raise Interrupted(self._received)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._received is not None:
            os._exit(128 + number)
        self._received = number
        with contextlib.suppress(OSError, RuntimeError):  # nobody listens; it was just writing
            print("\nstopping; what is done is kept (again to stop at once)", file=sys.stderr)  # noqa: T201
        self.check()
