"""Optuna samplers that choose a candidate whole, and give its parameters one by one."""

import abc
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Generic

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.sampling.domain import Candidate, Domain
from search.sampling.pool import first_allowed

EXHAUSTED = "the space holds no other architecture"
OVER_BUDGET = "no other architecture within the budgets was found"


class NothingLeftError(Exception):
    """There is no candidate to propose; the message says why."""


class NothingNowError(NothingLeftError):
    """There is none as things stand; what is still running may change that."""


def nothing_left(domain: Domain[Candidate], held: Collection[Candidate]) -> NothingLeftError:
    """Why there is nothing to propose beside what is `held`."""
    of_domain = sum(bool(domain.parameters(candidate)[0]) for candidate in held)
    if of_domain < domain.size:
        return NothingNowError(OVER_BUDGET)
    return NothingLeftError(EXHAUSTED)


class WholeSampler(BaseSampler, abc.ABC, Generic[Candidate]):
    """Proposes candidates of `domain`; parameters that these do not have are drawn at random."""

    def __init__(self, domain: Domain[Candidate], seed: int) -> None:
        self.domain = domain
        self._other = RandomSampler(seed)
        self.expected_gain: float | None = None
        """What the last candidate should add to the front's hypervolume, as a part of it."""

    @abc.abstractmethod
    def next_candidate(self, study: Study, trial: FrozenTrial) -> Candidate:
        """The candidate for `trial`, new to `study`. Raises NothingLeftError."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All parameters of the domain."""
        return dict(self.domain.distributions())

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the next candidate."""
        values, _ = self.domain.parameters(self.next_candidate(study, trial))
        return dict(values)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A parameter that no candidate of the domain has."""
        return self._other.sample_independent(study, trial, param_name, param_distribution)

    def others(self, study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
        """What the study holds beside `trial`; not to be changed."""
        return [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]

    def held(self, others: Iterable[FrozenTrial]) -> dict[Candidate, None]:
        """The candidates of `others`, whatever became of them."""
        recalled = (self.domain.recall(other) for other in others)
        return dict.fromkeys(candidate for candidate in recalled if candidate is not None)


class GridSampler(WholeSampler[Candidate]):
    """Proposes the candidates of a domain one after the other, as `Domain.every` lists them."""

    def next_candidate(self, study: Study, trial: FrozenTrial) -> Candidate:
        """The first that the study does not hold and that may be within every budget."""
        held = self.held(self.others(study, trial))
        found = first_allowed(self.domain, held)
        if found is None:
            raise nothing_left(self.domain, held)
        return found
