"""Ray's own processes on this machine: without them no trial goes on, and Ray waits for ever."""

import os
from pathlib import Path

from search.orphans import Processes, descendants, living

NAMES = {"gcs_server", "raylet"}


class RayDaemons:
    """Those that this process has started until now."""

    def __init__(self) -> None:
        below = descendants(os.getpid())
        self._seen: Processes = {each: below[each] for each in below if _name(each) in NAMES}
        self._names = {each: _name(each) for each in self._seen}

    @property
    def lost(self) -> str | None:
        """The name of one that has ended; None where all live."""
        left = set(living(self._seen))
        return next((name for each, name in self._names.items() if each not in left), None)


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
