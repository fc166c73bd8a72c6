"""Optuna samplers that choose a candidate whole, and give its parameters one by one."""

import abc
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Generic

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.sampling.domain import CHOSEN, Candidate, Domain
from search.sampling.pool import first_allowed

EXHAUSTED = "the space holds no other architecture"
OVER_BUDGET = "no other architecture within the budgets was found"
AGAIN = 5  # times a candidate is chosen anew which another process has chosen at the same time
ONE_AT_A_TIME = threading.Lock()


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
    def next_candidate(self, trials: Sequence[FrozenTrial]) -> Candidate:
        """The candidate beside `trials`, and new to them. Raises NothingLeftError."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All parameters of the domain."""
        return dict(self.domain.distributions())

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The parameters of the next candidate, which others that ask from now on know of.

        Raises ValueError for a study of other objectives.
        """
        self.check(study)
        with ONE_AT_A_TIME:
            for _ in range(AGAIN):
                candidate = self.next_candidate(_beside(study, trial))
                values = dict(self.domain.parameters(candidate)[0])
                study._storage.set_trial_system_attr(trial._trial_id, CHOSEN, values)
                if candidate not in self.held(_beside(study, trial)):
                    break
        return values

    def check(self, study: Study) -> None:
        """Raises ValueError where the sampler does not suit the objectives of `study`."""

    def reseed_rng(self) -> None:
        """For parameters that no candidate has; candidates depend on the study and the seed."""
        self._other.reseed_rng()

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A parameter that no candidate of the domain has."""
        return self._other.sample_independent(study, trial, param_name, param_distribution)

    def held(self, trials: Iterable[FrozenTrial]) -> dict[Candidate, None]:
        """The candidates of `trials`, whatever became of them."""
        recalled = (self.domain.recall(trial) for trial in trials)
        return dict.fromkeys(candidate for candidate in recalled if candidate is not None)


class GridSampler(WholeSampler[Candidate]):
    """Proposes the candidates of a domain one after the other, as `Domain.every` lists them."""

    def next_candidate(self, trials: Sequence[FrozenTrial]) -> Candidate:
        """The first that the study does not hold and that may be within every budget."""
        held = self.held(trials)
        found = first_allowed(self.domain, held)
        if found is None:
            raise nothing_left(self.domain, held)
        return found


def _beside(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """What the study holds beside `trial`; not to be changed."""
    return [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
