"""VisualDL logs of a search: a run for each trial, written by the driver after every epoch.

`visualdl --logdir runs/STUDY/visualdl --host 127.0.0.1` shows them. VisualDL itself is imported
when there is something to write, and its writer is not used: that one has a thread for each
trial, cannot go on with a file, and loses what it has not written.
"""

import importlib.util
import itertools
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from models.errors import InputError
from models.printable import one_line
from models.whole_file import replacing
from search.events import Silent
from search.run_folder import VISUALDL
from search.trial import Role, Trial
from trainers.config import TrainingConfig
from trainers.messages import EpochResult
from trainers.schedule import learning_rate

FILE = "vdlrecords.log"  # VisualDL looks for `vdlrecords` in names, and reads one such file a run
MOST_BYTES = 64 * 2**20  # of a log that is gone on with
ACCURACY = "validation/accuracy"
_LENGTH = struct.Struct("<Q")  # before each record

Row = tuple[str, int, float]
"""Tag, epoch, value in float32."""


def refuse_missing() -> None:
    """Raises InputError where VisualDL is not installed; it is not loaded."""
    if importlib.util.find_spec("visualdl") is None:
        raise InputError(
            "--visualdl: the package is missing: pip install 'visualdl>=2.5' (`make setup` "
            "installs it), or leave --visualdl out"
        )


class VisualDLLog(Silent):
    """A `Watcher` that writes `visualdl/trial-NNNN` in a run's folder.

    A log holds each epoch of its trial's learning curve once, whatever was interrupted: one that
    goes on is gone on with, and one that is another's, torn, or ahead of the curve is written anew.
    `recipe`: how trials of a role are trained; `say` is told, once, where nothing can be written.
    """

    def __init__(
        self,
        run_folder: Path,
        recipe: Callable[[Role], TrainingConfig],
        say: Callable[[str], None],
    ) -> None:
        self._root, self._recipe, self._say = run_folder / VISUALDL, recipe, say
        self._written: dict[int, int] = {}  # rows, of trials that this process has logged
        self._broken = False

    def trial_advanced(self, trial: Trial) -> None:
        """See `Watcher`."""
        self._follow(trial)

    def trial_ended(self, trial: Trial) -> None:
        """See `Watcher`."""
        self._follow(trial)
        self._written.pop(trial.number, None)

    def _follow(self, trial: Trial) -> None:
        if not trial.curve or self._broken:
            return
        try:
            self._write(trial, self._root / f"trial-{trial.number:04d}" / FILE)
        except OSError as error:  # no log is worth the end of a search
            self._broken = True
            self._say(f"VisualDL logs are not written any more: {error.strerror or error}")

    def _write(self, trial: Trial, path: Path) -> None:
        rows = list(_rows(trial.curve, self._recipe(trial.role)))
        done = self._written.get(trial.number)
        if done is None or done > len(rows):  # our first, or the training begins further back
            done = _kept(path, rows)
        if done is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_bytes(_head(trial) + _records(rows))
        elif done < len(rows):
            with path.open("ab") as file:
                file.write(_records(rows[done:]))
        self._written[trial.number] = len(rows)


def _rows(curve: Sequence[EpochResult], config: TrainingConfig) -> Iterator[Row]:
    """The learning rate is that in the middle of an epoch."""
    for epoch in curve:
        rate = learning_rate(config, 2 * epoch.epoch - 1, 2 * config.epochs)
        for tag, value in (
            ("train/loss", epoch.train_loss),
            ("validation/loss", epoch.val_loss),
            (ACCURACY, epoch.val_accuracy),
            ("train/learning_rate", rate),
            ("train/images_per_second", epoch.images_per_second),
        ):
            yield tag, epoch.epoch, _float32(value)


def _float32(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _kept(path: Path, rows: Sequence[Row]) -> int | None:
    """How many of `rows` a log holds that holds nothing else; None where it is to begin anew."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        held = list(_scalars(path.read_bytes()))
    except (FileNotFoundError, ValueError):
        return None
    return len(held) if held == list(itertools.islice(rows, len(held))) else None


def _scalars(content: bytes) -> Iterator[Row]:
    """The values in a log. Raises ValueError where it is torn, or is none."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from visualdl.proto.record_pb2 import Record  # noqa: PLC0415

    at, heads = 0, 0
    while at < len(content):
        if len(content) < at + _LENGTH.size:
            raise ValueError("torn")
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size + length
        if at > len(content):
            raise ValueError("torn")
        try:
            record = Record.FromString(content[at - length : at])
        except DecodeError as error:
            raise ValueError("no record") from error
        for value in record.values:
            if value.WhichOneof("one_value") == "value":
                yield value.tag, value.id, value.value
            else:
                heads += 1
    if not heads:
        raise ValueError("it has no beginning")


def _head(trial: Trial) -> bytes:
    """What VisualDL shows of the trial beside its curves."""
    from visualdl.component.base_component import hparam, meta_data  # noqa: PLC0415

    now = _milliseconds()
    kinds = dict.fromkeys(placement.block.name for placement in trial.architecture.placements)
    blocks = " + ".join(kinds) or "plain backbone"
    name = one_line(": ".join(filter(None, (f"trial {trial.number}", trial.name, blocks))))
    facts: dict[str, Any] = {
        "role": trial.role.value,
        "blocks": blocks,
        "placements": one_line(trial.architecture.describe()),
        "params": trial.params,
        "macs": trial.macs,
    }
    run = f"trial-{trial.number:04d}"
    records = meta_data(display_name=name, walltime=now), hparam(run, facts, [ACCURACY], now)
    return b"".join(map(_framed, records))


def _records(rows: Sequence[Row]) -> bytes:
    from visualdl.component.base_component import scalar  # noqa: PLC0415

    now = _milliseconds()
    return b"".join(_framed(scalar(tag, value, epoch, now)) for tag, epoch, value in rows)


def _framed(record: Any) -> bytes:
    content: bytes = record.SerializeToString()
    return _LENGTH.pack(len(content)) + content


def _milliseconds() -> int:
    return round(1000 * time.time())
