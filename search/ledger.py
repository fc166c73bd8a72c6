"""The ledger: the Optuna study that is the one record of what was tried. Its only writer is here.

A trial is entered in one write, with its architecture and its costs, before anything is trained.
"""

import dataclasses
import json
import logging
import secrets
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from models.architecture import Architecture
from models.cost import Cost
from models.errors import InputError, StorageError
from models.printable import encodable
from search.budgets import Budgets
from search.database import Patience, Say, storage_errors
from search.other_space import other_space
from search.records import ID, Records
from search.sampling.domain import CONSTRAINTS, COSTS
from search.stored_trial import CANDIDATE, JUDGED, MICRO_BATCHES, read_trial, refuse_unfinished
from search.study_file import StudyFile
from search.study_place import StudyPlace
from search.trial import Role, State, Trial
from search.unrecorded import Unrecorded
from trainers.messages import EpochResult, Failed, Judged, Latency, Start, Worker

REFERENCE = "latency_reference_ms"
START = "start"

optuna.logging.set_verbosity(optuna.logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)


@dataclasses.dataclass(frozen=True)
class Proposal:
    """An architecture to try, its name if the space file lists it, and how the sampler came by it.

    `parameters` is empty for one that the sampler could not have chosen, such as a control;
    `system_attributes` are what the sampler wants to find again, such as NSGA-II's generation.
    `seed` and `of` are those of a finalist's `Trial`.
    """

    architecture: Architecture
    role: Role = Role.CANDIDATE
    name: str = ""
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    distributions: Mapping[str, BaseDistribution] = dataclasses.field(default_factory=dict)
    system_attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seed: int | None = None
    of: int | None = None


