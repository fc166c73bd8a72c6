"""A search in the terminal: which view suits a stream, and the result at the end."""

from collections.abc import Iterable
from typing import Protocol, Self, TextIO

from rich.console import Console

from reports.live_view import LiveView
from reports.plain_view import PlainView
from reports.progress import ViewSettings
from reports.result import print_result
from search.events import Watcher
from search.trial import Trial

__all__ = ["LiveView", "PlainView", "View", "ViewSettings", "open_view", "print_result"]


class View(Watcher, Protocol):
    """A watcher that is opened with `with` and can be told of an earlier run's trials."""

    def __enter__(self) -> Self:
        """Begins to show."""

    def __exit__(self, *exception: object) -> None:
        """Ends showing; exceptions pass."""

    def known(self, trials: Iterable[Trial]) -> None:
        """Takes in the trials of an earlier run of this study."""


def open_view(stream: TextIO, settings: ViewSettings) -> View:
    """A live view for a terminal, plain lines for everything else.

    A terminal that cannot move its cursor or cannot show Unicode gets plain lines too.
    """
    console = suits_live_view(stream)
    return PlainView(stream, settings) if console is None else LiveView(console, settings)


def suits_live_view(stream: TextIO) -> Console | None:
    """The console of a terminal that can move its cursor and show Unicode; None for all else."""
    if not stream.isatty() or "utf" not in (stream.encoding or "").lower():
        return None
    console = Console(file=stream)
    return None if console.is_dumb_terminal else console
