"""A quiet machine for measurements: trainings wait while another process measures latency.

Two advisory file locks for each user of a machine. A training holds the gate shared for each pass,
a measurement holds it alone. The turnstile in front keeps new passes out once a measurement waits,
so measurements are not starved. The kernel frees both locks when a process dies.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 30.0  # a training that is suspended (Ctrl-Z) must not hold measurements up for ever
_POLL_S = 0.002


class Quiet:
    """The locks of this machine, opened by this process."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or Path(tempfile.gettempdir())
        name = f"attention-placement-search-{os.getuid()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._turnstile = os.open(folder / f"{name}.turnstile", flags, 0o600)
        self._gate = os.open(folder / f"{name}.gate", flags, 0o600)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Holds measurements off for the time of one forward or backward pass."""
        fcntl.flock(self._turnstile, fcntl.LOCK_SH)
        fcntl.flock(self._gate, fcntl.LOCK_SH)
        fcntl.flock(self._turnstile, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    @contextmanager
    def measuring(self, patience_s: float = PATIENCE_S) -> Iterator[bool]:
        """Holds trainings and other measurements off; gives whether that was achieved in time."""
        deadline = time.monotonic() + patience_s
        try:
            alone = _lock_alone(self._turnstile, deadline) and _lock_alone(self._gate, deadline)
            yield alone
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the files."""
        os.close(self._turnstile)
        os.close(self._gate)


def _lock_alone(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True
