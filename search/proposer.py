"""What to try next: an Optuna sampler's proposal, or its nearest neighbour that is new.

Optuna's samplers work on a copy of the study in memory, so that what they propose in vain leaves no
trace in the study itself. The same trials give the same proposal, however often a search was begun.
"""

import copy
import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Generic

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.samplers import KINDS, Kind, make_sampler
from search.sampling.domain import Candidate, Domain
from search.sampling.neighbour import Neighbour
from search.sampling.whole import WholeSampler, nothing_left
from search.space_file import SamplerName

NEIGHBOURS = 60  # drawn before the domain is gone through from its beginning


@dataclasses.dataclass(frozen=True)
class Chosen(Generic[Candidate]):
    """A candidate, and how the sampler came by it; see `search.ledger.Proposal`.

    `expected_gain`: what it should add to the front's hypervolume, as a part of that; None where
    the sampler does not say.
    """

    candidate: Candidate
    parameters: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    system_attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    expected_gain: float | None = None


class Proposer(Generic[Candidate]):
    """Proposes new candidates of `domain` for a study that is to hold `trials` of them."""

    def __init__(
        self,
        domain: Domain[Candidate],
        sampler: SamplerName | Kind,
        directions: Sequence[StudyDirection],
        trials: int,
        seed: int,
    ) -> None:
        self._domain, self._directions = domain, list(directions)
        self._kind = sampler if isinstance(sampler, Kind) else KINDS[sampler]
        self._trials, self._seed = trials, seed
        made = make_sampler(self._kind, domain, trials, seed)
        self._whole = made if isinstance(made, WholeSampler) else None

    def propose(
        self, trials: Sequence[FrozenTrial], held: Collection[Candidate]
    ) -> Chosen[Candidate]:
        """A candidate that is not in `held`; `trials` are those of the study so far.

        Raises NothingLeftError where there is none.
        """
        draw = np.random.SeedSequence([self._seed, len(held)])
        for chosen in self._proposals(trials, int(draw.generate_state(1)[0])):
            if chosen.candidate not in held:
                return chosen
        rng = np.random.default_rng(draw)
        return self._near(chosen, held, rng) or self._first(held)

    def _proposals(self, trials: Sequence[FrozenTrial], seed: int) -> Iterator[Chosen[Candidate]]:
        """What the sampler proposes, at least once and until it is no longer asked."""
        if self._whole is not None:
            candidate = self._whole.next_candidate(trials)
            parameters = self._domain.parameters(candidate)
            yield Chosen(candidate, *parameters, expected_gain=self._whole.expected_gain)
            return
        study = self._copy(trials)
        study.sampler = make_sampler(self._kind, self._domain, self._trials, seed)
        for _ in range(self._kind.asked):
            yield self._ask(study)

    def _ask(self, study: optuna.Study) -> Chosen[Candidate]:
        trial = study.ask()
        candidate = self._domain.choose(trial)
        frozen = trial.storage.get_trial(trial._trial_id)
        study.tell(trial, state=TrialState.FAIL)  # samplers pass over failed trials
        attributes = {
            key: value
            for key, value in frozen.system_attrs.items()
            if not key.startswith("tpe:")  # what it chose, which `parameters` are
        }
        return Chosen(candidate, frozen.params, frozen.distributions, attributes)

    def _near(
        self, chosen: Chosen[Candidate], held: Collection[Candidate], rng: np.random.Generator
    ) -> Chosen[Candidate] | None:
        """A new candidate that differs from `chosen` in as few parameters as need be."""
        for draw in range(NEIGHBOURS):
            changes = 1 + draw * (len(chosen.parameters) + 1) // NEIGHBOURS
            near = Neighbour(chosen.parameters, changes, rng)
            candidate = self._domain.choose(near)
            if candidate not in held:
                return Chosen(candidate, near.params, near.distributions, chosen.system_attributes)
        return None

    def _first(self, held: Collection[Candidate]) -> Chosen[Candidate]:
        """The first of all candidates that is new."""
        for candidate in self._domain.every():
            if candidate not in held:
                return Chosen(candidate, *self._domain.parameters(candidate))
        raise nothing_left(self._domain, held)

    def _copy(self, trials: Sequence[FrozenTrial]) -> optuna.Study:
        """A study of what the sampler is to see; anew, since NSGA-II keeps generations in one."""
        study = optuna.create_study(storage=InMemoryStorage(), directions=self._directions)
        shown = [trial for trial in trials if trial.params and trial.state.is_finished()]
        most = self._kind.most_shown
        for trial in shown if most is None else _telling(shown, study, most):
            bare = _without_curve(trial)
            study._storage.create_new_trial(study._study_id, template_trial=bare)
        return study


def _without_curve(trial: FrozenTrial) -> FrozenTrial:
    """Optuna's samplers take curves for those of studies with one objective."""
    bare = copy.copy(trial)
    bare.intermediate_values = {}
    return bare


def _telling(trials: Sequence[FrozenTrial], study: optuna.Study, most: int) -> list[FrozenTrial]:
    """At most so many of `trials`, sorted by number: those on the front, then the latest."""
    if not 0 < most < len(trials):
        return list(trials[:most])
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    best = optuna.study._multi_objective._get_pareto_front_trials_by_trials(
        complete, study.directions
    )
    front = {trial.number for trial in best}
    ranked = sorted(trials, key=lambda trial: (trial.number in front, trial.number))
    return sorted(ranked[-most:], key=lambda trial: trial.number)
