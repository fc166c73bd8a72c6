"""Rows: one column for a feature, one for what a level has that was never seen."""

import numpy as np
import pytest
from words import Words

from search.sampling.encoder import Encoder, Vocabulary, combined

WORDS = Words()


def costs(*words: str) -> np.ndarray:
    return np.array([WORDS.costs(word) for word in words])


def encoder(*learned: str) -> Encoder[str]:
    return Encoder(Vocabulary(WORDS), learned, costs(*learned))


def test_columns_are_the_features_seen() -> None:
    rows = encoder("aab", "b").rows(["aab", "b"], costs("aab", "b"))
    # letters a, b; places 0a, 1a, 2b, 0b; unseen of two levels; two costs
    features = sorted(map(tuple, rows[:, :6].T.tolist()))
    assert features == sorted([(2, 0), (1, 1), (1, 0), (1, 0), (1, 0), (0, 1)])
    assert not rows[:, 6:8].any()


def test_what_was_not_seen_keeps_apart() -> None:
    """The distance of two rows is that of all their features, as long as one of them was seen."""
    known = encoder("aab", "b")
    seen, new = known.rows(["aab", "ccb"], costs("aab", "aab"))
    assert np.isclose(np.sum((seen - new) ** 2), (2**2 + 2**2) + 4 * 1)
    assert list(new[6:8]) == [2.0, np.sqrt(2)]


def test_levels_are_those_of_columns() -> None:
    found = encoder("aab", "b")
    assert sorted(found.level_of) == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2]
    assert list(found.level_of[-2:]) == [2, 2]


def test_costs_are_standardised_logarithms() -> None:
    found = encoder("a", "ab", "abcd").rows(["a", "ab", "abcd"], costs("a", "ab", "abcd"))
    assert np.allclose(found[:, -2:].mean(0), 0)
    assert np.allclose(found[:, -2:].std(0), 1)
    same = Encoder(Vocabulary(WORDS), ["a", "b"], np.ones((2, 2)))
    assert np.isfinite(same.rows(["a"], np.ones((1, 2)))).all()


@pytest.mark.parametrize("cost", [1.0, 2033.0, 44_762.0, 0.1])
def test_costs_that_are_all_equal_do_not_set_another_far_off(cost: float) -> None:
    """The spread of equal logarithms is a rounding error."""
    words = ["a", "b", "c", "d", "aa", "bb"]
    alike = Encoder(Vocabulary(WORDS), words, np.full((6, 2), cost))
    assert np.abs(alike.rows(["a"], np.full((1, 2), 2 * cost))).max() < 2


def test_columns_do_not_depend_on_what_was_looked_at_before() -> None:
    words = ["aab", "b", "cd"]
    curious = Vocabulary(WORDS)
    curious.numbers(["ddd", "cba", "b"])
    found = [Encoder(v, words, costs(*words)) for v in (curious, Vocabulary(WORDS))]
    one, other = (each.rows(["aab", "dd", "b"], costs("aab", "dd", "b")) for each in found)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found[0].level_of, found[1].level_of)


def test_features_add_up() -> None:
    parts = [{("letter", "a"): 1.0}, {("letter", "a"): 2.0, ("letter", "b"): 1.0}]
    assert combined(parts) == {("letter", "a"): 3.0, ("letter", "b"): 1.0}


def test_a_vocabulary_that_forgets_candidates_knows_their_features(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words, remembering = list(Words(3).every()), Vocabulary(Words(3))
    expected = remembering.numbers(words)
    monkeypatch.setattr("search.sampling.encoder.MOST_KNOWN", 10)
    forgetful = Vocabulary(Words(3))
    for _ in range(2):
        for found, wanted in zip(forgetful.numbers(words), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert [len(part) for part in forgetful.numbers([])] == [0, 0, 0]
