"""Where the trials of a study keep their checkpoints, and when these are no longer needed."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

FOLDER = "checkpoints"
_NAME = re.compile(r"trial-(\d{5,})")


class CheckpointFolders:
    """A folder for each trial that has not ended, in that of its study."""

    def __init__(self, study_folder: Path) -> None:
        self._root = study_folder.resolve() / FOLDER  # workers are at home elsewhere

    def of(self, number: int) -> Path:
        """The folder of a trial; it need not be there."""
        return self._root / f"trial-{number:05d}"

    def remove(self, number: int) -> None:
        """Removes what a trial has kept, which has ended."""
        shutil.rmtree(self.of(number), ignore_errors=True)

    def remove_others(self, running: Collection[int]) -> None:
        """Removes what trials have kept that are not `running`; a killed driver leaves such."""
        for path in self._root.glob("trial-*"):
            named = _NAME.fullmatch(path.name)
            if named and int(named[1]) not in running:
                shutil.rmtree(path, ignore_errors=True)
