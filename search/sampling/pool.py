"""Which candidates are looked at before one is proposed: all, or those that seem worth it."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Generic

import numpy as np

from search.sampling.domain import Candidate, Domain
from search.sampling.neighbour import Neighbour

ENUMERATED = 20_000  # a domain of so many candidates is looked at whole
DRAWN = 800  # else so many at random, and as many neighbours of those that did well
CLIMBERS, NEIGHBOURS, ROUNDS = 10, 15, 3  # of the local search from the best of these
LOOKED_AT = 100_000  # at most, one after the other, for one that is within the budgets
IN_VAIN = 10  # draws for each that is wanted, before the domain is gone through from its beginning

Rating = Callable[[Sequence[Candidate], int], dict[Candidate, float]]
"""The best of some, up to so many, with what they are worth."""


class Pool(Generic[Candidate]):
    """New candidates of a domain that are within its budgets."""

    def __init__(self, domain: Domain[Candidate]) -> None:
        self._domain = domain
        self._all: list[Candidate] | None = None
        self._draws: tuple[Sequence[int], list[Candidate], Iterator[Candidate]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the candidates drawn so far: their generator is none that pickle knows."""
        return {**self.__dict__, "_draws": None}

    @property
    def whole(self) -> bool:
        """Whether every candidate is looked at."""
        return self._domain.size <= ENUMERATED

    def start(
        self,
        held: Collection[Candidate],
        good: Sequence[Candidate],
        rng: np.random.Generator,
        draw: Sequence[int],
    ) -> list[Candidate]:
        """Candidates not in `held`: all, or some at random and some near those that are `good`.

        Those at random are the same for the same `draw`, the seeds of a generator, as long as they
        are not held: what is known of them need not be found out anew for each proposal.
        """
        if self.whole:
            return list(self._new(self._every(), held))
        drawn = self._at_random(held, DRAWN, self._again(draw))
        return list(dict.fromkeys((*drawn, *self._new(self._near(good, DRAWN, rng), held))))

    def climb(
        self,
        start: Sequence[Candidate],
        held: Collection[Candidate],
        best_of: Rating[Candidate],
        rng: np.random.Generator,
    ) -> tuple[Candidate, float]:
        """The best of `start`, and of those near the best where not all are in it; its rating."""
        rated, looked_at = best_of(start, CLIMBERS), set(start)
        for _ in range(0 if self.whole else ROUNDS):
            top = sorted(rated, key=lambda each: -rated[each])[:CLIMBERS]
            near = self._new(self._near(top, len(top) * NEIGHBOURS, rng), held)
            new = [candidate for candidate in dict.fromkeys(near) if candidate not in looked_at]
            if not new:
                break
            rated |= best_of(new, CLIMBERS)
            looked_at.update(new)
        best = max(rated, key=lambda each: rated[each])
        return best, rated[best]

    def some(
        self, held: Collection[Candidate], many: int, rng: np.random.Generator
    ) -> list[Candidate]:
        """Up to so many different ones at random, not in `held`."""
        if self.whole:
            left = list(self._new(self._every(), held))
            return [left[i] for i in rng.permutation(len(left))[:many]]
        return self._at_random(held, many, self._drawn(rng))

    def _at_random(
        self, held: Collection[Candidate], many: int, draws: Iterable[Candidate]
    ) -> list[Candidate]:
        """Up to so many; where budgets leave few of a domain, at least one if there is one."""
        drawn = itertools.islice(draws, max(many * IN_VAIN, DRAWN))
        found = _first_different(self._new(drawn, held), many)
        if found:
            return found
        first = first_allowed(self._domain, held)
        return [] if first is None else [first]

    def _every(self) -> list[Candidate]:
        if self._all is None:
            self._all = list(dict.fromkeys(self._domain.every()))
        return self._all

    def _new(
        self, candidates: Iterable[Candidate], held: Collection[Candidate]
    ) -> Iterator[Candidate]:
        return (c for c in candidates if c not in held and self._domain.allowed(c))

    def _drawn(self, rng: np.random.Generator) -> Iterator[Candidate]:
        """Without end."""
        while True:
            yield self._domain.choose(Neighbour({}, 0, rng))

    def _again(self, draw: Sequence[int]) -> Iterator[Candidate]:
        """Those that the generator of these seeds draws, without end; the latest are kept."""
        if self._draws is None or self._draws[0] != draw:
            self._draws = (draw, [], self._drawn(np.random.default_rng(draw)))
        _, kept, more = self._draws
        for number in itertools.count():
            if number == len(kept):
                kept.append(next(more))
            yield kept[number]

    def _near(
        self, good: Sequence[Candidate], many: int, rng: np.random.Generator
    ) -> Iterator[Candidate]:
        """Neighbours of `good` in turn, most of which differ in one parameter."""
        known = [self._domain.parameters(candidate)[0] for candidate in good]
        for turn in range(many if known else 0):
            changes = int(rng.geometric(0.6))
            yield self._domain.choose(Neighbour(known[turn % len(known)], changes, rng))


def first_allowed(domain: Domain[Candidate], held: Collection[Candidate]) -> Candidate | None:
    """The first of all that is not in `held` and may be within every budget.

    None where the first `LOOKED_AT` new ones are not.
    """
    new = itertools.islice((c for c in domain.every() if c not in held), LOOKED_AT)
    return next((candidate for candidate in new if domain.allowed(candidate)), None)


def _first_different(candidates: Iterable[Candidate], many: int) -> list[Candidate]:
    found: dict[Candidate, None] = {}
    for candidate in candidates:
        found[candidate] = None
        if len(found) == many:
            break
    return list(found)
