"""An Optuna study with one writer: read once, then kept in memory, every write passed on at once.

Optuna reads a trial back from its storage whenever it is asked for one, with several queries each;
a driver asks a dozen times for each trial.
"""

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from models.errors import StorageError, StudyBusyError
from search.database import Patience, storage_errors
from search.replay import Replay
from search.unrecorded import FILE, Unrecorded

ID = "id"  # a study's attribute, drawn when it is made

Value = TypeVar("Value")


class Records:
    """The trials and the facts of a study; nobody else may write to it meanwhile.

    A storage that does not answer is tried again with `patience`. Then every
    method raises StorageError; memory holds what the storage held before, and `unrecorded` what is
    written by whoever opens the study next, by `record_kept`.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: optuna.storages.BaseStorage,
        unrecorded: Unrecorded | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._study_id, self._storage = study._study_id, storage
        self._unrecorded = unrecorded or Unrecorded(None)
        self.patience = patience or Patience()
        with storage_errors():
            self.facts: dict[str, Any] = dict(study.user_attrs)
            self.trials: list[FrozenTrial] = storage.get_all_trials(self._study_id)

    def note(self, key: str, value: Any) -> None:
        """Writes a fact about the whole study."""
        self._written(lambda: self._storage.set_study_user_attr(self._study_id, key, value))
        self.facts[key] = value

    def add(self, trial: FrozenTrial) -> int:
        """Adds a trial in one write; its number."""
        attempts = itertools.count(1)
        trial._trial_id, trial.number = self._written(lambda: self._added(trial, next(attempts)))
        self.trials.append(trial)
        return trial.number

    def set(self, number: int, key: str, value: Any) -> None:
        """Writes an attribute of a trial that has not ended."""
        trial, storage = self.trials[number], self._storage
        self._written(
            lambda: storage.set_trial_user_attr(trial._trial_id, key, value),
            {"trial": number, "set": key, "value": value},
        )
        trial.user_attrs[key] = value

    def set_system(self, number: int, key: str, value: Any) -> None:
        """Writes one of the attributes that Optuna's own tools read."""
        trial, storage = self.trials[number], self._storage
        self._written(lambda: storage.set_trial_system_attr(trial._trial_id, key, value))
        trial.system_attrs[key] = value

    def show(self, write: Callable[[optuna.storages.BaseStorage, int], None]) -> None:
        """Has `write` add, to the storage and the study's id, what only Optuna's tools read."""
        self._written(lambda: write(self._storage, self._study_id))

    def shown(self) -> dict[str, Any]:
        """The attributes of the study that Optuna's tools read, as the storage holds them."""
        return self._written(lambda: self._storage.get_study_system_attrs(self._study_id))

    def end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        """Ends a trial, with the values of its objectives if it is complete."""
        trial = self.trials[number]
        self._written(
            lambda: self._ended(trial, state, values),
            {"trial": number, "end": state.name, "values": values},
        )
        trial.datetime_complete = datetime.now()
        trial.state, trial.values = state, list(values) if values is not None else None

    def record_kept(self) -> None:
        """Writes what the storage did not take the last time, once all of it is checked.

        Raises StorageError, before anything is written, where it is not what this program kept.
        """
        replay = Replay(self._unrecorded, self.facts.get(ID), self.trials, self.facts["objectives"])
        for number in replay.overtaken:
            self.patience.say(
                f"trial {number} has ended since; what {FILE} holds of it is not used"
            )
        for write in replay.missing:
            if write.end is None:
                self.set(write.trial, write.key, write.value)
            else:
                self.end(write.trial, write.end, write.value)
        self._unrecorded.forget()

    def _written(self, step: Callable[[], Value], write: dict[str, Any] | None = None) -> Value:
        """What `step` gives, tried with patience; `write` says the same to the next start."""
        try:
            with storage_errors():
                return self.patience(step)
        except UpdateFinishedTrialError as error:
            raise StudyBusyError(
                "another driver has written to this study meanwhile; let one of them go on alone, "
                "with the same command"
            ) from error
        except StorageError:
            if write is not None:
                self._unrecorded.keep({"study": self.facts.get(ID)} | write)
            raise

    def _added(self, trial: FrozenTrial, attempt: int) -> tuple[int, int]:
        """Id and number of the trial; of the one that an earlier attempt added, if it did."""
        if attempt > 1:
            there = self._storage.get_all_trials(self._study_id, deepcopy=False)
            if len(there) > len(self.trials):
                return there[-1]._trial_id, there[-1].number
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=trial)
        return trial_id, self._storage.get_trial_number_from_id(trial_id)

    def _ended(self, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        try:
            self._storage.set_trial_state_values(trial._trial_id, state, values)
        except UpdateFinishedTrialError:  # by an earlier attempt
            if self._storage.get_trial(trial._trial_id).state is not state:
                raise
