"""The ledger: the Optuna study that is the one record of what was tried. Its only writer is here.

A trial is entered in one write, with its architecture and its costs, before anything is trained.
"""

import contextlib
import dataclasses
import json
import logging
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from models.architecture import Architecture
from models.cost import Cost
from models.errors import InputError, StorageError
from search.trial import Role, State, Trial
from trainers.messages import EpochResult, Failed, Latency, Measured, Worker

DATABASE = "study.db"
CONSTRAINTS = "constraints"  # the system attribute the dashboard reads feasibility from

optuna.logging.set_verbosity(optuna.logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)


@dataclasses.dataclass(frozen=True)
class Proposal:
    """An architecture to try, its name if the space file lists it, and how the sampler came by it.

    `parameters` is empty for one that the sampler could not have chosen, such as a control;
    `system_attributes` are what the sampler wants to find again, such as NSGA-II's generation.
    """

    architecture: Architecture
    role: Role = Role.CANDIDATE
    name: str = ""
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    distributions: Mapping[str, BaseDistribution] = dataclasses.field(default_factory=dict)
    system_attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Budgets:
    """Hard limits; None for no limit."""

    max_params: float | None = None
    max_latency_ms: float | None = None

    def exceeded(self, params: float, latency_ms: float | None) -> dict[str, float]:
        """Each budget that is exceeded, with value ÷ budget; an unknown latency exceeds none."""
        pairs = {
            "max_params": (params, self.max_params),
            "max_latency_ms": (latency_ms, self.max_latency_ms),
        }
        ratios = {name: v / b for name, (v, b) in pairs.items() if v is not None and b is not None}
        return {name: ratio for name, ratio in ratios.items() if ratio > 1}


