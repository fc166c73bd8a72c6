"""Rank correlations by hand, and how often their intervals hold the true value."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from reports.order import FEWEST, Agreement, kendall, spearman

Measure = Callable[[Sequence[float], Sequence[float]], Agreement | None]

UP = (1, 2, 3, 4, 5)
SWAPPED = (2, 1, 3, 5, 4)  # Σd² = 4, and 2 of 10 pairs the other way round


def agreement(measure: Measure, first: Sequence[float], second: Sequence[float]) -> Agreement:
    found = measure(first, second)
    assert found is not None
    return found


def test_two_swaps_of_five_by_hand() -> None:
    rho = agreement(spearman, UP, SWAPPED)
    assert rho.value == pytest.approx(1 - 6 * 4 / (5 * 24))  # 0.8
    # atanh 0.8 = 1.0986; 1.96 · sqrt((1 + 0.32) / 2) = 1.5923; tanh of difference and sum
    assert (rho.low, rho.high) == pytest.approx((-0.4572, 0.9908), abs=2e-4)
    tau = agreement(kendall, UP, SWAPPED)
    assert tau.value == pytest.approx((8 - 2) / 10)
    # atanh 0.6 = 0.6931; 1.96 · sqrt(0.437) = 1.2957
    assert (tau.low, tau.high) == pytest.approx((-0.5388, 0.9632), abs=2e-4)


def test_ties_share_their_rank() -> None:
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: sums of squares 4.5 and 5, of products 4.5.
    assert agreement(spearman, (1, 2, 2, 4), (1, 2, 3, 4)).value == pytest.approx(4.5 / 22.5**0.5)
    # 9 pairs agree and one is tied on one side: τ-b = 9 / sqrt(9 · 10).
    assert agreement(kendall, (1, 2, 2, 4, 5), UP).value == pytest.approx(9 / 90**0.5)


@pytest.mark.parametrize("measure", [spearman, kendall])
def test_only_the_order_counts(measure: Measure) -> None:
    moved = [math.exp(value) for value in SWAPPED]
    assert measure(UP, moved) == measure(UP, SWAPPED)
    assert measure(SWAPPED, UP) == measure(UP, SWAPPED)


@pytest.mark.parametrize("measure", [spearman, kendall])
def test_the_opposite_order_is_the_mirror_image(measure: Measure) -> None:
    found, mirrored = (agreement(measure, UP, [s * v for v in SWAPPED]) for s in (1, -1))
    assert mirrored.value == pytest.approx(-found.value)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize(("measure", "fewest"), [(spearman, FEWEST), (kendall, FEWEST + 1)])
def test_too_few_pairs_say_nothing(measure: Measure, fewest: int) -> None:
    assert measure(range(fewest), range(fewest)) is not None
    for many in range(fewest):
        assert measure(range(many), range(many)) is None


@pytest.mark.parametrize("measure", [spearman, kendall])
@pytest.mark.parametrize("many", [2, 5, 20])
def test_without_an_order_nothing_is_said_and_nothing_is_warned_of(
    measure: Measure, many: int
) -> None:
    flat, rising = [0.1] * many, list(range(many))
    for pair in ((flat, rising), (rising, flat), (flat, flat)):
        assert measure(*pair) is None


@pytest.mark.parametrize("measure", [spearman, kendall])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_order_leaves_something_to_be_unsure_of(measure: Measure, sign: int) -> None:
    ends = []
    for many in (5, 8, 20):
        found = agreement(measure, range(many), [sign * value for value in range(many)])
        assert found.value == pytest.approx(sign)
        assert found.low <= found.value <= found.high
        assert -1 <= found.low < found.high <= 1
        assert 1e-3 < found.high - found.low < 2
        ends.append(found.low if sign > 0 else -found.high)
    assert ends == sorted(ends), "more pairs, more certainty"
    assert ends[-1] > 0.9


@pytest.mark.parametrize("measure", [spearman, kendall])
def test_the_interval_always_holds_the_value(measure: Measure) -> None:
    rng = np.random.default_rng(0)
    for many in (5, 6, 10):
        for _ in range(200):
            found = measure(rng.integers(0, 4, many).tolist(), rng.integers(0, 4, many).tolist())
            if found is not None:
                assert -1 <= found.low <= found.value <= found.high <= 1
                assert found.low < found.high


TRUE: dict[Measure, Callable[[float], float]] = {  # of jointly normal pairs
    spearman: lambda correlation: 6 / math.pi * math.asin(correlation / 2),
    kendall: lambda correlation: 2 / math.pi * math.asin(correlation),
}


@pytest.mark.parametrize("measure", [spearman, kendall])
@pytest.mark.parametrize("many", [10, 20])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8, 0.9])
def test_intervals_hold_the_truth_in_95_of_100_cases(
    measure: Measure, many: int, correlation: float
) -> None:
    rng = np.random.default_rng(many)
    cases, held = 600, 0
    for _ in range(cases):
        first, noise = rng.normal(size=(2, many))
        second = correlation * first + math.sqrt(1 - correlation**2) * noise
        found = agreement(measure, first.tolist(), second.tolist())
        held += found.low <= TRUE[measure](correlation) <= found.high
    assert 0.88 <= held / cases <= 0.99  # of 600, and of few pairs: 0.90 is within chance
