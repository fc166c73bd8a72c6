"""Programs that `faults_peer.py` starts, with all that these start: watched, in the end ended."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from benchmarks.machine import ROOT
from search import orphans

GRACE_S = 10.0  # in which all processes must be gone
LOOK_S = 0.2


class Program:
    """A command in a session of its own, as a shell starts it; leave the context to end it all.

    Descendants are looked for all the time: those of a killed process belong to nobody.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._seen: orphans.Processes = {self.pid: orphans.began_at(self.pid) or ""}
        self._look()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._keep_looking, daemon=True)
        self._watch.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()
        while self.living():
            for pid in self.living():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.poll()
            time.sleep(LOOK_S)
        self._process.wait()

    @property
    def output(self) -> str:
        """What it has written so far, of both streams."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def running(self) -> bool:
        """Whether the program itself has not ended."""
        return self._process.poll() is None

    def wait(self, limit_s: float) -> int | None:
        """The exit code; None where it does not end within `limit_s`."""
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None

    def left(self) -> list[str]:
        """The names of processes that live on `GRACE_S` after its end; waits no longer than so."""
        deadline = time.monotonic() + GRACE_S
        while self.living() and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        return sorted(_name(pid) for pid in self.living())

    def living(self) -> list[int]:
        """All of its processes that have not ended."""
        return orphans.living(dict(self._seen))

    def _keep_looking(self) -> None:
        while not self._over.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        for pid in self.living():  # also below those whose parent has ended
            self._seen |= orphans.descendants(pid)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return "one that has just ended"
