"""What a driver tells those who watch it."""

from typing import Protocol

from search.trial import Trial


class Watcher(Protocol):
    """Shows a search to a person. Methods are called from the driver's thread, in order."""

    def trial_began(self, trial: Trial) -> None:
        """A trial was handed to a worker."""

    def trial_advanced(self, trial: Trial) -> None:
        """A trial was measured or finished an epoch."""

    def trial_ended(self, trial: Trial) -> None:
        """A trial ended in any state."""

    def notice(self, text: str) -> None:
        """Something a person should know."""


class Silent:
    """Shows nothing."""

    def trial_began(self, trial: Trial) -> None:
        """See `Watcher`."""

    def trial_advanced(self, trial: Trial) -> None:
        """See `Watcher`."""

    def trial_ended(self, trial: Trial) -> None:
        """See `Watcher`."""

    def notice(self, text: str) -> None:
        """See `Watcher`."""


class Several:
    """Tells several watchers the same, one after another."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def trial_began(self, trial: Trial) -> None:
        """See `Watcher`."""
        for watcher in self._watchers:
            watcher.trial_began(trial)

    def trial_advanced(self, trial: Trial) -> None:
        """See `Watcher`."""
        for watcher in self._watchers:
            watcher.trial_advanced(trial)

    def trial_ended(self, trial: Trial) -> None:
        """See `Watcher`."""
        for watcher in self._watchers:
            watcher.trial_ended(trial)

    def notice(self, text: str) -> None:
        """See `Watcher`."""
        for watcher in self._watchers:
            watcher.notice(text)
