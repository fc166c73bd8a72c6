"""What is looked at closely against what looking at everything would give."""

import numpy as np
import pytest
from words import Words

from search.sampling.belief import CLOSELY, Belief
from search.sampling.encoder import Vocabulary
from search.sampling.observations import Observation
from search.sampling.surrogate import ENOUGH

DOMAIN = Words(longest=4)


def belief(many: int, running: int = 0, seed: int = 0) -> Belief[str]:
    """Of so many words at random, the last `running` of which have only begun."""
    words, rng = list(DOMAIN.every()), np.random.default_rng(seed)
    seen = []
    for place, index in enumerate(rng.permutation(len(words))[:many]):
        loss = -0.3 * words[index].count("a") + 0.05 * rng.normal()
        costs = DOMAIN.costs(words[index])
        has_begun = place >= many - running
        seen.append(Observation(words[index], costs, None if has_begun else loss))
    return Belief(DOMAIN, Vocabulary(DOMAIN), seen)


@pytest.mark.parametrize("many", [4, ENOUGH // 2, 2 * ENOUGH])
@pytest.mark.parametrize("running", [0, 2])
def test_the_best_are_those_of_looking_at_all_closely(many: int, running: int) -> None:
    believed, words = belief(many, running), list(DOMAIN.every())
    assert len(words) > 4 * CLOSELY
    believed.compare_with(words)
    costs = np.array([DOMAIN.costs(word) for word in words])
    means, deviations = believed._surrogate.predict(believed._encoder.rows(words, costs))
    assert believed._front is not None
    gains = believed._front.expected(np.log(costs), means, deviations)
    for wanted in (1, 10):
        best = believed.best_of(words, wanted)
        assert list(best.values()) == pytest.approx(np.sort(gains)[::-1][:wanted])
        assert [gains[words.index(word)] for word in best] == pytest.approx(list(best.values()))


def test_fewer_than_were_asked_for_are_all_there_are() -> None:
    believed = belief(10)
    words = ["a", "abc"]
    believed.compare_with(words)
    assert set(believed.best_of(words, 5)) == set(words)
