"""`PlainView`: a search as plain lines, for pipes and files."""

from collections.abc import Iterable
from typing import Self, TextIO

from models.printable import one_line, printable
from reports.progress import Progress, ViewSettings
from reports.wording import duration, latency, percent, title
from search.trial import State, Trial

_ENDINGS = {
    State.COMPLETE: "done",
    State.STOPPED: "stopped",
    State.INFEASIBLE: "infeasible",
    State.FAILED: "failed",
    State.RUNNING: "running",
}


class PlainView:
    """Prints one line for each event: `[12/24 3 m 10 s] trial 7 epoch 2/5: 41.2 %`."""

    def __init__(self, stream: TextIO, settings: ViewSettings) -> None:
        self._stream, self._settings = stream, settings
        self._progress = Progress(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        return

    def known(self, trials: Iterable[Trial]) -> None:
        """Takes in the trials of an earlier run of this study."""
        self._progress.known(trials)

    def trial_began(self, trial: Trial) -> None:
        """See `Watcher`."""
        self._progress.began(trial)
        self._line(f"trial {trial.number} began: {title(trial)}")

    def trial_advanced(self, trial: Trial) -> None:
        """See `Watcher`."""
        self._progress.advanced(trial)
        done = len(trial.curve)
        if done:
            news = f"epoch {done}/{trial.epochs}: {percent(trial.val_accuracy, 1)}"
        else:
            news = f"latency {latency(trial)}"
        self._line(f"trial {trial.number} {news}")

    def trial_ended(self, trial: Trial) -> None:
        """See `Watcher`."""
        self._progress.ended(trial)
        if trial.state is State.COMPLETE:
            outcome = percent(trial.val_accuracy, 1)
        else:
            outcome = one_line(" ".join(trial.reason.split())) or "no reason given"
        self._line(f"trial {trial.number} {_ENDINGS[trial.state]}: {outcome}")

    def notice(self, text: str) -> None:
        """See `Watcher`."""
        self._line(text)

    def _line(self, text: str) -> None:
        progress = self._progress
        far = f"{progress.trained}/{self._settings.trials}"
        write_line(self._stream, f"[{far} {duration(progress.elapsed_seconds)}] {text}")


def write_line(stream: TextIO, line: str) -> None:
    """Writes a line, whatever the stream can encode."""
    line = printable(line)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()
