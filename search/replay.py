"""Writes that a storage did not take, tried on copies of its trials before any is made good."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from search.stored_trial import JUDGED, MICRO_BATCHES, read_trial, refuse_unfinished
from search.trial import State
from search.unrecorded import Unrecorded, Write

READ = {"curve", "latency", "latency_ms", "reason", "worker", JUDGED, MICRO_BATCHES}
"""Attributes that `read_trial` looks at."""

OUTCOMES = {
    TrialState.PRUNED: {State.COMPLETE, State.STOPPED, State.INFEASIBLE},
    TrialState.FAIL: {State.FAILED},
}


class Replay:
    """The writes of `unrecorded` that `trials` lack.

    `study`: the id of their study. Raises StorageError if any of them is none that this program can
    have wanted to make. What the trials hold already is left out; a trial that has ended stays as
    it is.
    """

    def __init__(
        self,
        unrecorded: Unrecorded,
        study: str | None,
        trials: Sequence[FrozenTrial],
        objectives: Sequence[str],
    ) -> None:
        self._trials, self._objectives = trials, objectives
        self._copies: dict[int, FrozenTrial] = {}
        self.missing: list[Write] = []
        writes = unrecorded.kept(study)
        for write in writes:
            with unrecorded.refusing(write.line):
                self._try(write)
        self.overtaken = self._overtaken(writes)
        """Numbers of trials that have ended since, and not as the writes say."""

    def _try(self, write: Write) -> None:
        if write.trial >= len(self._trials):
            raise ValueError(f"there is no trial {write.trial}")
        if write.end is None:
            _refuse_odd(write)
        trial = self._trials[write.trial]
        if trial.state.is_finished():
            return
        trial = self._copies.setdefault(write.trial, copy.deepcopy(trial))
        if _holds(trial, write):
            return
        if trial.state is not TrialState.RUNNING:
            raise ValueError(f"trial {write.trial} does not run")
        self._apply(trial, write)
        self.missing.append(write)

    def _apply(self, trial: FrozenTrial, write: Write) -> None:
        if write.end is None:
            trial.user_attrs[write.key] = write.value
            read_trial(trial, lambda *_: {})
        else:
            _refuse_end(trial, write.end, write.value, self._objectives)
            trial.state, trial.values = write.end, write.value

    def _overtaken(self, writes: Iterable[Write]) -> list[int]:
        ended = [each for each in writes if self._trials[each.trial].state.is_finished()]
        last = {(each.trial, each.key): each for each in ended}.values()
        return sorted({e.trial for e in last if not _holds(self._trials[e.trial], e)})


def _holds(trial: FrozenTrial, write: Write) -> bool:
    """Whether the trial is already what the write makes of it."""
    if write.end is not None:
        return trial.state is write.end and trial.values == write.value
    return write.key in trial.user_attrs and bool(trial.user_attrs[write.key] == write.value)


def _refuse_odd(write: Write) -> None:
    """Raises ValueError for an attribute that is not written to a trial that runs."""
    allowed: dict[str, Any] = {
        "latency_source": write.value in ("predicted", "measured"),
        "outcome": write.value in tuple(set(State) - {State.RUNNING}),
        "traceback": isinstance(write.value, str),
    } | dict.fromkeys(READ, write.value is not None)
    if not allowed.get(write.key, False):
        raise ValueError(f"{write.key!r} is not written, or not so")


def _refuse_end(
    frozen: FrozenTrial, end: TrialState, values: object, objectives: Sequence[str]
) -> None:
    """Raises ValueError where the trial cannot have ended so."""
    if end is not TrialState.COMPLETE:
        outcome = frozen.user_attrs.get("outcome", State.FAILED.value)
        if values is not None or outcome not in OUTCOMES[end]:
            raise ValueError(f"a trial that is {outcome} does not end so")
        return
    refuse_unfinished(read_trial(frozen, lambda *_: {}), values, objectives)
