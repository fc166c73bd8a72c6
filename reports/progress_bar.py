"""A bar for work that is counted beforehand, on terminals."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reports.console import suits_live_view
from trainers.data.facts import Told


@contextmanager
def progress_bar(stream: TextIO, what: str) -> Iterator[Told | None]:
    """What is to be told how many are done of how many; the bar is gone when this ends.

    It is there from the first time on. None where `stream` is no terminal that can show it: then
    lines are better.
    """
    console = suits_live_view(stream)
    if console is None:
        yield None
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task(what, total=None)

    def told(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield told
    finally:
        bar.stop()
