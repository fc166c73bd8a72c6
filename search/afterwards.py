"""What is trained once all candidates have ended: checks of warm starts, then the finalists."""

from collections import deque
from collections.abc import Sequence

from search import agenda, finalists
from search.ledger import Proposal
from search.space import Space
from search.trial import Role, Trial


def is_left(space: Space, trials: Sequence[Trial]) -> bool:
    """Whether there is anything to train for a study with these trials, all ended."""
    return bool(agenda.checks(space, trials) or finalists.missing(space, trials))


class Afterwards:
    """One run's share of it. What is next is planned when nothing runs whose result matters."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._checks: deque[Proposal] | None = None
        self._finalists: deque[Proposal] | None = None

    def next(self, trials: Sequence[Trial], *, busy: bool, in_time: bool) -> Proposal | None:
        """What to train next; None where there is nothing, or nothing as long as others are `busy`.

        Without time left the checks are left out; the finalists are the search's result.
        """
        if self._checks is None:
            if busy:
                return None
            self._checks = deque(agenda.checks(self._space, trials))
        if self._checks and in_time:
            return self._checks.popleft()
        if self._finalists is None:
            if busy:
                return None
            self._finalists = deque(map(_proposal, finalists.missing(self._space, trials)))
        return self._finalists.popleft() if self._finalists else None


def _proposal(run: finalists.Run) -> Proposal:
    who = run.contestant
    return Proposal(who.architecture, Role.FINALIST, who.name, seed=run.seed, of=who.of)
