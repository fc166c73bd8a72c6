"""What `faults_peer.py` asks of a study after a fault, of both sides the same. Pure functions.

Each gives the sentence that belongs into the table, or none where the check holds.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COMPLETE, RUNNING, FAILED = "complete", "running", "failed"

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^\([^)]*pid=\d+[^)]*\) ?")
_NATIVE = re.compile(r"@\s+0x[0-9a-f]{6,}|\*\*\* SIG\w+ received")
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Row:
    """A trial of a study; `key` is the configuration, `value` its validation accuracy."""

    number: int
    key: str
    state: str
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Epoch:
    """An epoch that a worker has computed."""

    key: str
    epoch: int
    pid: int = 0


def lost(before: Sequence[Row], after: Sequence[Row]) -> list[str]:
    """Finished trials that are no longer there, or not with the same value."""
    now = {row.number: row for row in after}
    finished = [row for row in before if row.state == COMPLETE]
    gone = [row for row in finished if now.get(row.number) != row]
    return _said(gone, f"of {len(finished)} finished trials lost or changed")


def run_again(before: Sequence[Row], epochs_after: Iterable[Epoch]) -> list[str]:
    """Finished trials that were trained again by the rerun."""
    finished = {row.key for row in before if row.state == COMPLETE}
    again = finished & {epoch.key for epoch in epochs_after}
    return _said(again, f"of {len(finished)} finished trials run again")


def repeated(before: Sequence[Row], epochs: Iterable[Epoch], allowed: int = 1) -> list[str]:
    """Trials in flight of which more than the `allowed` epochs were computed twice."""
    finished = {row.key for row in before if row.state == COMPLETE}
    times = Counter((epoch.key, epoch.epoch) for epoch in epochs)
    twice = Counter(key for (key, _), count in times.items() if count > 1)
    wasted = [n for key, n in twice.items() if key not in finished and n > allowed]
    return _said(
        wasted, f"in flight did not go on from the last epoch ({sum(wasted)} epochs twice)"
    )


def zombies(after: Iterable[Row]) -> list[str]:
    """Trials that are RUNNING although nothing runs any more."""
    return _said([row for row in after if row.state == RUNNING], "left RUNNING for ever")


def duplicates(after: Iterable[Row]) -> list[str]:
    """Configurations with more than one trial; spaces are such that none is so by chance."""
    times = Counter(row.key for row in after)
    return _said([key for key in times if times[key] > 1], "with a second row in the study")


def wrong_number(after: Sequence[Row], wanted: int) -> list[str]:
    """More or fewer trials than were asked for."""
    return [] if len(after) == wanted else [f"{len(after)} trials instead of {wanted}"]


def too_few_complete(after: Sequence[Row], wanted: int) -> list[str]:
    """Trials that the fault should not have cost."""
    complete = sum(row.state == COMPLETE for row in after)
    return [] if complete >= wanted else [f"{complete} complete instead of {wanted}"]


def not_numbers(after: Iterable[Row]) -> list[str]:
    """Trials that count as COMPLETE with a value that is none."""
    bad = [
        row
        for row in after
        if row.state == COMPLETE and (row.value is None or not math.isfinite(row.value))
    ]
    values = " and ".join(sorted({f"{row.value:g}" for row in bad if row.value is not None}))
    return _said(bad, f"COMPLETE with {values}")


def without_reason(after: Iterable[Row]) -> list[str]:
    """Failed trials of which the study does not say why."""
    bad = [row for row in after if row.state == FAILED and not row.reason]
    return _said(bad, "failed without a reason in the study")


def other_values(after: Iterable[Row], true: dict[str, float]) -> list[str]:
    """Trials with another value than a training without a fault has."""
    complete = [row for row in after if row.state == COMPLETE and row.key in true]
    bad = [row for row in complete if row.value != true[row.key]]
    return _said(bad, f"of {len(complete)} with another value than without the fault")


def raw_traces(output: str) -> list[str]:
    """Python's tracebacks and native stack dumps: how many lines a person has to scroll past."""
    lines = [_PREFIX.sub("", _COLOUR.sub("", line)) for line in output.splitlines()]
    count, inside = 0, False
    for line in lines:
        if _TRACEBACK in line:
            inside = True
        elif inside and line and not line.startswith(" "):
            inside = False
            count += 1  # the line that names the error
        count += inside or bool(_NATIVE.search(line))
    return [f"traceback of {count} lines"] if count else []


def _said(found: Iterable[object], what: str) -> list[str]:
    count = len(list(found))
    return [f"{count} {what}"] if count else []
