"""An Optuna study with one writer: read once, then kept in memory, every write passed on at once.

Optuna reads a trial back from its storage whenever it is asked for one, with several queries each;
a driver asks a dozen times for each trial.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.database import storage_errors


class Records:
    """The trials and the facts of a study; nobody else may write to it meanwhile.

    Every method raises StorageError where the storage cannot be written; memory then holds what
    the storage held before.
    """

    def __init__(self, study: optuna.Study, storage: optuna.storages.BaseStorage) -> None:
        self._study_id, self._storage = study._study_id, storage
        with storage_errors():
            self.facts: dict[str, Any] = dict(study.user_attrs)
            self.trials: list[FrozenTrial] = storage.get_all_trials(self._study_id)

    def note(self, key: str, value: Any) -> None:
        """Writes a fact about the whole study."""
        with storage_errors():
            self._storage.set_study_user_attr(self._study_id, key, value)
        self.facts[key] = value

    def add(self, trial: FrozenTrial) -> int:
        """Adds a trial in one write; its number."""
        with storage_errors():
            trial_id = self._storage.create_new_trial(self._study_id, template_trial=trial)
            trial.number = self._storage.get_trial_number_from_id(trial_id)
        trial._trial_id = trial_id
        self.trials.append(trial)
        return trial.number

    def set(self, number: int, key: str, value: Any) -> None:
        """Writes an attribute of a trial that has not ended."""
        trial = self.trials[number]
        with storage_errors():
            self._storage.set_trial_user_attr(trial._trial_id, key, value)
        trial.user_attrs[key] = value

    def set_system(self, number: int, key: str, value: Any) -> None:
        """Writes one of the attributes that Optuna's own tools read."""
        trial = self.trials[number]
        with storage_errors():
            self._storage.set_trial_system_attr(trial._trial_id, key, value)
        trial.system_attrs[key] = value

    def end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        """Ends a trial, with the values of its objectives if it is complete."""
        trial = self.trials[number]
        with storage_errors():
            self._storage.set_trial_state_values(trial._trial_id, state, values)
        trial.datetime_complete = datetime.now()
        trial.state, trial.values = state, list(values) if values is not None else None
