"""What a study says of candidates: losses of those that were trained, estimates of others."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from search.sampling.curves import Curves
from search.sampling.domain import CONSTRAINTS, COSTS, Candidate, Domain

LEAST_ERROR = 1e-4  # below which accuracies are not told apart


def loss(accuracy: float) -> float:
    """The logarithm of the error, 1 - `accuracy`: halving an error counts alike everywhere.

    Raises ValueError for what is no fraction of 0 to 1.
    """
    if not 0 <= accuracy <= 1:
        raise ValueError(f"an accuracy is a fraction from 0 to 1, not {accuracy:g}")
    return float(np.log(max(1 - accuracy, LEAST_ERROR)))


def curve_of(trial: FrozenTrial) -> list[float]:
    """The losses epoch by epoch, from the trial's intermediate values."""
    values = trial.intermediate_values
    return [loss(values[epoch]) for epoch in sorted(values)]


@dataclass(frozen=True)
class Observation(Generic[Candidate]):
    """What one trial says.

    `loss`: None where the trial has not come so far. `variance`: of a loss that was estimated from
    the epochs done; 0 for those that were trained to the end. `costs`: as recorded or, where not
    all were measured, as the domain has them. `contends`: whether it is, or may yet be, complete
    and within the budgets.
    """

    candidate: Candidate
    costs: tuple[float, ...]
    loss: float | None = None
    variance: float = 0.0
    contends: bool = True


def observe(
    domain: Domain[Candidate], trials: Iterable[FrozenTrial]
) -> list[Observation[Candidate]]:
    """What `trials` say, in their order, those left out that say nothing: failed, over budget."""
    listed = list(trials)
    curves = Curves([curve_of(t) for t in listed if t.state is TrialState.COMPLETE])
    found = (_observation(domain, trial, curves) for trial in listed)
    return [observation for observation in found if observation is not None]


def _observation(
    domain: Domain[Candidate], trial: FrozenTrial, curves: Curves
) -> Observation[Candidate] | None:
    candidate = domain.recall(trial)
    if candidate is None or trial.state is TrialState.FAIL:
        return None
    costs = tuple(trial.user_attrs.get(COSTS) or domain.costs(candidate))
    if trial.state is TrialState.COMPLETE:
        over = any(missed > 0 for missed in trial.system_attrs.get(CONSTRAINTS, ()))
        return Observation(candidate, costs, loss(trial.values[0]), contends=not over)
    running = not trial.state.is_finished()
    end = curves.expected(curve_of(trial))
    if end is None:
        return Observation(candidate, costs) if running else None
    return Observation(candidate, costs, end.mean, end.variance, running)