class Ledger:
    """A study with its trials, kept in `study.db` of a run's folder."""

    def __init__(self, study: optuna.Study, storage: optuna.storages.BaseStorage) -> None:
        self.study = study
        self._storage = storage
        attributes = study.user_attrs
        self.objectives: tuple[str, ...] = tuple(attributes["objectives"])
        self.space: dict[str, Any] = attributes["space"]
        budgets = self.space["objectives"]
        self.budgets = Budgets(budgets["max_params"], budgets["max_latency_ms"])

    @classmethod
    def open(cls, folder: Path, objectives: Sequence[str], space: Mapping[str, Any]) -> Self:
        """The study in `folder`, begun if there is none.

        `space` is `SpaceFile.fingerprint`: what all trials of a study must share. Raises
        InputError for a study of another space and StorageError for a file that is no study.
        """
        path = folder / DATABASE
        if path.exists():
            ledger = cls.read(folder)
            if ledger.space == space:
                return ledger
            if ledger.trials():
                raise InputError(_other_space(folder, ledger.space, space))
            path.unlink()  # a study without a trial holds nothing to lose
        unfinished = path.with_suffix(".begun")
        unfinished.unlink(missing_ok=True)
        with _storage_errors(path):
            storage = _sqlite(unfinished)
            costs = len(objectives) - 1
            directions = [StudyDirection.MAXIMIZE] + [StudyDirection.MINIMIZE] * costs
            study = optuna.create_study(
                storage=storage, study_name=folder.name, directions=directions
            )
            with warnings.catch_warnings():
                # Metric names are "experimental"; the dashboard shows them.
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names(list(objectives))
            study.set_user_attr("objectives", list(objectives))
            study.set_user_attr("space", dict(space))
            storage.remove_session()
            unfinished.rename(path)  # whatever kills the program: a study is whole or not there
        return cls.read(folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The study in `folder`. Raises InputError where there is none, StorageError for others."""
        path = folder / DATABASE
        if not path.exists():
            raise InputError(f"{folder}: there is no study here ({DATABASE} is missing)")
        with _storage_errors(path):
            _refuse_foreign(path)
            storage = _sqlite(path)
            study = optuna.load_study(study_name=None, storage=storage)
            return cls(study, storage)

    def note(self, key: str, value: object) -> None:
        """Writes a fact about the whole study, such as its data and its machine."""
        with _storage_errors():
            self.study.set_user_attr(key, value)

    def facts(self, key: str) -> Any:
        """What `note` wrote; None where nothing was."""
        return self.study.user_attrs.get(key)

    def trials(self) -> list[Trial]:
        """All trials by number."""
        with _storage_errors():
            frozen = self.study.get_trials(deepcopy=False)
        return [
            _read(trial, self.budgets) for trial in frozen if "architecture" in trial.user_attrs
        ]

    def trial(self, number: int) -> Trial:
        """One trial."""
        return _read(self.frozen(number), self.budgets)

    def frozen(self, number: int) -> FrozenTrial:
        """The trial as Optuna holds it."""
        return self._storage.get_trial(self._trial_id(number))

    def begin(self, proposal: Proposal, cost: Cost) -> int:
        """Enters a trial, RUNNING or, over a budget that is already known, INFEASIBLE.

        The baseline and the controls are trained whatever they cost. Returns the trial's number.
        """
        over = self.budgets.exceeded(cost.params, None)
        refused = bool(over) and proposal.role is Role.CANDIDATE
        attributes = _attributes(proposal, cost)
        if refused:
            attributes |= {"outcome": State.INFEASIBLE.value, "reason": _over_budget(over)}
        trial = optuna.trial.create_trial(
            state=TrialState.PRUNED if refused else TrialState.RUNNING,
            params=dict(proposal.parameters),
            distributions=dict(proposal.distributions),
            user_attrs=attributes,
            system_attrs={
                **proposal.system_attributes,
                CONSTRAINTS: self._constraints(cost.params, None),
            },
        )
        with _storage_errors():
            self.study.add_trial(trial)
            return len(self.study.get_trials(deepcopy=False)) - 1

    def restart(self, number: int) -> None:
        """Forgets what an interrupted trial had reached; it is trained again from the start."""
        self._set(number, "curve", [])

    def measured(self, number: int, measured: Measured) -> None:
        """Records latency and worker of a trial that is about to be trained."""
        self._set(number, "latency_ms", measured.latency.median_ms)
        self._set(number, "latency", dataclasses.asdict(measured.latency))
        self._set(number, "worker", dataclasses.asdict(measured.worker))
        params = self.frozen(number).user_attrs["params"]
        constraints = self._constraints(params, measured.latency.median_ms)
        with _storage_errors():
            self._storage.set_trial_system_attr(self._trial_id(number), CONSTRAINTS, constraints)

    def epoch(self, number: int, curve: Sequence[EpochResult]) -> None:
        """Records the learning curve so far."""
        self._set(number, "curve", [dataclasses.asdict(epoch) for epoch in curve])

    def complete(self, number: int) -> None:
        """Ends a trial that was trained for all its epochs."""
        trial = self.trial(number)
        values = [trial.objective(name) for name in self.objectives]
        with _storage_errors():
            self.study.tell(number, [v for v in values if v is not None], TrialState.COMPLETE)

    def stop(self, number: int, reason: str) -> None:
        """Ends a trial whose training was given up."""
        self._end(number, State.STOPPED, reason, TrialState.PRUNED)

    def infeasible(self, number: int, over: Mapping[str, float]) -> None:
        """Ends a trial that turned out to exceed a budget, before it was trained."""
        self._end(number, State.INFEASIBLE, _over_budget(over), TrialState.PRUNED)

    def fail(self, number: int, failed: Failed) -> None:
        """Ends a trial that went wrong."""
        if failed.details:
            self._set(number, "traceback", failed.details)
        self._end(number, State.FAILED, failed.reason, TrialState.FAIL)

    def _end(self, number: int, outcome: State, reason: str, state: TrialState) -> None:
        self._set(number, "outcome", outcome.value)
        self._set(number, "reason", reason)
        with _storage_errors():
            self.study.tell(number, state=state)

    def _set(self, number: int, key: str, value: object) -> None:
        with _storage_errors():
            self._storage.set_trial_user_attr(self._trial_id(number), key, value)

    def _trial_id(self, number: int) -> int:
        with _storage_errors():
            return self._storage.get_trial_id_from_study_id_trial_number(
                self.study._study_id, number
            )

    def _constraints(self, params: float, latency_ms: float | None) -> list[float]:
        over = self.budgets.exceeded(params, latency_ms)
        limits = {
            "max_params": self.budgets.max_params,
            "max_latency_ms": self.budgets.max_latency_ms,
        }
        return [over.get(name, 1.0) - 1.0 for name, limit in limits.items() if limit is not None]


def _attributes(proposal: Proposal, cost: Cost) -> dict[str, Any]:
    architecture = proposal.architecture
    return {
        "role": proposal.role.value,
        "name": proposal.name,
        "architecture": json.loads(architecture.to_json()),
        "architecture_id": architecture.architecture_id,
        "placements": architecture.describe(),
        "params": cost.params,
        "summary_params": cost.summary_params,
        "macs": cost.macs,
    }


def _over_budget(over: Mapping[str, float]) -> str:
    return "; ".join(f"{ratio:.2f} times {name}" for name, ratio in over.items())


def _read(frozen: FrozenTrial, budgets: Budgets) -> Trial:
    try:
        return _read_attributes(frozen, budgets)
    except (KeyError, TypeError, ValueError) as error:
        message = f"trial {frozen.number} of the study was not written by this program"
        raise StorageError(f"{message}: {type(error).__name__}: {error}") from error


def _read_attributes(frozen: FrozenTrial, budgets: Budgets) -> Trial:
    attributes = frozen.user_attrs
    latency = attributes.get("latency")
    worker = attributes.get("worker")
    trial = Trial(
        number=frozen.number,
        state=_state(frozen),
        role=Role(attributes["role"]),
        name=attributes.get("name", ""),
        architecture=Architecture.from_json(json.dumps(attributes["architecture"])),
        params=attributes["params"],
        summary_params=attributes["summary_params"],
        macs=attributes["macs"],
        latency=Latency(**latency) if latency else None,
        worker=Worker(**worker) if worker else None,
        curve=tuple(EpochResult(**epoch) for epoch in attributes.get("curve", ())),
        reason=attributes.get("reason", ""),
        over_budget=(),
    )
    over = budgets.exceeded(trial.params, trial.latency_ms)
    return dataclasses.replace(trial, over_budget=tuple(over.items()))


def _state(frozen: FrozenTrial) -> State:
    if frozen.state is TrialState.COMPLETE:
        return State.COMPLETE
    if frozen.state.is_finished():
        return State(frozen.user_attrs.get("outcome", State.FAILED.value))
    return State.RUNNING


def _refuse_foreign(path: Path) -> None:
    """Raises ValueError for a database without studies, which Optuna would write its tables into.

    `mode=rw` never makes a file, and rolls back what a killed program left half written.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'studies'"
        if connection.execute(query).fetchone() == (0,):
            raise ValueError("it has no table of studies")


def _sqlite(path: Path) -> optuna.storages.BaseStorage:
    """SQLite that waits 30 s for another process's lock before it gives up."""
    options = {"connect_args": {"timeout": 30}}
    return optuna.storages.get_storage(
        optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=options)
    )


@contextlib.contextmanager
def _storage_errors(path: Path | None = None) -> Iterator[None]:
    """Turns what the database says into StorageError; `path` where it is being opened."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ or error
        what = f"{path} cannot be used as a study" if path else "the study cannot be written"
        message = f"{what}: {cause}; is the disk full or the file damaged or locked?"
        raise StorageError(message) from error
    except (ValueError, KeyError) as error:
        if path is None:
            raise
        raise StorageError(f"{path} holds no study of this program: {error}") from error


def _other_space(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    before, after = _flat(old), _flat(new)
    changed = sorted(
        key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    )
    shown = ", ".join(f"{key} {before.get(key)!r} → {after.get(key)!r}" for key in changed[:5])
    return (
        f"{folder} holds a study of another space ({shown}). Its trials cannot be compared with "
        "new ones: give the new study its own name (--study NAME), or begin anew (--fresh)"
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{prefix}{key}"
        flat |= _flat(inner, f"{name}.") if isinstance(inner, Mapping) else {name: inner}
    return flat
