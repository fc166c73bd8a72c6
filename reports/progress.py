"""How far a search is: counts, what runs, what ended last, and when it may be done."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from search.front import front
from search.trial import State, Trial

LAST_ENDED = 5


@dataclass(frozen=True)
class ViewSettings:
    """What a view needs to know of a search beforehand.

    `trials` is how many are to be trained in all; `objectives` as a ledger has them,
    `val_accuracy` among them; `clock` gives seconds.
    """

    study: str
    trials: int
    workers: int
    objectives: tuple[str, ...]
    clock: Callable[[], float] = field(default=time.monotonic)


class Progress:
    """What a watcher has heard so far."""

    def __init__(self, settings: ViewSettings) -> None:
        self.settings = settings
        self.running: dict[int, Trial] = {}
        self.last: deque[Trial] = deque(maxlen=LAST_ENDED)
        self._ended: dict[int, Trial] = {}
        self._began_at: dict[int, float] = {}
        self._wall_seconds: list[float] = []  # of each trial that was trained and ended here
        self._start = settings.clock()

    def known(self, trials: Iterable[Trial]) -> None:
        """Trials that had ended before this run: they count, but tell nothing about its pace."""
        self._ended |= {t.number: t for t in trials if t.state is not State.RUNNING}

    def began(self, trial: Trial) -> None:
        """A trial was handed to a worker."""
        self.running[trial.number] = trial
        self._began_at[trial.number] = self.settings.clock()

    def advanced(self, trial: Trial) -> None:
        """A running trial has news."""
        self.running[trial.number] = trial

    def ended(self, trial: Trial) -> None:
        """A trial ended, perhaps without ever having begun."""
        self.running.pop(trial.number, None)
        began_at = self._began_at.pop(trial.number, None)
        self._ended[trial.number] = trial
        self.last.append(trial)
        if began_at is not None and trial.counts:
            self._wall_seconds.append(self.settings.clock() - began_at)

    @property
    def counts(self) -> Counter[State]:
        """Trials by state."""
        counts = Counter(trial.state for trial in self._ended.values())
        counts[State.RUNNING] = len(self.running)
        return counts

    @property
    def trained(self) -> int:
        """How many of `settings.trials` have ended."""
        return sum(trial.counts for trial in self._ended.values())

    @property
    def front(self) -> list[Trial]:
        """The front so far."""
        return front(self._ended.values(), self.settings.objectives)

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since this view began."""
        return self.settings.clock() - self._start

    @property
    def remaining_seconds(self) -> float | None:
        """Seconds left at the pace so far: mean time of a trial × trials left ÷ workers.

        What the running trials have behind them is taken off. None before the first has ended, and
        while a training from scratch runs, as these take longer than those that count.
        """
        if not self._wall_seconds or not all(t.role.contends for t in self.running.values()):
            return None
        mean = sum(self._wall_seconds) / len(self._wall_seconds)
        now = self.settings.clock()
        behind = sum(min(mean, now - began_at) for began_at in self._began_at.values())
        left = max(self.settings.trials - self.trained, len(self.running))
        return max(0.0, mean * left - behind) / max(1, self.settings.workers)
