"""What to try next: an Optuna sampler, asked until it proposes something the study does not hold.

The sampler works on a copy of the study in memory, so what it proposes in vain leaves no trace in
the ledger; the ledger's trials are told to the copy as they end.
"""

import warnings
from collections.abc import Container

import optuna
from optuna.trial import TrialState

from search.candidates import choose, every_architecture
from search.ledger import Ledger, Proposal
from search.space import Space
from search.space_file import SearchConfig

TRIES = 10  # proposals asked of the sampler, and then of chance, before the next way is taken


class Proposer:
    """Proposes new architectures of a space; one object serves one run of the driver."""

    def __init__(self, space: Space, ledger: Ledger) -> None:
        self._space = space
        held = ledger.trials()
        seed = space.file.search.seed + len(held)  # a resumed search does not repeat its draws
        self._study = _empty_study(ledger, _sampler(space.file.search, space.trials, seed))
        self._random = _empty_study(ledger, optuna.samplers.RandomSampler(seed))
        self._numbers: dict[int, int] = {}
        for trial in held:
            self.entered(ledger, trial.number)

    def entered(self, ledger: Ledger, number: int) -> None:
        """Tells the sampler of a trial that was entered in the ledger.

        Not of those it could not have chosen: it would learn nothing from the baseline, which is
        always on the front, but that half of what is good has no parameters.
        """
        frozen = ledger.frozen(number)
        if not frozen.params:
            return
        self._study.add_trial(frozen)
        self._numbers[number] = len(self._study.get_trials(deepcopy=False)) - 1

    def ended(self, ledger: Ledger, number: int) -> None:
        """Tells the sampler how a trial ended."""
        if number not in self._numbers:
            return
        frozen = ledger.frozen(number)
        mirrored = self._numbers[number]
        storage = self._study._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(self._study._study_id, mirrored)
        for key, value in frozen.system_attrs.items():
            storage.set_trial_system_attr(trial_id, key, value)
        values = frozen.values if frozen.state is TrialState.COMPLETE else None
        self._study.tell(mirrored, values, frozen.state)

    def propose(self, held: Container[str]) -> Proposal | None:
        """An architecture whose id is not in `held`; None when the space holds no other."""
        if not self._space.slots:
            return None  # nothing is sampled where there are only listed candidates
        for study in (self._study, self._random):
            for _ in range(TRIES):
                proposal = self._ask(study)
                if proposal.architecture.architecture_id not in held:
                    return proposal
        for architecture in every_architecture(self._space):
            if architecture.architecture_id not in held:
                return Proposal(architecture)
        return None

    def _ask(self, study: optuna.Study) -> Proposal:
        trial = study.ask()
        architecture = choose(self._space, trial)
        frozen = trial.storage.get_trial(trial._trial_id)
        study.tell(trial, state=TrialState.FAIL)  # samplers pass over failed trials
        return Proposal(
            architecture,
            parameters=frozen.params,
            distributions=frozen.distributions,
            system_attributes=frozen.system_attrs,
        )


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


def _empty_study(ledger: Ledger, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    return optuna.create_study(directions=ledger.study.directions, sampler=sampler)
