"""Writes what Optuna's dashboard shows of a study beside its trials: notes, figures, curves.

Nothing of it is read by this program. So it waits until there is time for it: all that is new goes
into one transaction, at most every `LEAST_PAUSE_S`, and what a kill leaves out is written by the
next search.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterable
from typing import Self

from models.errors import ProgramError, StorageError
from models.printable import encodable
from search.dashboard.plots import figures, front_numbers
from search.dashboard.rows import Rows
from search.ledger import Ledger
from search.trial import State, Trial

LEAST_PAUSE_S = 15.0
PAUSE_FACTOR = 50.0  # so many times as long as the last writing took: 2 % of the driver's time
# For every trial the dashboard looks through the notes of all: with 1,000 of them it takes twice as
# long to show a study of 10,000 trials as without.
MOST_NOTES = 500

STUDY_VERSION, STUDY_BODY = "dashboard:note_ver", "dashboard:note_str:0"
TRIAL_VERSION, TRIAL_BODY = "dashboard:{}:note_ver", "dashboard:{}:note_str:0"
FIGURE = "dashboard:plot_data:{}:0"


class Entries:
    """A `Watcher` of a search, which writes through its ledger; use it with `with`.

    A note that is there already is left as it is: it may have been changed by a person.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger, self._clock = ledger, clock
        self._trials = {trial.number: trial for trial in ledger.trials()}
        self._held = ledger.records.shown()
        self._changed = set(self._trials)  # numbers that are to be looked at
        self._next = clock()
        data = ledger.space.get("data")
        self._image_size = data.get("image_size") if isinstance(data, dict) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        """Writes what is left; where the search ended with an error, that one matters more."""
        if error is None:
            self.fill()
        elif not isinstance(error, StorageError):
            with contextlib.suppress(ProgramError):
                self.fill()

    def trial_began(self, trial: Trial) -> None:
        """See `Watcher`."""
        self._trials[trial.number] = trial

    def trial_advanced(self, trial: Trial) -> None:
        """See `Watcher`."""
        self._take(trial)

    def trial_ended(self, trial: Trial) -> None:
        """See `Watcher`."""
        self._take(trial)

    def notice(self, text: str) -> None:
        """See `Watcher`."""

    def fill(self) -> bool:
        """Writes all that is missing, also of studies made before; whether there was anything."""
        began = self._clock()
        rows = self.missing()
        if rows:
            self._ledger.records.show(rows.write)
            self._wrote(rows)
        self._changed.clear()
        now = self._clock()
        self._next = now + max(LEAST_PAUSE_S, PAUSE_FACTOR * (now - began))
        return bool(rows)

    def missing(self) -> Rows:
        """What the study does not hold yet."""
        rows = Rows()
        for number in sorted(self._changed):
            self._add_steps(rows, self._trials[number])
        for trial in self._without_note():
            self._add_note(rows, trial)
        if STUDY_VERSION not in self._held:
            rows.attributes |= {STUDY_BODY: self._study_note(), STUDY_VERSION: 1}
        self._add_figures(rows)
        return rows

    def _take(self, trial: Trial) -> None:
        self._trials[trial.number] = trial
        self._changed.add(trial.number)
        if self._clock() >= self._next:
            self.fill()

    def _add_steps(self, rows: Rows, trial: Trial) -> None:
        frozen = self._ledger.frozen(trial.number)
        held = frozen.intermediate_values
        for epoch in trial.curve:
            if held.get(epoch.epoch) != epoch.val_accuracy:
                rows.steps[frozen._trial_id, epoch.epoch] = epoch.val_accuracy

    def _without_note(self) -> Iterable[Trial]:
        """Those that have ended, as many as there may be notes, and the front."""
        ended = [t for n, t in sorted(self._trials.items()) if t.state is not State.RUNNING]
        wanted = ended[:MOST_NOTES]
        if len(ended) > MOST_NOTES:
            members = front_numbers(ended, self._ledger.objectives)
            wanted += [trial for trial in ended[MOST_NOTES:] if trial.number in members]
        return [t for t in wanted if TRIAL_VERSION.format(self._id(t)) not in self._held]

    def _add_note(self, rows: Rows, trial: Trial) -> None:
        from search.dashboard.notes import trial_note  # noqa: PLC0415  # brings Paddle

        body = encodable(trial_note(trial, self._image_size))
        key = self._id(trial)
        rows.attributes |= {TRIAL_BODY.format(key): body, TRIAL_VERSION.format(key): 1}

    def _study_note(self) -> str:
        from search.dashboard.notes import study_note  # noqa: PLC0415  # brings Paddle

        ledger = self._ledger
        return encodable(study_note(ledger.study.study_name, ledger.objectives, ledger.space))

    def _add_figures(self, rows: Rows) -> None:
        trials = [self._trials[number] for number in sorted(self._trials)]
        for name, figure in figures(trials, self._ledger.objectives).items():
            key, value = FIGURE.format(name), json.dumps(figure, separators=(",", ":"))
            if self._held.get(key) != value:
                rows.attributes[key] = value

    def _wrote(self, rows: Rows) -> None:
        self._held |= rows.attributes
        for number in self._changed:
            frozen = self._ledger.frozen(number)
            curve = self._trials[number].curve
            frozen.intermediate_values.update({e.epoch: e.val_accuracy for e in curve})

    def _id(self, trial: Trial) -> int:
        return self._ledger.frozen(trial.number)._trial_id


def fill(ledger: Ledger) -> bool:
    """Writes what is missing in a study that nobody else writes; whether there was anything."""
    return Entries(ledger).fill()
