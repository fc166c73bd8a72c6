"""What `faults_peer.py` puts into training workers: a diary of the epochs, and faults.

Both sides call `Diary.epoch` once an epoch. Workers of this program do so unknowingly: a generated
`sitecustomize.py` calls `install`, which changes `trainers.candidate` when that is imported. It is
imported by every process of a search, so it imports next to nothing itself.
"""

import dataclasses
import importlib.abc
import importlib.machinery
import importlib.util
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER, FAULT, EPOCHS = "FAULT_FOLDER", "FAULT_KIND", "FAULT_EPOCHS"
"""Environment variables: where the diary lies, which fault there is, the epochs of a trial."""

LOG = "epochs.log"
STRUCK = "struck*"  # files that faults leave in the diary's folder
STRIKES_AT = 3  # the epoch of the trial that a fault hits
PATCHED = "trainers.candidate"
SITE = "from benchmarks.faulty_epochs import install\n\ninstall()\n"


class MadeUpError(Exception):
    """What a trial raises because it is told to."""


class Diary:
    """The epochs that all workers of a search have computed, a line each."""

    def __init__(self, folder: Path, kind: str, epochs: int) -> None:
        self._folder, self._kind, self._epochs = folder, kind, epochs

    @classmethod
    def of_environment(cls) -> "Diary":
        """As the environment variables say."""
        return cls(Path(os.environ[FOLDER]), os.environ.get(FAULT, ""), int(os.environ[EPOCHS]))

    def epoch(self, key: str, epoch: int, *, whole_batch: bool = True) -> float | None:
        """Notes an epoch and has the fault strike; the number to report instead of the true one."""
        self._note(f"{key} {epoch} {os.getpid()}\n")
        kind = self._kind
        if kind == "every trial fails":
            (self._folder / "struck-all").touch()
            raise MadeUpError("no trial can succeed")
        if kind in {"raise", "memory"} and whole_batch and self._claimed(key, epoch, 1) is not None:
            raise MemoryError("a whole batch") if kind == "memory" else MadeUpError("on purpose")
        if kind == "exit" and epoch == STRIKES_AT and self._claimed(key, epoch, 1) is not None:
            self._exit_once()
        if kind == "nan" and self._claimed(key, epoch, 1) is not None:
            return math.nan
        if kind == "inf":
            return {0: math.inf, 1: -math.inf}.get(self._claimed(key, epoch, 2))  # type: ignore[arg-type]
        return None

    def _note(self, line: str) -> None:
        file = os.open(self._folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)

    def _claimed(self, key: str, epoch: int, limit: int) -> int | None:
        """Which of the `limit` trials that are hit this one is; None for one that is spared.

        Hit is who first comes to an epoch once another trial was trained to its end, so that there
        is always something to lose.
        """
        last = f" {self._epochs} "
        others = (self._folder / LOG).read_text(encoding="utf-8").splitlines()
        may_claim = epoch == STRIKES_AT and any(last in line for line in others)
        for number in range(limit):
            claim = self._folder / f"struck-{number}"
            if not claim.exists():
                if not may_claim:
                    return None
                try:
                    with claim.open("x", encoding="utf-8") as file:
                        file.write(key)
                except FileExistsError:
                    pass  # another worker was faster
                else:
                    return number
            if claim.read_text(encoding="utf-8") == key:
                return number
        return None

    def _exit_once(self) -> None:
        struck = self._folder / "struck-out"
        if not struck.exists():
            struck.touch()
            os._exit(1)


def install() -> None:
    """Has `trainers.candidate` keep the diary in every process that imports it."""
    if FOLDER in os.environ:
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `trainers.candidate` as all others do, and changes it once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name != PATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Patching(spec.loader)
        return spec


class _Patching(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _keep_diary(module, Diary.of_environment())


def _keep_diary(module: Any, diary: Diary) -> None:
    """Wraps `run_candidate`, which knows the architecture, and `train`, where faults belong."""
    now: dict[str, str] = {}
    run_candidate: Callable[[Any], Any] = module.run_candidate
    train: Callable[..., Iterator[Any]] = module.train

    def noted_candidate(task: Any) -> Any:
        now["key"] = task.architecture.architecture_id
        return run_candidate(task)

    def noted_train(*given: Any, **more: Any) -> Iterator[Any]:
        for result in train(*given, **more):
            whole = more["micro_batches"] == 1
            instead = diary.epoch(now["key"], result.epoch, whole_batch=whole)
            true = instead is None
            yield result if true else dataclasses.replace(result, val_accuracy=instead)

    module.run_candidate, module.train = noted_candidate, noted_train
