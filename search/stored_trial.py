"""A trial as a study holds it, read back: its numbers are numbers, whoever wrote them."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from models.architecture import Architecture
from models.errors import StorageError
from search.trial import Role, State, Trial
from trainers.messages import EpochResult, Latency, Worker

CANDIDATE = "candidate"
MICRO_BATCHES = "micro_batches"
LARGEST = 1e18  # of any count or time; larger ones break what is computed with them

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
        params=_count(attributes["params"]),
        summary_params=_count(candidate["summary_params"]),
        macs=_count(attributes["macs"]),
        latency_ms=_known(attributes.get("latency_ms")),
        latency=_latency(latency) if latency else None,
        worker=Worker(**worker) if worker else None,
        curve=tuple(map(_epoch, enumerate(attributes.get("curve", ()), 1))),
        reason=_text(attributes.get("reason", "")),
        over_budget=(),
        epochs=_count(candidate["epochs"]),
        predicted_ms=_known(attributes.get("predicted_ms")),
        micro_batches=_count(attributes.get(MICRO_BATCHES, 1)),
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
        _number(number)
    return latency


def _epoch(numbered: tuple[int, Mapping[str, Any]]) -> EpochResult:
    number, given = numbered
    epoch = EpochResult(**given)
    if epoch.epoch != number or _number(epoch.val_accuracy) > 1:
        raise ValueError(f"no epoch {number} of a learning curve: {given}")
    for time in (epoch.train_seconds, epoch.validation_seconds, epoch.images_per_second):
        _number(time)
    return epoch


def _count(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no count")
    return int(_number(value))


def _known(value: Any) -> float | None:
    return None if value is None else _number(value)


def _number(value: Any) -> float:
    if type(value) not in {int, float} or not 0 <= value <= LARGEST:  # which NaN is not
        raise ValueError(f"{value!r} is no number from 0")
    return value  # type: ignore[no-any-return]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
