"""What the terminal says when a search is over: the front, what it is worth, where to read on."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.printable import printable
from reports.answer import noise_sentence
from reports.gains import Gain, baseline_of, controls_of, gain_over
from reports.wording import UNKNOWN, count, latency, percent, points, role_marker
from search.front import front
from search.trial import Trial

WIDE = 140  # columns, from which placements fit into the table
NARROW = 90  # columns, under which the table is only what fits into 40

Row = tuple[Trial, str, Gain | None]


def print_result(
    console: Console,
    trials: Sequence[Trial],
    objectives: Sequence[str],
    report_folder: Path,
    validation_images: int,
) -> None:
    """Prints the front with baseline and controls beside it, and where the report lies."""
    shown = _shown(trials, objectives)
    if shown:
        narrow, wide = console.width < NARROW, console.width >= WIDE
        rows = [(*row, gain_over(row[0], baseline_of(trials), validation_images)) for row in shown]
        console.print(_narrow_table(rows) if narrow else _table(rows, wide=wide))
        for trial, remark in [] if wide else shown:
            marks = [mark for mark in (role_marker(trial), remark) if narrow and mark]
            role = f" ({', '.join(marks)})" if marks else ""
            console.print(Text(f"trial {trial.number}{role}: {printable(trial.title)}"))
    else:
        console.print(Text("Nothing was fully trained within the budgets: the front is empty."))
    verdict = noise_sentence(trials, objectives, validation_images)
    if verdict:
        console.print(Text(verdict))
    where = printable(str(report_folder / "report.html"))
    console.print(Text(f"Report: {where}"), soft_wrap=True)


def _shown(trials: Sequence[Trial], objectives: Sequence[str]) -> list[tuple[Trial, str]]:
    """The front, then baseline and controls that are not on it; each with its remark."""
    members = front(trials, objectives)
    numbers = {trial.number for trial in members}
    baseline = baseline_of(trials)
    compared = [*([baseline] if baseline else []), *controls_of(trials)]
    beside = [(t, "not on the front") for t in compared if t.number not in numbers]
    return [(trial, "") for trial in members] + beside


def _table(rows: Sequence[Row], *, wide: bool) -> Table:
    table = Table(title=Text("Front"), title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("role")
    if wide:
        table.add_column("placement", overflow="fold", ratio=1)
    for name in ("accuracy", "gain (points)", "params", "latency", "MACs"):
        table.add_column(name, justify="right")
    for trial, remark, gain in rows:
        role = "\n".join(part for part in (role_marker(trial), remark) if part)
        placement = [printable(trial.title)] if wide else []
        numbers = [
            percent(trial.val_accuracy),
            _gain(gain, " ± ", "\nwithin noise"),
            f"{trial.params:,}",
            latency(trial),
            count(trial.macs),
        ]
        table.add_row(*map(Text, [str(trial.number), role, *placement, *numbers]))
    return table


def _narrow_table(rows: Sequence[Row]) -> Table:
    table = Table(title=Text("Front"), title_justify="left", box=None, pad_edge=False)
    table.padding = (0, 1, 0, 0)
    for name in ("trial", "acc.", "gain", "params", "latency"):
        table.add_column(name, justify="right")
    for trial, _, gain in rows:
        cells = [
            str(trial.number),
            percent(trial.val_accuracy),
            _gain(gain, "±", "\nnoise"),
            count(trial.params),
            latency(trial),
        ]
        table.add_row(*map(Text, cells))
    return table


def _gain(gain: Gain | None, sign: str, noise: str) -> str:
    if gain is None:
        return UNKNOWN
    text = f"{points(gain.value)}{sign}{100 * gain.half_width:.2f}"
    return text + noise if gain.within_noise else text
