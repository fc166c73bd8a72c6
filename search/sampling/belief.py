"""What is believed of a domain's candidates at one moment, and what each is expected to gain."""

from collections.abc import Sequence
from typing import Generic

import moocore
import numpy as np
from numpy.typing import NDArray

from search.sampling.domain import Candidate, Domain
from search.sampling.encoder import Encoder, Vocabulary
from search.sampling.hypervolume_gain import HypervolumeGain
from search.sampling.observations import Observation
from search.sampling.surrogate import Known, Parameters, Surrogate

CLOSELY = 50  # candidates that are looked at together
BEYOND = 0.1  # of what is spanned: the reference lies behind the worst, so that this one counts
LEAST_BEYOND = 1e-9

Array = NDArray[np.float64]


class Belief(Generic[Candidate]):
    """Losses of candidates by what was `seen` of some, at least two of them with a loss.

    `parameters`: of the surrogate; None takes the likeliest. Those that were seen without a
    loss, since they have only begun, are taken to turn out as predicted.
    """

    def __init__(
        self,
        domain: Domain[Candidate],
        vocabulary: Vocabulary[Candidate],
        seen: Sequence[Observation[Candidate]],
        parameters: Parameters | None = None,
    ) -> None:
        self._domain, self._seen = domain, seen
        self._costed: tuple[Sequence[Candidate], Array] = ((), np.zeros(0))
        known = [each for each in seen if each.loss is not None]
        begun = [each for each in seen if each.loss is None]
        costs = np.array([each.costs for each in known])
        candidates = [each.candidate for each in known]
        self._encoder = Encoder(vocabulary, candidates, costs)
        learned = Known(
            self._encoder.rows(candidates, costs),
            np.array([each.loss for each in known]),
            np.array([each.variance for each in known]),
        )
        surrogate = Surrogate(learned, self._encoder.level_of, parameters)
        self.parameters = surrogate.parameters
        self._surrogate = surrogate.believing(self._rows(begun)) if begun else surrogate
        losses, _ = self._surrogate.predict(self._rows(seen))
        self._worst = float(_behind(losses))
        contends = np.array([each.contends for each in seen])
        logs = np.log([each.costs for each in seen])
        self._points = np.column_stack([logs, losses])[contends]
        self._front: HypervolumeGain | None = None

    def compare_with(self, candidates: Sequence[Candidate]) -> None:
        """Sets up to which costs hypervolume counts: past those of `candidates` and of those seen.

        The front is that of the candidates that are trained, or being trained, to their end; their
        losses are those believed, since the best of many noisy ones is better than it should be.
        """
        costs, losses = self._points[:, :-1], self._points[:, -1]
        self._limit = _behind(np.concatenate([np.log(self._costs(candidates)), costs]))
        self._front = HypervolumeGain(costs, losses, (self._limit, self._worst))

    @property
    def hypervolume(self) -> float:
        """Of the front, up to the reference of `compare_with`."""
        return float(moocore.hypervolume(self._points, ref=[*self._limit, self._worst]))

    @property
    def best(self) -> list[Candidate]:
        """The candidates of the front, by falling accuracy."""
        contending = [each.candidate for each in self._seen if each.contends]
        on_it = moocore.is_nondominated(self._points, keep_weakly=True)
        ranked = np.argsort(self._points[:, -1], kind="stable")
        return list(dict.fromkeys(contending[i] for i in ranked if on_it[i]))

    def best_of(self, candidates: Sequence[Candidate], many: int) -> dict[Candidate, float]:
        """Up to `many` that are expected to add most hypervolume to the front, and how much.

        Gains grow with deviations, so most candidates are ruled out by deviations that are at least
        as large as theirs, and few are looked at closely.
        """
        if self._front is None:
            raise RuntimeError("compare_with comes before best_of")
        costs = self._costs(candidates)
        rows, logs = self._encoder.rows(candidates, costs), np.log(costs)
        bounds = self._front.expected(logs, *self._surrogate.at_most(rows))
        order, gains = np.argsort(-bounds, kind="stable"), np.full(len(rows), -np.inf)
        for at in range(0, len(order), CLOSELY):
            if at >= many and np.partition(gains, -many)[-many] >= bounds[order[at]]:
                break
            near = order[at : at + CLOSELY]
            gains[near] = self._front.expected(logs[near], *self._surrogate.predict(rows[near]))
        best = np.argsort(-gains, kind="stable")[:many]
        return {candidates[i]: float(gains[i]) for i in best}

    def _costs(self, candidates: Sequence[Candidate]) -> Array:
        if candidates is not self._costed[0]:  # the pool's beginning is asked for twice
            costs = np.array([self._domain.costs(candidate) for candidate in candidates])
            self._costed = (candidates, costs)
        return self._costed[1]

    def _rows(self, seen: Sequence[Observation[Candidate]]) -> Array:
        costs = np.array([each.costs for each in seen])
        return self._encoder.rows([each.candidate for each in seen], costs)


def _behind(values: Array) -> Array:
    """A little more than the highest of every column."""
    highest = values.max(0)
    found: Array = highest + np.maximum(BEYOND * (highest - values.min(0)), LEAST_BEYOND)
    return found
