"""The faults that `faults_peer.py` tries, and how each is brought about from outside."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.fault_checks import Epoch
from benchmarks.fault_processes import Program
from benchmarks.fault_sides import EPOCHS, TRIALS, Side
from benchmarks.faulty_epochs import LOG, STRIKES_AT

LOCKED_S = 20
DISK_MB = 32
KILLED = -int(signal.SIGKILL)
_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@dataclass
class Scene:
    """One fault on one side, as it goes on. `extra`: what must end with it.

    `findings`, `outputs`, `left`: what strikes have seen themselves, of programs of their own.
    """

    side: Side
    place: Path
    diary: Path
    start: Callable[[str], Program]
    last_epoch: int
    extra: contextlib.ExitStack
    pid: int = 0  # the driver
    findings: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def epochs(self) -> list[Epoch]:
        """All that workers have noted so far, in their order."""
        log = self.diary / LOG
        if not log.exists():
            return []
        words = (line.split() for line in log.read_text(encoding="utf-8").splitlines())
        return [Epoch(key, int(epoch), int(pid)) for key, epoch, pid in words]


Step = Callable[[Scene], None]


@dataclass(frozen=True)
class Fault:
    """What is done, and what should come of it.

    `kind`: what happens in workers (`faulty_epochs`). `strike`: what is done from outside once
    `finished` trials are trained and another has had some epochs; `repair`: before the same command
    is given again. `exits`, `exits_again`: what this program documents, None
    where another row judges that; `complete`: trials that
    should be so in the end. `disk`: the kind of file system that all lies on. `studied`: whether
    the study can be read afterwards. `exact`: whether values are compared with those of trainings
    without a fault. `repeatable`: epochs of a trial that may be computed twice;
    `limit_s`: how long there may be no new epoch until a search is said to hang.
    """

    name: str
    title: str
    kind: str = ""
    strike: Step | None = None
    repair: Step | None = None
    exits: int | None = 0
    exits_again: int = 0
    rerun: Literal["always", "if it failed", "never"] = "if it failed"
    finished: int = 2
    complete: int = TRIALS
    disk: Literal["", "small", "read-only"] = ""
    studied: bool = True
    exact: bool = False
    repeatable: int = 1
    epochs: int = EPOCHS
    limit_s: float = 120.0
    quick: bool = False


def midway(epochs: list[Epoch], finished: int, last: int = EPOCHS) -> Epoch | None:
    """The last epoch of a trial in flight, once the search is where faults strike."""
    reached = {epoch.key: epoch for epoch in epochs}
    in_flight = [e for e in reached.values() if STRIKES_AT <= e.epoch <= last - STRIKES_AT]
    ended = sum(epoch.epoch == last for epoch in reached.values())
    return in_flight[-1] if in_flight and ended >= finished else None


def kill_driver(scene: Scene) -> None:
    """Nothing of the driver runs any more, not even its tidying up."""
    os.kill(scene.pid, signal.SIGKILL)


def kill_worker(scene: Scene) -> None:
    """The process of a trial that is being trained."""
    struck = midway(scene.epochs(), 0, scene.last_epoch)
    if struck is None:
        scene.findings.append("no worker to kill")
    else:
        os.kill(struck.pid, signal.SIGKILL)


def ctrl_c(scene: Scene) -> None:
    """As a terminal sends it: to the whole process group."""
    os.killpg(scene.pid, signal.SIGINT)


def terminate(scene: Scene) -> None:
    """As `kill` sends it: to the driver alone."""
    os.kill(scene.pid, signal.SIGTERM)


def fill_disk(scene: Scene) -> None:
    """To the last byte."""
    with contextlib.suppress(OSError), (scene.place / "filler").open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


def make_room(scene: Scene) -> None:
    """Undoes `fill_disk`."""
    (scene.place / "filler").unlink()


def lock_for(seconds: float) -> Step:
    """Another process holds the database."""

    def lock(scene: Scene) -> None:
        scene.extra.enter_context(_locked(scene.side.database(scene.place), seconds))

    return lock


@contextlib.contextmanager
def _locked(path: Path, seconds: float) -> Iterator[None]:
    command = [sys.executable, "-c", _LOCK, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as locker:
        try:
            for _ in locker.stdout or ():
                break  # it says once that it has the lock
            yield
        finally:
            locker.kill()


def unlock(scene: Scene) -> None:
    """Ends the process that holds the lock."""
    scene.extra.close()


def overwrite_middle(scene: Scene) -> None:
    """The half of the database in its middle becomes noise.

    It is read before, which undoes what the killed driver left half written: afterwards nothing
    that only looks has a reason to write.
    """
    scene.side.rows(scene.place)
    path = scene.side.database(scene.place)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 4)
        file.write(random.Random(0).randbytes(size // 2))  # noqa: S311


def flip_bits(scene: Scene) -> None:
    """One bit in the newest checkpoint of each trial in flight."""
    paths = scene.side.newest_checkpoints(scene.place)
    if not paths:
        scene.findings.append("no checkpoint to damage")
    for path in paths:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1 << 6
        path.write_bytes(data)


def second_driver(scene: Scene) -> None:
    """The same command again, which should go away and say why."""
    second = scene.extra.enter_context(scene.start("second"))
    code = second.wait(180)
    if code is None:
        scene.findings.append("the second driver did not end within 180 s")
    elif not scene.side.right_exit(5, code):
        scene.findings.append(f"the second driver ran as well (exit {code})")
    scene.outputs.append(second.output)
    scene.left += second.left() if code is not None else []


# fmt: off
FAULTS = (
    Fault("nothing", "no fault: the checks themselves", exact=True),
    Fault(
        "kill-driver", "`kill -9` of the driver mid-epoch, the same command again",
        strike=kill_driver, exits=KILLED,
    ),
    Fault("kill-worker", "`kill -9` of a worker", strike=kill_worker),
    Fault("exit-worker", "`os._exit` in a trial", kind="exit"),
    Fault("sigint", "Ctrl-C (SIGINT)", strike=ctrl_c, exits=130, rerun="always"),
    Fault("sigterm", "`kill` (SIGTERM)", strike=terminate, exits=143, rerun="always"),
    Fault(
        "nan", "a trial's metric becomes NaN",
        kind="nan", complete=TRIALS - 1, quick=True,
    ),
    Fault("inf", "metrics of two trials become +inf, −inf", kind="inf", complete=TRIALS - 2),
    Fault("exception", "an exception in a trial", kind="raise", complete=TRIALS - 1),
    Fault(
        "all-fail", "every trial fails",
        kind="every trial fails", exits=4, complete=0, rerun="never", quick=True,
    ),
    Fault("memory", "out of memory: whole batches of a trial do not fit", kind="memory"),
    Fault(
        "read-only", "output directory on a read-only file system",
        disk="read-only", exits=3, rerun="never", studied=False, quick=True,
    ),
    Fault(
        "disk-full", "the disk becomes full, then has room again",
        strike=fill_disk, repair=make_room, disk="small", exits=3,
    ),
    Fault("locked", f"another process locks the database for {LOCKED_S} s",
          strike=lock_for(LOCKED_S), repair=unlock),
    Fault(
        "locked-for-good", "another process locks the database for good",
        strike=lock_for(3600), repair=unlock, exits=3, limit_s=200,
    ),
    Fault(
        "corrupt-database", "`kill -9`, then the middle of the database overwritten",
        strike=kill_driver, repair=overwrite_middle, exits=KILLED, exits_again=3, studied=False,
    ),
    Fault("two-drivers", "two drivers on one study", strike=second_driver, finished=1, epochs=40),
    Fault(
        "corrupt-checkpoint", "Ctrl-C, then one bit flipped in the newest checkpoints",
        strike=ctrl_c, repair=flip_bits, exits=None, rerun="always",
        finished=0, exact=True, repeatable=2,
    ),
)
# fmt: on
