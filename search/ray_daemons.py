"""Ray's own processes on this machine: without them no trial goes on, and Ray waits for ever."""

import os
from pathlib import Path

from search.orphans import Processes, began_at, children, living

NAMES = {"gcs_server", "raylet"}


class RayDaemons:
    """Those that this process has started until now."""

    def __init__(self) -> None:
        named = {each: _name(each) for each in children(os.getpid())}
        self._names = {each: name for each, name in named.items() if name in NAMES}
        began = {each: began_at(each) for each in self._names}
        self._seen: Processes = {each: when for each, when in began.items() if when is not None}

    @property
    def lost(self) -> str | None:
        """The name of one that has ended; None where all live."""
        left = set(living(self._seen))
        return next((self._names[each] for each in self._seen if each not in left), None)


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""
