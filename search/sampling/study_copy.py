"""A study in memory that follows another one, for a sampler to work on."""

from collections.abc import Iterable, Sequence

import optuna
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


class StudyCopy:
    """What a sampler asks for in vain leaves no trace in the study that is followed."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._storage = InMemoryStorage()
        self.study = optuna.create_study(storage=self._storage, directions=directions)
        self._ids: dict[int, int] = {}  # by the number of a trial there
        self._open: set[int] = set()

    def follow(self, trials: Iterable[FrozenTrial]) -> None:
        """Adds what is new of `trials`, by their numbers, and what is new of those that ran."""
        for trial in trials:
            if trial.number not in self._ids:
                self._add(trial)
            elif trial.number in self._open:
                self._update(trial)

    def _add(self, trial: FrozenTrial) -> None:
        added = self._storage.create_new_trial(self.study._study_id, template_trial=trial)
        self._ids[trial.number] = added
        if not trial.state.is_finished():
            self._open.add(trial.number)

    def _update(self, trial: FrozenTrial) -> None:
        own = self._ids[trial.number]
        known = self._storage.get_trial(own)
        for step, value in trial.intermediate_values.items():
            if known.intermediate_values.get(step) != value:
                self._storage.set_trial_intermediate_value(own, step, value)
        for key, value in trial.user_attrs.items():
            if known.user_attrs.get(key) != value:
                self._storage.set_trial_user_attr(own, key, value)
        for key, value in trial.system_attrs.items():
            if known.system_attrs.get(key) != value:
                self._storage.set_trial_system_attr(own, key, value)
        if trial.state.is_finished():
            values = trial.values if trial.state is TrialState.COMPLETE else None
            self._storage.set_trial_state_values(own, trial.state, values)
            self._open.discard(trial.number)