class Ledger:
    """A study with its trials."""

    def __init__(
        self,
        study: optuna.Study,
        storage: optuna.storages.BaseStorage,
        unrecorded: Unrecorded | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.study = study
        self._records = Records(study, storage, unrecorded, patience)
        self._light: dict[int, FrozenTrial] = {}
        self.objectives: tuple[str, ...] = tuple(self._records.facts["objectives"])
        self.space: dict[str, Any] = self._records.facts["space"]
        budgets = self.space["objectives"]
        if self.objectives != ("val_accuracy", *budgets["minimize"]):
            raise ValueError(f"its objectives are {self.objectives!r}")
        self.budgets = Budgets(budgets["max_params"], budgets["max_latency_ms"])
        if study.directions != _directions(self.objectives):
            raise ValueError(f"its directions are {study.directions}")
        for number, trial in enumerate(self._records.trials):
            self._refuse_odd(number, trial)

    @classmethod
    def open(
        cls,
        folder: Path,
        objectives: Sequence[str],
        space: Mapping[str, Any],
        place: StudyPlace | None = None,
        patience: Patience | None = None,
    ) -> Self:
        """The study of `folder`, begun if there is none; in `place` if it is not a file there.

        `space` is `SpaceFile.fingerprint`: what all trials of a study must share. Raises
        InputError for a study of another space and StorageError for what is no study.
        """
        place, patience = place or StudyFile(folder), patience or Patience()

        def make(storage: optuna.storages.BaseStorage, name: str) -> None:
            cls.create(storage, name, objectives, space)

        unrecorded = Unrecorded(folder)
        with storage_errors(place):
            if patience(place.exists):
                ledger = cls._loaded(place, patience, unrecorded)
                if ledger.space != space and ledger.trials():
                    raise InputError(other_space(folder, ledger.space, space))
                if ledger.space != space:
                    patience(place.remove)  # a study without a trial holds nothing to lose
            if not patience(place.exists):
                unrecorded.kept(study=None)
                patience(lambda: place.create(make))
                ledger = cls._loaded(place, patience, unrecorded)
        ledger._records.record_kept()
        return ledger

    @classmethod
    def create(
        cls,
        storage: optuna.storages.BaseStorage,
        name: str,
        objectives: Sequence[str],
        space: Mapping[str, Any],
    ) -> Self:
        """A study without trials in a storage that holds none; `space` as in `open`."""
        directions = _directions(objectives)
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        with warnings.catch_warnings():
            # Metric names are "experimental"; the dashboard shows them.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(objectives))
        study.set_user_attr("objectives", list(objectives))
        study.set_user_attr(ID, secrets.token_hex(8))
        study.set_user_attr("space", dict(space))
        return cls(study, storage)

    @classmethod
    def read(cls, folder: Path, place: StudyPlace | None = None) -> Self:
        """The study of `folder`. Raises InputError where there is none, StorageError for others."""
        place, patience = place or StudyFile(folder), Patience()
        with storage_errors(place):
            if not patience(place.exists):
                raise InputError(f"{folder}: there is no study here ({place} is missing)")
            return cls._loaded(place, patience, None)

    @classmethod
    def _loaded(cls, place: StudyPlace, patience: Patience, unrecorded: Unrecorded | None) -> Self:
        return patience(lambda: cls(*place.load(), unrecorded, patience))

    def _refuse_odd(self, number: int, frozen: FrozenTrial) -> None:
        """Raises ValueError for a trial that this program cannot have written."""
        if frozen.number != number:
            raise ValueError(f"trial {frozen.number} stands where trial {number} was")
        try:
            trial = read_trial(frozen, self.budgets.exceeded)
        except StorageError as error:
            raise ValueError(str(error)) from error
        _light(frozen, self.objectives[1:])  # as Optuna checks what a trial can be
        if frozen.state is TrialState.COMPLETE:
            refuse_unfinished(trial, frozen.values, self.objectives)

    def tell(self, say: Say) -> None:
        """Has `say` told when the storage does not answer, else written to stderr."""
        self._records.patience.say = say

    def note(self, key: str, value: object) -> None:
        """Writes a fact about the whole study, such as its data and its machine."""
        self._records.note(key, value)

    def facts(self, key: str) -> Any:
        """What `note` wrote; None where nothing was."""
        return self._records.facts.get(key)

    @property
    def records(self) -> Records:
        """What the ledger is kept in; `search.dashboard` adds to it what people see."""
        return self._records

    @property
    def study_id(self) -> str:
        """What tells this study from all others, also from one of the same name and space."""
        return str(self.facts(ID))

    @property
    def start(self) -> Start | None:
        """The weights that candidates inherit; None where there are none, or none yet."""
        noted = self.facts(START)
        return Start(**noted) if noted else None

    def note_start(self, start: Start) -> None:
        """Records the weights that candidates inherit."""
        self.note(START, dataclasses.asdict(start))

    def trials(self) -> list[Trial]:
        """All trials by number."""
        return [read_trial(trial, self.budgets.exceeded) for trial in self._records.trials]

    def trial(self, number: int) -> Trial:
        """One trial."""
        return read_trial(self.frozen(number), self.budgets.exceeded)

    def for_sampler(self) -> list[FrozenTrial]:
        """The trials that contend, learning curves as Optuna has them, without what people read."""
        roles = {role.value for role in Role if role.contends}
        found = []
        for trial in self._records.trials:
            if trial.user_attrs["role"] in roles:
                light = self._light.get(trial.number)
                if light is None or not light.state.is_finished():
                    light = self._light[trial.number] = _light(trial, self.objectives[1:])
                found.append(light)
        return found

    def frozen(self, number: int) -> FrozenTrial:
        """The trial as Optuna holds it; not to be changed."""
        return self._records.trials[number]

    def begin(
        self, proposal: Proposal, cost: Cost, epochs: int, latency_ms: float | None = None
    ) -> int:
        """Enters a trial, RUNNING or, over a budget that is already known, INFEASIBLE.

        `epochs` are those of its full training; `latency_ms`: what the predictor says, None where
        it says nothing. What candidates are compared with is trained whatever it costs. Returns the
        trial's number.
        """
        over = self.budgets.exceeded(cost.params, latency_ms)
        refused = bool(over) and proposal.role is Role.CANDIDATE
        attributes = _attributes(proposal, cost, epochs)
        if latency_ms is not None:
            attributes |= {"latency_ms": latency_ms, "predicted_ms": latency_ms}
            attributes["latency_source"] = "predicted"  # for the dashboard, which shows values
        if refused:
            predicted = " (predicted)" if "max_latency_ms" in over else ""
            reason = _over_budget(over) + predicted
            attributes |= {"outcome": State.INFEASIBLE.value, "reason": reason}
        constraints = self._constraints(cost.params, latency_ms)
        trial = optuna.trial.create_trial(
            state=TrialState.PRUNED if refused else TrialState.RUNNING,
            params=dict(proposal.parameters),
            distributions=dict(proposal.distributions),
            user_attrs=attributes,
            system_attrs=dict(proposal.system_attributes)
            | ({CONSTRAINTS: constraints} if constraints else {}),
        )
        return self._records.add(trial)

    def restart(self, number: int) -> None:
        """Takes up an interrupted trial; its curve is that of the epochs it can go on from."""
        for key in ("reason", "traceback"):  # of an end that the storage did not take
            if key in self.frozen(number).user_attrs:
                self._records.set(number, key, "")

    def in_micro_batches(self, number: int, parts: int) -> None:
        """Records that batches of a trial are computed in so many parts."""
        self._records.set(number, MICRO_BATCHES, parts)

    def built(self, number: int, worker: Worker) -> None:
        """Records which worker has a trial."""
        self._records.set(number, "worker", dataclasses.asdict(worker))

    def measured(self, number: int, latency: Latency) -> None:
        """Records a trial's latency: its ratio times the study's latency of the plain backbone.

        That one is the first the study measured, so that what else the machine does later, or how
        fast another machine is, does not come between its trials.
        """
        if self.reference_ms is None:
            self.note(REFERENCE, latency.reference_ms)
        latency_ms = latency.ratio * (self.reference_ms or latency.reference_ms)
        self._records.set(number, "latency", dataclasses.asdict(latency))
        self._records.set(number, "latency_ms", latency_ms)
        if "latency_source" in self.frozen(number).user_attrs:
            self._records.set(number, "latency_source", "measured")
        params = self.frozen(number).user_attrs["params"]
        constraints = self._constraints(params, latency_ms)
        if constraints:
            self._records.set_system(number, CONSTRAINTS, constraints)

    @property
    def reference_ms(self) -> float | None:
        """The plain backbone's latency that ratios are multiplied with; None before the first."""
        value: float | None = self.facts(REFERENCE)
        return value

    def epoch(self, number: int, curve: Sequence[EpochResult]) -> None:
        """Records the learning curve so far."""
        self._records.set(number, "curve", [dataclasses.asdict(epoch) for epoch in curve])

    def judged(self, number: int, judged: Judged) -> None:
        """Records what the test split says of a finalist."""
        self._records.set(number, JUDGED, dataclasses.asdict(judged))

    def complete(self, number: int, reason: str = "") -> None:
        """Ends a trial that was trained for all its epochs; `reason`: why something is missing.

        One that does not contend is PRUNED for Optuna, whose front and samplers are not to see it.
        """
        trial = self.trial(number)
        if not trial.role.contends:
            self._end(number, State.COMPLETE, reason, TrialState.PRUNED)
            return
        if reason:
            self._records.set(number, "reason", reason)
        values = [trial.objective(name) for name in self.objectives]
        self._records.end(number, TrialState.COMPLETE, [v for v in values if v is not None])

    def stop(self, number: int, reason: str) -> None:
        """Ends a trial whose training was given up."""
        self._end(number, State.STOPPED, reason, TrialState.PRUNED)

    def infeasible(self, number: int, over: Mapping[str, float]) -> None:
        """Ends a trial that turned out to exceed a budget, before it was trained."""
        self._end(number, State.INFEASIBLE, _over_budget(over), TrialState.PRUNED)

    def fail(self, number: int, failed: Failed) -> None:
        """Ends a trial that went wrong."""
        if failed.details:
            self._records.set(number, "traceback", encodable(failed.details))
        self._end(number, State.FAILED, encodable(failed.reason), TrialState.FAIL)

    def _end(self, number: int, outcome: State, reason: str, state: TrialState) -> None:
        self._records.set(number, "outcome", outcome.value)
        if reason:
            self._records.set(number, "reason", reason)
        self._records.end(number, state)

    def _constraints(self, params: float, latency_ms: float | None) -> list[float]:
        over = self.budgets.exceeded(params, latency_ms)
        limits = {
            "max_params": self.budgets.max_params,
            "max_latency_ms": self.budgets.max_latency_ms,
        }
        return [over.get(name, 1.0) - 1.0 for name, limit in limits.items() if limit is not None]


def _directions(objectives: Sequence[str]) -> list[StudyDirection]:
    return [StudyDirection.MAXIMIZE] + [StudyDirection.MINIMIZE] * (len(objectives) - 1)


def _attributes(proposal: Proposal, cost: Cost, epochs: int) -> dict[str, Any]:
    """What is known of a trial from the start; few keys, since a database takes time for each."""
    architecture = proposal.architecture
    return {
        "role": proposal.role.value,
        "placements": architecture.describe(),
        "params": cost.params,
        "macs": cost.macs,
        CANDIDATE: {
            "name": proposal.name,
            "architecture": json.loads(architecture.to_json()),
            "architecture_id": architecture.architecture_id,
            "summary_params": cost.summary_params,
            "epochs": epochs,
        }
        | ({} if proposal.of is None else {"seed": proposal.seed, "of": proposal.of}),
    }


def _light(trial: FrozenTrial, costs: Sequence[str]) -> FrozenTrial:
    attributes = trial.user_attrs
    curve = attributes.get("curve", ())
    known = {CANDIDATE: attributes[CANDIDATE]}
    measured = "latency" in attributes or "latency_ms" not in costs
    # Between the writes of a latency and of its milliseconds the driver may have been killed.
    if measured and all(name in attributes for name in costs):
        known[COSTS] = [attributes[name] for name in costs]
    light = optuna.trial.create_trial(
        state=trial.state,
        values=trial.values,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=known,
        system_attrs=trial.system_attrs,
        intermediate_values={epoch["epoch"]: epoch["val_accuracy"] for epoch in curve},
    )
    light.number = trial.number
    return light


def _over_budget(over: Mapping[str, float]) -> str:
    return "; ".join(f"{ratio:.2f} times {name}" for name, ratio in over.items())
