"""A quiet machine for measurements: trainings wait while another process measures latency.

Two advisory file locks for each user of a machine. A training holds the gate shared for each pass,
a measurement holds it alone. The turnstile in front keeps new passes out once a measurement waits,
so measurements are not starved. The kernel frees both locks when a process dies.

They lie where nobody else may write: in the temporary folder, in one of this user's own. Where
somebody else has made one by that name, they lie in the user's cache, by the machine's name since
machines may share that. Every process finds the same one by looking, whatever it was started by:
`XDG_RUNTIME_DIR` is not there for all of a user's processes, and goes when the user logs out.
"""

import contextlib
import fcntl
import os
import platform
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from models.errors import StorageError

PROGRAM = "attention-placement-search"
PATIENCE_S = 30.0  # a training that is suspended (Ctrl-Z) must not hold measurements up for ever
_POLL_S = 0.002


class Quiet:
    """The locks of this machine, opened by this process."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or _own_folder()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._turnstile = os.open(folder / "turnstile", flags, 0o600)
        try:
            self._gate = os.open(folder / "gate", flags, 0o600)
        except OSError:
            os.close(self._turnstile)
            raise
        with contextlib.suppress(OSError):
            for descriptor in (self._turnstile, self._gate):
                os.utime(descriptor)  # or what tidies temporary folders would take it for left

    @contextlib.contextmanager
    def training(self) -> Iterator[None]:
        """Holds measurements off for the time of one forward or backward pass."""
        fcntl.flock(self._turnstile, fcntl.LOCK_SH)
        fcntl.flock(self._gate, fcntl.LOCK_SH)
        fcntl.flock(self._turnstile, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    @contextlib.contextmanager
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


def _own_folder() -> Path:
    """The folder of this user's locks, made if it is not there; see the module."""
    temporary = Path(tempfile.gettempdir()) / f"{PROGRAM}-{os.getuid()}"
    if _is_ours(temporary):
        return temporary
    with contextlib.suppress(RuntimeError):  # no home
        cache = Path.home() / ".cache" / PROGRAM / f"locks-{platform.node()}"
        if _is_ours(cache):
            return cache
    raise StorageError(
        f"{temporary} is no folder that only you may enter: remove it, or name another temporary "
        "folder in TMPDIR"
    )


def _is_ours(folder: Path) -> bool:
    """Whether this user has the folder, now at the latest, and nobody else may enter it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:  # somebody else's file or link, or no place to write
        return False
    private = not found.st_mode & 0o077
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and private
