"""The sampler that knows costs and buys accuracy: expected hypervolume improvement.

It differs from Optuna's in what it takes for granted: a candidate's costs are known before it is
trained, so only the loss, the logarithm of the error, is uncertain. `docs/search.md` explains it.
"""

from collections.abc import Collection, Sequence

import moocore
import numpy as np
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from search.sampling.belief import Belief
from search.sampling.domain import Candidate, Domain
from search.sampling.encoder import Vocabulary
from search.sampling.growth import last_step
from search.sampling.observations import Observation, observe
from search.sampling.one_thread import one_thread
from search.sampling.pool import Pool
from search.sampling.surrogate import Parameters
from search.sampling.whole import WholeSampler, nothing_left

STARTUP = 6  # trained candidates before the model is asked
REFIT = 1.1  # times as many as at the last fit of the model's parameters, or the last random draw
MOST = 1000  # observations that the model is given: the front and the latest
MOST_FITTED = 300  # of these that its parameters are chosen by


class EHVISampler(WholeSampler[Candidate]):
    """Proposes the candidate that is expected to add most to the front's hypervolume.

    The study's first objective is an accuracy, a fraction to be maximised; all others are costs,
    positive and to be minimised, that the domain knows or predicts. Costs and errors count by their
    logarithms. Trials that are running are taken to turn out as predicted, so that a batch spreads.
    The same trials and seed give the same proposal, whatever was asked before.
    """

    def __init__(self, domain: Domain[Candidate], seed: int, startup: int = STARTUP) -> None:
        super().__init__(domain, seed)
        self._seed, self._startup = seed, max(startup, 2)
        self._pool, self._vocabulary = Pool(domain), Vocabulary(domain)
        self._fitted: tuple[Sequence[Observation[Candidate]], Parameters] | None = None

    def next_candidate(self, trials: Sequence[FrozenTrial]) -> Candidate:
        """See the class. Raises NothingLeftError where nothing new is within the budgets."""
        held = self.held(trials)
        seen = observe(self.domain, trials)
        known = [each for each in seen if each.loss is not None]
        rng = np.random.default_rng([self._seed, len(held)])
        self.expected_gain = None
        if len(known) < self._startup:
            found = self._pool.some(held, 1, rng)
        else:
            with one_thread():
                found = self._best(seen, known, held, rng)
        if not found:
            raise nothing_left(self.domain, held)
        return found[0]

    def check(self, study: Study) -> None:
        """Raises ValueError where the objectives are no accuracy and costs."""
        first, *others = study.directions
        if first != StudyDirection.MAXIMIZE or not others or StudyDirection.MAXIMIZE in others:
            raise ValueError("ehvi is for an accuracy to be maximized and costs to be minimized")

    def _best(
        self,
        seen: Sequence[Observation[Candidate]],
        known: Sequence[Observation[Candidate]],
        held: Collection[Candidate],
        rng: np.random.Generator,
    ) -> list[Candidate]:
        settled = [each for each in known if not each.variance]
        parameters = self._parameters(settled if len(settled) > 1 else known)
        belief = Belief(self.domain, self._vocabulary, _latest(seen), parameters)
        draw = (self._seed, last_step(len(held), self._startup, REFIT), 1)
        start = self._pool.start(held, belief.best, rng, draw)
        if not start:
            return []
        belief.compare_with(start)
        found, gain = self._pool.climb(start, held, belief.best_of, rng)
        self.expected_gain = gain / belief.hypervolume if belief.hypervolume > 0 else None
        return [found]

    def _parameters(self, known: Sequence[Observation[Candidate]]) -> Parameters:
        """The model's parameters, chosen anew whenever there is a tenth more to choose by.

        What was estimated is estimated anew with every epoch, so `known` has none of it if it can.
        """
        many = last_step(len(known), self._startup, REFIT)
        by = known[max(0, many - MOST_FITTED) : many]
        if self._fitted is None or self._fitted[0] != by:
            self._fitted = (by, Belief(self.domain, self._vocabulary, by).parameters)
        return self._fitted[1]


def _latest(seen: Sequence[Observation[Candidate]]) -> list[Observation[Candidate]]:
    """Those on the front, and the latest others."""
    if len(seen) <= MOST:
        return list(seen)
    points = [[np.inf if each.loss is None else each.loss, *each.costs] for each in seen]
    front = np.flatnonzero(moocore.is_nondominated(np.array(points)))
    others = np.setdiff1d(np.arange(len(seen)), front)
    kept = sorted([*front[-MOST:], *others[max(0, len(others) - MOST + len(front)) :]])
    return [seen[i] for i in kept]
