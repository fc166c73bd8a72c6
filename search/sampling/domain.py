"""What a sampler chooses among, whatever it is: placements in a backbone, cells of a table."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

COSTS = "costs"
"""The attribute of a trial that notes its costs, where all were measured."""

CONSTRAINTS = "constraints"
"""Optuna's attribute of a trial: how far each budget is missed, more than 0 where it is."""

ENQUEUED = "fixed_params"
"""Optuna's attribute of a trial: the parameters that `Study.enqueue_trial` was called with."""

CHOSEN = "whole:chosen"
"""The attribute of a trial that notes the parameters which it will be given once it is asked."""

Key = tuple[str, Hashable]
"""A level, such as "type and stage", and which of its features, such as (se, 3)."""

Features = Mapping[Key, float]

Candidate = TypeVar("Candidate", bound=Hashable)
Candidate_contra = TypeVar("Candidate_contra", bound=Hashable, contravariant=True)


class Chooser(Protocol):
    """What chooses the value of a parameter: an `optuna.Trial`, or what answers like one."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A number from `low` to `high`."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`."""


class Described(Protocol[Candidate_contra]):
    """What candidates have in common, beside their costs."""

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels of features, in an order that is always the same."""

    def features(self, candidate: Candidate_contra) -> Features:
        """The features of one; their levels are among `levels`."""


class Domain(Described[Candidate], Protocol[Candidate]):
    """Candidates that are chosen parameter by parameter, and what is known before any training.

    Equal candidates are equal values, however they were chosen. Costs have the order of a study's
    objectives after the first, which is the accuracy.
    """

    @property
    def size(self) -> int:
        """How many candidates there are."""

    def choose(self, chooser: Chooser) -> Candidate:
        """The candidate whose parameters `chooser` chooses."""

    def parameters(
        self, candidate: Candidate
    ) -> tuple[Mapping[str, Any], Mapping[str, BaseDistribution]]:
        """With what values, from which distributions, `choose` gives it; empty if it cannot."""

    def distributions(self) -> Mapping[str, BaseDistribution]:
        """Every parameter that `choose` may ask for."""

    def every(self) -> Iterator[Candidate]:
        """All candidates, in an order that is always the same. There may be very many.

        Such as are known to be over a budget, whatever else is found out, may be left out.
        """

    def recall(self, trial: FrozenTrial) -> Candidate | None:
        """The candidate of `trial`, be it one that `choose` cannot give; None where there is none.

        What no more than the parameters of a trial say, `by_parameters` says.
        """

    def costs(self, candidate: Candidate) -> tuple[float, ...]:
        """What it costs, known or predicted; positive."""

    def allowed(self, candidate: Candidate) -> bool:
        """Whether it may be within every budget."""


def by_parameters(domain: Domain[Candidate], trial: FrozenTrial) -> Candidate | None:
    """The candidate that a trial's parameters give, or None.

    Before it has ended, these are what it has been asked for, was enqueued with, or is to be given.
    """
    values: dict[str, Any] = trial.params
    if not trial.state.is_finished():
        noted = trial.system_attrs
        values = {**noted.get(CHOSEN, {}), **noted.get(ENQUEUED, {}), **values}
    try:
        return domain.choose(_Given(values))
    except KeyError:
        return None


@dataclass(frozen=True)
class _Given:
    """Answers with `values`. Raises KeyError where there is none, or none that is asked for."""

    values: Mapping[str, Any]

    def suggest_int(self, name: str, low: int, high: int) -> int:
        value = int(self.values[name])
        if not low <= value <= high:
            raise KeyError(name)
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self.values[name]
        if value not in choices:
            raise KeyError(name)
        return value
