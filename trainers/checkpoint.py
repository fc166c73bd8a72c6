"""Checkpoints of one training: the last two epochs, whole and with checksums, nothing unpickled."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import safetensors
import safetensors.numpy

from models.errors import StorageError
from models.whole_file import replacing
from trainers.messages import EpochResult
from trainers.training_state import Arrays

KEPT = 2
UNREADABLE = (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError)
WEIGHTS, FACTS, SUMS = ".safetensors", ".json", ".sha256"


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
            why = f"{error.strerror or error}; is the disk full?"
            raise StorageError(f"{self._folder}: a checkpoint cannot be written: {why}") from error

    def _save(self, arrays: Arrays, curve: Sequence[EpochResult]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        facts = {"of": self._of, "curve": [asdict(epoch) for epoch in curve]}
        name = f"epoch-{len(curve):05d}"
        parts = {
            name + WEIGHTS: safetensors.numpy.save(dict(arrays)),
            name + FACTS: json.dumps(facts, indent=1).encode(),
        }
        sums = "".join(f"{_sha256(data)}  {part}\n" for part, data in parts.items())
        for part, data in {**parts, name + SUMS: sums.encode()}.items():
            with replacing(self._folder / part) as path:
                path.write_bytes(data)
        for old in self._names()[:-KEPT]:
            for suffix in (SUMS, FACTS, WEIGHTS):
                (self._folder / (old + suffix)).unlink(missing_ok=True)

    def latest(self) -> Checkpoint | None:
        """The last epoch that is whole, or None; damaged ones are named in `damaged`."""
        for name in reversed(self._names()):
            try:
                return self._read(name)
            except UNREADABLE as error:
                self.damaged.append(f"{self._folder / name}: {error}")
        return None

    def _names(self) -> list[str]:
        """Of all checkpoints that were finished, by epoch."""
        return sorted(path.stem for path in self._folder.glob(f"epoch-*{SUMS}"))

    def _read(self, name: str) -> Checkpoint:
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
        curve = tuple(EpochResult(**epoch) for epoch in facts["curve"])
        if not all(math.isfinite(number) for epoch in curve for number in astuple(epoch)):
            raise ValueError("its curve is none")
        return Checkpoint(safetensors.numpy.load(parts[WEIGHTS]), curve)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
