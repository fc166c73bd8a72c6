"""`LiveView`: a search as a picture that renews itself on a terminal."""

import threading
from collections.abc import Iterable, Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from models.printable import one_line, printable
from reports.progress import Progress, ViewSettings
from reports.wording import count, duration, latency, percent, title
from search.trial import State, Trial

REFRESHES_PER_SECOND = 2
MOST_RUNNING = 8  # rows; the others are counted
MOST_FRONT = 6
BAR_WIDTH = 10
NARROW = 70  # columns, under which bars and costs are left out

_COLOURS = {
    State.COMPLETE: "green",
    State.STOPPED: "yellow",
    State.INFEASIBLE: "cyan",
    State.FAILED: "red",
    State.RUNNING: "default",
}
_COUNTED = {
    State.COMPLETE: "finished",
    State.RUNNING: "running",
    State.STOPPED: "stopped early",
    State.FAILED: "failed",
    State.INFEASIBLE: "infeasible",
}


class LiveView:
    """Shows counts, running trials, what ended last and the front; notices stay above it."""

    def __init__(self, console: Console, settings: ViewSettings) -> None:
        self._console, self._settings = console, settings
        self._progress = Progress(settings)
        self._lock = threading.Lock()  # rich draws from a thread of its own
        self._live = Live(
            console=console,
            get_renderable=self.picture,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def known(self, trials: Iterable[Trial]) -> None:
        """Takes in the trials of an earlier run of this study."""
        with self._lock:
            self._progress.known(trials)

    def trial_began(self, trial: Trial) -> None:
        """See `Watcher`."""
        with self._lock:
            self._progress.began(trial)

    def trial_advanced(self, trial: Trial) -> None:
        """See `Watcher`."""
        with self._lock:
            self._progress.advanced(trial)

    def trial_ended(self, trial: Trial) -> None:
        """See `Watcher`."""
        with self._lock:
            self._progress.ended(trial)

    def notice(self, text: str) -> None:
        """See `Watcher`."""
        self._console.print(Text(printable(text)))

    def picture(self) -> RenderableType:
        """What is shown at this moment."""
        wide = self._console.width >= NARROW
        with self._lock:
            progress = self._progress
            running = [progress.running[number] for number in sorted(progress.running)]
            parts: list[RenderableType] = [_header(progress)]
            parts += _section("running", _running_table(running[:MOST_RUNNING], wide=wide))
            if len(running) > MOST_RUNNING:
                parts.append(Text(f"… and {len(running) - MOST_RUNNING} more", style="dim"))
            if progress.last:
                parts += _section("ended last", _ended_table(list(progress.last)))
            front = progress.front
            if front:
                parts += _section("front", _front_table(front[:MOST_FRONT], wide=wide))
            if len(front) > MOST_FRONT:
                parts.append(Text(f"… and {len(front) - MOST_FRONT} more", style="dim"))
            return Group(*parts)


def _header(progress: Progress) -> Text:
    settings, counts = progress.settings, progress.counts
    text = Text()
    text.append(settings.study, style="bold")
    text.append(f"  {progress.trained} of {settings.trials} trained\n")
    for state, word in _COUNTED.items():
        text.append(f"{counts[state]} {word}  ", style=_COLOURS[state] if counts[state] else "dim")
    text.append(f"\nelapsed {duration(progress.elapsed_seconds)}")
    text.append(f"  left about {duration(progress.remaining_seconds)}")
    return text


def _section(title: str, table: Table) -> list[RenderableType]:
    return [Rule(Text(title), align="left", style="dim"), table]


def _grid(*columns: str) -> Table:
    """A table without lines; only the column `placement` gives way when space is short."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim")
    for name in columns:
        if name in {"placement", "outcome"}:
            table.add_column(name, ratio=1, no_wrap=True, overflow="ellipsis", min_width=8)
        else:
            table.add_column(name, no_wrap=True, justify="right", overflow="ellipsis")
    return table


def _running_table(trials: Sequence[Trial], *, wide: bool) -> Table:
    table = _grid("trial", "placement", "epoch", "accuracy", *(["latency"] if wide else []))
    for trial in trials:
        epochs = trial.epochs
        done = f"{len(trial.curve)}/{epochs}"
        cells = [
            Text(str(trial.number)),
            Text(title(trial)),
            Text(f"{_bar(len(trial.curve), epochs)} {done}" if wide else done),
            Text(percent(trial.val_accuracy, 1)),
        ]
        table.add_row(*cells, *([Text(latency(trial))] if wide else []))
    return table


def _bar(done: int, epochs: int) -> str:
    filled = min(BAR_WIDTH, BAR_WIDTH * done // max(1, epochs))
    return "█" * filled + "░" * (BAR_WIDTH - filled)


def _ended_table(trials: Sequence[Trial]) -> Table:
    table = _grid("trial", "outcome", "accuracy")
    for trial in reversed(trials):
        reason = one_line(" ".join(trial.reason.split())) or title(trial)
        outcome = Text.assemble((trial.state.value, _COLOURS[trial.state]), f" {reason}")
        table.add_row(Text(str(trial.number)), outcome, Text(percent(trial.val_accuracy, 1)))
    return table


def _front_table(trials: Sequence[Trial], *, wide: bool) -> Table:
    costs = ["params", "latency"] if wide else ["params"]
    table = _grid("trial", "placement", "accuracy", *costs)
    for trial in trials:
        cells = [
            Text(str(trial.number)),
            Text(printable(trial.title)),
            Text(percent(trial.val_accuracy, 1)),
            Text(count(trial.params)),
        ]
        table.add_row(*cells, *([Text(latency(trial))] if wide else []))
    return table
