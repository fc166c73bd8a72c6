"""What a long benchmark has found so far, so that one that was interrupted goes on."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.whole_file import replacing


class Kept(Mapping[str, Any]):
    """Answers by key, written to `path` with every one that is added; in memory without one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._answers: dict[str, Any] = {}
        if path is not None and path.exists():
            self._answers = json.loads(path.read_text())

    def add(self, key: str, answer: object) -> None:
        """Keeps an answer, which JSON must be able to hold."""
        self._answers[key] = answer
        if self._path is not None:
            with replacing(self._path) as whole:
                whole.write_text(json.dumps(self._answers))

    def __getitem__(self, key: str) -> Any:
        """The answer that was kept."""
        return self._answers[key]

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(self._answers)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._answers)
