"""What a storage did not take, kept beside it for the next start of the search."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

FILE = "unrecorded.jsonl"


class Unrecorded:
    """One JSON object a line, each a write to a trial: `set` an attribute, or `end` it."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE

    def keep(self, write: dict[str, Any]) -> None:
        """Adds a write; where the disk takes nothing at all, it is lost."""
        if self._path is None:
            return
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(write) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def kept(self) -> list[dict[str, Any]]:
        """All that were kept, in their order; a last line that was cut off is none."""
        if self._path is None or not self._path.exists():
            return []
        found = []
        for line in self._path.read_text("utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [write for write in found if isinstance(write, dict)]

    def forget(self) -> None:
        """Once all is recorded."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
