"""What to try next: an Optuna sampler's proposal, or its nearest neighbour that is new.

The sampler works on a copy of the study in memory, so that what it proposes in vain leaves no trace
in the ledger.
"""

import math
import warnings
from collections.abc import Container, Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from search.candidates import choose, every_architecture
from search.ledger import Ledger, Proposal
from search.neighbour import Neighbour
from search.space import Space
from search.space_file import SearchConfig

ASKED = {"tpe": 1}  # times the sampler is asked for something new; TPE takes its time
ASKED_ELSE = 10
NEIGHBOURS = 60  # drawn before the space is gone through from its beginning
# Trials that TPE is shown, and the rows they may grow to with what it proposed in vain: each of
# its proposals takes time by their number.
MOST_SEEN, MOST_ROWS = 100, 200


class Proposer:
    """Proposes new architectures of a space; one object serves one run of the driver."""

    def __init__(self, space: Space, ledger: Ledger) -> None:
        self._space, self._ledger = space, ledger
        search = space.file.search
        seed = search.seed + len(ledger.trials())  # a resumed search does not repeat its draws
        self._sampler = _sampler(search, space.trials, seed)
        self._asked = ASKED.get(search.sampler, ASKED_ELSE)
        self._most_rows = MOST_ROWS if search.sampler == "tpe" else math.inf
        self._rng = np.random.default_rng(seed)
        self._study: optuna.Study | None = None
        self._copied: set[int] = set()

    def propose(self, held: Container[str]) -> Proposal | None:
        """An architecture whose id is not in `held`; None when the space holds no other."""
        if not self._space.slots:
            return None  # nothing is sampled where there are only listed candidates
        study = self._shown()
        for _ in range(self._asked):
            proposal = self._ask(study)
            if proposal.architecture.architecture_id not in held:
                return proposal
        return self._near(proposal, held) or self._first(held)

    def _ask(self, study: optuna.Study) -> Proposal:
        trial = study.ask()
        architecture = choose(self._space, trial)
        frozen = trial.storage.get_trial(trial._trial_id)
        study.tell(trial, state=TrialState.FAIL)  # samplers pass over failed trials
        return Proposal(
            architecture,
            parameters=frozen.params,
            distributions=frozen.distributions,
            system_attributes={
                key: value
                for key, value in frozen.system_attrs.items()
                if not key.startswith("tpe:")  # what it chose, which `parameters` are
            },
        )

    def _near(self, proposal: Proposal, held: Container[str]) -> Proposal | None:
        """A new architecture that differs from `proposal` in as few parameters as need be."""
        for draw in range(NEIGHBOURS):
            changes = 1 + draw * (len(proposal.parameters) + 1) // NEIGHBOURS
            neighbour = Neighbour(proposal.parameters, changes, self._rng)
            architecture = choose(self._space, neighbour)
            if architecture.architecture_id not in held:
                return Proposal(
                    architecture,
                    parameters=neighbour.params,
                    distributions=neighbour.distributions,
                    system_attributes=proposal.system_attributes,
                )
        return None

    def _first(self, held: Container[str]) -> Proposal | None:
        """The first of all architectures that is new."""
        for architecture in every_architecture(self._space):
            if architecture.architecture_id not in held:
                return Proposal(architecture)
        return None

    def _shown(self) -> optuna.Study:
        """What the sampler is shown: a copy of the ended trials, made anew when it has grown much.

        Not of the trials that it could not have chosen: it would learn nothing from the baseline,
        which is always on the front, but that half of what is good has no parameters.
        """
        ended = {
            trial.number: trial
            for trial in self._ledger.frozen_trials
            if trial.params and trial.state.is_finished()
        }
        if self._study is None or len(self._study.get_trials(deepcopy=False)) > self._most_rows:
            self._study = optuna.create_study(
                directions=self._ledger.study.directions, sampler=self._sampler
            )
            self._copied = ended.keys() - _telling(list(ended.values()), self._study, MOST_SEEN)
        for number in sorted(ended.keys() - self._copied):
            self._study.add_trial(_light(ended[number]))
        self._copied = set(ended)
        return self._study


def _light(trial: FrozenTrial) -> FrozenTrial:
    """The trial without what only people read: Optuna copies all there is, again and again."""
    return optuna.trial.create_trial(
        state=trial.state,
        values=trial.values,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
    )


def _telling(trials: Sequence[FrozenTrial], study: optuna.Study, most: int) -> set[int]:
    """The numbers of at most so many of `trials`: those on the front, then the latest."""
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    best = optuna.study._multi_objective._get_pareto_front_trials_by_trials(
        complete, study.directions
    )
    front = [trial.number for trial in best[-most:]]
    others = [trial.number for trial in trials if trial.number not in set(front)]
    left = most - len(front)
    return {*front, *(others[-left:] if left else ())}


def _sampler(search: SearchConfig, trials: int, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler, set for how many trials there will be.

    Optuna's defaults, 10 random trials for TPE and generations of 50 for NSGA-II, would make most
    searches of this size random ones.
    """
    if search.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    if search.sampler == "nsga2":
        population = min(50, max(4, trials // 4))
        return optuna.samplers.NSGAIISampler(population_size=population, seed=seed)
    startup = min(10, max(3, trials // 4))
    with warnings.catch_warnings():
        # `group` splits a conditional space into its unconditional parts; it is "experimental".
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            n_startup_trials=startup, seed=seed, multivariate=True, group=True
        )
