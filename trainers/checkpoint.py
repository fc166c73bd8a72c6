"""Checkpoints of one training: the last two epochs, whole and with checksums, nothing unpickled."""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.numpy

from models.errors import StorageError
from models.whole_file import replacing
from trainers.curve import read_curve
from trainers.messages import EpochResult
from trainers.training_state import Arrays

KEPT = 2
UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError,
    safetensors.SafetensorError,
)  # fmt: skip
WEIGHTS, FACTS, SUMS = ".safetensors", ".json", ".sha256"
_NAME = re.compile(rf"epoch-(0\d{{4}}|[1-9]\d{{4,}}){re.escape(SUMS)}", re.ASCII)


@dataclass(frozen=True)
class Checkpoint:
    """A training after the epochs of `curve`; `arrays` as `TrainingState` has them."""

    arrays: Arrays
    curve: tuple[EpochResult, ...]


class Checkpoints:
    """Those of the training `of`, a digest of all that decides how it goes, in a folder of its own.

    Each is three files: arrays as safetensors, the learning curve as JSON, and the SHA-256 of both
    as `sha256sum` writes it, which comes last: without it there is no checkpoint.
    """

    def __init__(self, folder: Path, of: str) -> None:
        self._folder, self._of = folder, of
        self.damaged: list[str] = []
        """What `latest` found and could not use, in words."""

    def save(self, arrays: Arrays, curve: Sequence[EpochResult]) -> None:
        """Keeps the state after the last epoch of `curve`, and the one before it.

        Raises StorageError where it cannot be written.
        """
        try:
            self._save(arrays, curve)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._remove(len(curve))  # what there is of it takes room, and is no checkpoint
            why = f"{error.strerror or error}; is the disk full?"
            raise StorageError(f"{self._folder}: a checkpoint cannot be written: {why}") from error

    def _save(self, arrays: Arrays, curve: Sequence[EpochResult]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(".epoch-*"):  # by a process that was killed
            left.unlink(missing_ok=True)
        facts = {"of": self._of, "curve": [asdict(epoch) for epoch in curve]}
        name = _name(len(curve))
        parts = {
            name + WEIGHTS: safetensors.numpy.save(dict(arrays)),
            name + FACTS: json.dumps(facts, indent=1).encode(),
        }
        sums = "".join(f"{_sha256(data)}  {part}\n" for part, data in parts.items())
        for part, data in {**parts, name + SUMS: sums.encode()}.items():
            with replacing(self._folder / part) as path:
                path.write_bytes(data)
        self._remove_others(len(curve))

    def _remove_others(self, last: int) -> None:
        """Removes all but the `KEPT` up to epoch `last`.

        Later ones could not be gone on from, or the training would not be there again.
        """
        epochs = self._epochs()
        kept = [epoch for epoch in epochs if epoch <= last][-KEPT:]
        for epoch in epochs:
            if epoch not in kept:
                self._remove(epoch)

    def _remove(self, epoch: int) -> None:
        for suffix in (SUMS, FACTS, WEIGHTS):
            (self._folder / (_name(epoch) + suffix)).unlink(missing_ok=True)

    def latest(
        self, refuse_misfit: Callable[[Checkpoint], None] = lambda _: None
    ) -> Checkpoint | None:
        """The last epoch that is whole, or None; damaged ones are named in `damaged`.

        `refuse_misfit` raises ValueError for one that this training cannot go on from, which
        counts as damage.
        """
        for epoch in reversed(self._epochs()):
            try:
                found = self._read(epoch)
                refuse_misfit(found)
            except UNREADABLE as error:
                self.damaged.append(f"{self._folder / _name(epoch)}: {error}")
            else:
                return found
        return None

    def _epochs(self) -> list[int]:
        """Of all checkpoints that were finished, in their order."""
        named = (_NAME.fullmatch(path.name) for path in self._folder.glob(f"epoch-*{SUMS}"))
        return sorted({int(name[1]) for name in named if name})

    def _read(self, epoch: int) -> Checkpoint:
        name = _name(epoch)
        lines = (self._folder / (name + SUMS)).read_text("utf-8").splitlines()
        told = {part: checksum for checksum, part in (line.split("  ", 1) for line in lines)}
        parts = {
            suffix: (self._folder / (name + suffix)).read_bytes() for suffix in (WEIGHTS, FACTS)
        }
        for suffix, data in parts.items():
            if told[name + suffix] != _sha256(data):
                raise ValueError(f"the SHA-256 of {suffix} is another one")
        facts = json.loads(parts[FACTS])
        if facts["of"] != self._of:
            raise ValueError("it is of another training")
        curve = read_curve(facts["curve"])
        if not curve or len(curve) != epoch:
            raise ValueError(f"its curve has {len(curve)} epochs")
        return Checkpoint(safetensors.numpy.load(parts[WEIGHTS]), curve)


def _name(epoch: int) -> str:
    return f"epoch-{epoch:05d}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
