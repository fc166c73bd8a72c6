"""How a full training goes on and what a model says, on a terminal or as plain lines."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from models.printable import printable
from trainers.full_training import SeedResult
from trainers.messages import EpochResult
from trainers.prediction import Labelled, Unlabelled

SHOWN = 2  # classes beside the first one


def write_line(stream: TextIO, line: str) -> None:
    """Writes a line, whatever the stream can encode."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(printable(line).encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


class PlainView:
    """One line for each epoch, for pipes and files: `seed 0 epoch 3/30: 61.2 % …`."""

    def __init__(self, stream: TextIO, epochs: int) -> None:
        self._stream, self._epochs = stream, epochs
        self._seed, self._best = 0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return

    def began(self, seed: int, curve: Sequence[EpochResult], sizes: Sequence[int]) -> None:
        """See `Watcher`."""
        self._seed = seed
        self._best = max((epoch.val_accuracy for epoch in curve), default=0.0)
        again = f"goes on behind epoch {len(curve)}" if curve else "begins"
        self.notice(f"seed {seed} {again}: {sum(sizes):,} images an epoch")

    def trained(self, images: int) -> None:
        """See `Watcher`."""

    def advanced(self, epoch: EpochResult) -> None:
        """See `Watcher`."""
        self._best = max(self._best, epoch.val_accuracy)
        self.notice(
            f"seed {self._seed} epoch {epoch.epoch}/{self._epochs}: {100 * epoch.val_accuracy:.1f} "
            f"% (best {100 * self._best:.1f} %), loss {epoch.train_loss:.3f}, "
            f"{epoch.images_per_second:,.0f} images/s"
        )

    def notice(self, text: str) -> None:
        """See `Watcher`."""
        write_line(self._stream, text)


class LiveView:
    """A bar of images for the epoch and one of epochs for the training, with the best so far."""

    def __init__(self, console: Console, epochs: int) -> None:
        self._console, self._epochs = console, epochs
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[far]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[news]}"),
            console=console,
            expand=True,
        )
        self._epoch: TaskID | None = None
        self._whole: TaskID | None = None
        self._images, self._done, self._best = 0, 0, 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def began(self, seed: int, curve: Sequence[EpochResult], sizes: Sequence[int]) -> None:
        """See `Watcher`."""
        for task in (self._whole, self._epoch):
            if task is not None:
                self._progress.remove_task(task)
        self._images, self._done = sum(sizes), len(curve)
        self._best = max((epoch.val_accuracy for epoch in curve), default=0.0)
        total = self._epochs * self._images
        add = self._progress.add_task
        self._whole = add(f"seed {seed}", total=total, completed=self._done * self._images, far="",
                          news="")  # fmt: skip
        self._epoch = add("  epoch", total=self._images, far="", news="")
        self._show(curve[-1] if curve else None)

    def trained(self, images: int) -> None:
        """See `Watcher`."""
        for task in (self._whole, self._epoch):
            if task is not None:
                self._progress.advance(task, images)

    def advanced(self, epoch: EpochResult) -> None:
        """See `Watcher`."""
        self._done, self._best = epoch.epoch, max(self._best, epoch.val_accuracy)
        self._show(epoch)
        if self._epoch is not None:
            self._progress.reset(self._epoch, far="", news="")

    def notice(self, text: str) -> None:
        """See `Watcher`."""
        self._console.print(Text(printable(text)))

    def _show(self, epoch: EpochResult | None) -> None:
        if self._whole is None:
            return
        news = ""
        if epoch is not None:
            news = (
                f"{100 * epoch.val_accuracy:.1f} % (best {100 * self._best:.1f}) "
                f"loss {epoch.train_loss:.3f} {epoch.images_per_second:,.0f} img/s"
            )
        far = f"{self._done}/{self._epochs} epochs"
        done = self._done * self._images
        self._progress.update(self._whole, completed=done, far=far, news=news)


View = PlainView | LiveView


def open_view(stream: TextIO, epochs: int) -> View:
    """A live view for a terminal that can show one, plain lines for everything else."""
    if stream.isatty() and "utf" in (stream.encoding or "").lower():
        console = Console(file=stream)
        if not console.is_dumb_terminal:
            return LiveView(console, epochs)
    return PlainView(stream, epochs)


def result_lines(results: Iterable[SeedResult], exported: int) -> list[str]:
    """A line for each seed, when all is done."""
    return [
        f"seed {result.seed}: {100 * result.val_accuracy:.2f} % validation, "
        f"{100 * result.test_accuracy:.2f} % of {result.test_images:,} test images, epoch "
        f"{result.kept_epoch} of {len(result.curve)}"
        + (" (exported)" if result.seed == exported else "")
        for result in results
    ]


def show_labels(found: Iterable[Labelled | Unlabelled], stream: TextIO, *, as_json: bool) -> int:
    """Shows what pictures were labelled, and on stderr what was none; how many were none.

    A table on a terminal, else lines of columns divided by tabs.
    """
    answers = list(found)
    bad = [each for each in answers if isinstance(each, Unlabelled)]
    if as_json:
        stream.write(json.dumps([_as_json(each) for each in answers], indent=1) + "\n")
        stream.flush()
    else:
        _show_rows([each for each in answers if isinstance(each, Labelled)], stream)
    for each in bad:
        write_line(sys.stderr, f"error: {each.reason}")
    return len(bad)


def _show_rows(answers: Sequence[Labelled], stream: TextIO) -> None:
    if not answers:
        return
    rows = [_row(each) for each in answers]
    if not stream.isatty():
        for row in rows:
            write_line(stream, " | ".join(row))
        return
    table = Table("image", "label", "probability", "else")
    table.columns[0].overflow = "fold"
    table.columns[2].justify = "right"
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console(file=stream).print(table)


def _row(answer: Labelled) -> tuple[str, str, str, str]:
    (label, probability), *others = answer.ranked
    rest = ", ".join(f"{name} {100 * share:.1f} %" for name, share in others[:SHOWN])
    return answer.file, label, f"{100 * probability:.1f} %", rest


def _as_json(answer: Labelled | Unlabelled) -> dict[str, Any]:
    file = answer.file.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(answer, Unlabelled):
        return {"file": file, "error": answer.reason}
    label, probability = answer.ranked[0]
    return {
        "file": file,
        "label": label,
        "probability": probability,
        "probabilities": dict(answer.ranked),
    }
