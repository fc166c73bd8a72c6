"""A trial as a study holds it, read back: its numbers are numbers, whoever wrote them."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from models.architecture import Architecture
from models.errors import StorageError
from models.printable import encodable
from search.trial import Role, State, Trial
from trainers.curve import amount, count, finite, read_curve
from trainers.messages import Judged, Latency, Worker

CANDIDATE = "candidate"
MICRO_BATCHES = "micro_batches"
JUDGED = "test"

Exceeded = Callable[[float, float | None], Mapping[str, float]]
"""Which budgets a number of parameters and a latency exceed, and by how much."""


def read_trial(frozen: FrozenTrial, exceeded: Exceeded) -> Trial:
    """The trial. Raises StorageError for one that this program cannot have written."""
    try:
        trial = _read(frozen)
        over = exceeded(trial.params, trial.latency_ms)
        return dataclasses.replace(trial, over_budget=tuple(over.items()))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        message = f"trial {frozen.number} was not written by this program, or by an older version"
        raise StorageError(f"{message}: {type(error).__name__}: {error}") from error


def refuse_unfinished(trial: Trial, values: object, objectives: Sequence[str]) -> None:
    """Raises ValueError unless the trial can have completed with these values of `objectives`."""
    if not trial.role.contends or not trial.has_all_epochs:
        raise ValueError(f"trial {trial.number} is not complete")
    if not isinstance(values, list) or values != [trial.objective(name) for name in objectives]:
        raise ValueError(f"its values are not those of trial {trial.number}")
    for value in values:
        finite(value)


def _read(frozen: FrozenTrial) -> Trial:
    attributes = frozen.user_attrs
    candidate = attributes[CANDIDATE]
    latency, worker = attributes.get("latency"), attributes.get("worker")
    return Trial(
        number=frozen.number,
        state=_state(frozen),
        role=Role(attributes["role"]),
        name=_text(candidate["name"]),
        architecture=Architecture.from_json(json.dumps(candidate["architecture"])),
        params=count(attributes["params"]),
        summary_params=count(candidate["summary_params"]),
        macs=count(attributes["macs"]),
        latency_ms=_known(attributes.get("latency_ms")),
        latency=None if latency is None else _latency(latency),
        worker=None if worker is None else _worker(worker),
        curve=read_curve(attributes.get("curve", ())),
        reason=_text(attributes.get("reason", "")),
        over_budget=(),
        epochs=count(candidate["epochs"]),
        predicted_ms=_known(attributes.get("predicted_ms")),
        micro_batches=_parts(attributes.get(MICRO_BATCHES, 1)),
        seed=_count_or_none(candidate.get("seed")),
        of=_count_or_none(candidate.get("of")),
        judged=_judged(attributes.get(JUDGED)),
    )


def _state(frozen: FrozenTrial) -> State:
    if frozen.state is TrialState.COMPLETE:
        return State.COMPLETE
    if frozen.state.is_finished():
        return State(frozen.user_attrs.get("outcome", State.FAILED.value))
    return State.RUNNING


def _latency(given: Mapping[str, Any]) -> Latency:
    latency = Latency(**given)
    for number in (latency.ratio, latency.median_ms, latency.p90_ms, latency.reference_ms):
        amount(number)
    for each in (latency.rounds, latency.batch, latency.image_size):
        count(each)
    if any(type(share) not in {int, float} for share in (latency.half_width, latency.control)):
        raise TypeError(f"{given!r} is no latency")
    _text(latency.engine)
    _text(latency.clock)
    if type(latency.quiet) is not bool or type(latency.core) not in {int, type(None)}:
        raise TypeError(f"{given!r} is no latency")
    return latency


def _worker(given: Mapping[str, Any]) -> Worker:
    worker = Worker(**given)
    for text in (worker.host, worker.processor, worker.device, worker.paddle, worker.precision):
        _text(text)
    count(worker.process)
    count(worker.threads)
    _text(worker.mkl_debug_cpu_type or "")
    return worker


def _judged(given: Mapping[str, Any] | None) -> Judged | None:
    if given is None:
        return None
    for name in ("accuracy", "loss"):
        amount(given[name])
    count(given["images"])
    return Judged(**given)


def _count_or_none(value: Any) -> int | None:
    return None if value is None else count(value)


def _parts(value: Any) -> int:
    if count(value) < 1:
        raise ValueError(f"{value!r} parts of a batch")
    return int(value)


def _known(value: Any) -> float | None:
    return None if value is None else amount(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    if value != encodable(value):
        raise ValueError(f"{value!r} is no text that a file can hold")
    return value
