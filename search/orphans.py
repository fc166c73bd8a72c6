"""Ends the processes that a program has started, and removes their files, once it is gone.

Even by SIGKILL, after which no code of its own runs; Ray's agents would live on for a minute. A
second process looks once a second what the program has started, and waits for the end of a pipe
that the program holds open, that is for its death. Linux only, which has `/proc`.
"""

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LOOK_S = 1.0
GRACE_S = 2.0  # in which they may end by themselves
PREFIX = "search-"
MARKER = "ATTENTION_PLACEMENT_SEARCH_SCRATCH"
MARK = ".attention-placement-search"  # tells its folders from those of other programs
LONGEST_ROOT = 24  # bytes; Ray's sockets add 80 to it, and 107 is the most

Processes = dict[int, str]
"""Processes, and when each began: a number may be given again."""


@contextlib.contextmanager
def none_left() -> Iterator[Path]:
    """A folder for processes; both end with the block, or with this process, however that ends.

    Nobody else may enter the folder. Its path is short enough for sockets in it.
    """
    for each in abandoned():
        shutil.rmtree(each, ignore_errors=True)
    folder, held = _new_folder()
    os.environ[MARKER] = str(folder)  # by which whatever is started from now on is known
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[held],  # it is in use as long as either of both lives
        start_new_session=True,  # no signal of the terminal's ends it
    )
    try:
        yield folder
    finally:
        guard.communicate()
        os.close(held)
        del os.environ[MARKER]


def abandoned() -> Iterator[Path]:
    """This user's folders whose program was killed along with its guard; each held in its turn."""
    for mark in _root().glob(f"{PREFIX}*/{MARK}"):
        with contextlib.suppress(OSError):  # another user's, or just removed
            if mark.parent.lstat().st_uid != os.getuid() or mark.parent.is_symlink():
                continue
            held = os.open(mark, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield mark.parent
            finally:
                os.close(held)


def _new_folder() -> tuple[Path, int]:
    """A folder, and the open file by which it is held."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_root()))
        with contextlib.suppress(FileNotFoundError):  # taken for abandoned before it was held
            held = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(held, fcntl.LOCK_EX)
            if (folder / MARK).exists():
                return folder, held
            os.close(held)


def _root() -> Path:
    root = tempfile.gettempdir()
    return Path(root if len(os.fsencode(root)) <= LONGEST_ROOT else "/tmp")  # noqa: S108


def _guard(program: int, folder: Path) -> None:
    seen: Processes = {}
    gone = False
    while not gone:
        gone = bool(select.select([sys.stdin], [], [], LOOK_S)[0])
        seen |= _below(program, seen)
    seen |= marked(folder)
    deadline = time.monotonic() + GRACE_S
    while living(seen) and time.monotonic() < deadline:
        time.sleep(0.05)
    while left := living(seen := seen | _below(program, seen) | marked(folder)):
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def _below(program: int, seen: Processes) -> Processes:
    """Descendants of the program, and of them: once it is dead, its children are nobody's."""
    found = descendants(program)
    for process in living(seen):
        found |= descendants(process)
    found.pop(os.getpid(), None)
    return found


def marked(folder: Path) -> Processes:
    """All but this one that were started with `MARKER`, whoever their parents are by now."""
    mark = os.fsencode(f"{MARKER}={folder}")
    found: Processes = {}
    for environment in Path("/proc").glob("[0-9]*/environ"):
        process = int(environment.parent.name)
        with contextlib.suppress(OSError):  # it has just ended, or is another user's
            if process != os.getpid() and mark in environment.read_bytes().split(b"\0"):
                found |= {process: began} if (began := began_at(process)) else {}
    return found


def children(process: int) -> set[int]:
    """The processes that it has started."""
    found: set[int] = set()
    for listing in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has just ended
            found |= {int(number) for number in listing.read_text().split()}
    return found


def descendants(program: int) -> Processes:
    """All living descendants."""
    found: Processes = {}
    queue = [program]
    while queue:
        below = children(queue.pop())
        queue += below
        found |= {child: began for child in below if (began := began_at(child))}
    return found


def living(seen: Processes) -> list[int]:
    """Those that have not ended."""
    return [process for process, began in seen.items() if began_at(process) == began]


def began_at(process: int) -> str | None:
    """When a process began, in the kernel's ticks; None for one that has ended."""
    try:
        state, *more = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else more[18]


if __name__ == "__main__":
    _guard(int(sys.argv[1]), Path(sys.argv[2]))
