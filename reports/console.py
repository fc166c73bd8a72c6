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
    if stream.isatty() and "utf" in (stream.encoding or "").lower():
        console = Console(file=stream)
        if not console.is_dumb_terminal:
            return LiveView(console, settings)
    return PlainView(stream, settings)
