"""Where curves end, by those that were followed."""

import numpy as np
import pytest

from search.sampling.curves import FEWEST, LEAST_NOISE, Curves, Expected


def many_curves(count: int, noise: float = 0.0, slope: float = 1.0) -> list[list[float]]:
    rng = np.random.default_rng(0)
    levels = rng.normal(size=count)
    return [[v + 2, v + 1, slope * v + noise * rng.normal()] for v in levels]


def test_too_few_say_nothing() -> None:
    assert Curves([]).expected([1.0]) is None
    assert Curves(many_curves(FEWEST - 1)).expected([1.0]) is None
    assert Curves(many_curves(FEWEST)).expected([1.0]) is not None
    assert Curves(many_curves(FEWEST)).expected([]) is None
    assert Curves([[], []]).expected([]) is None, "nobody noted epochs"


def test_a_constant_gain_is_learned() -> None:
    end = Curves(many_curves(6)).expected([2.5])
    assert end is not None
    assert end.mean == pytest.approx(0.5, abs=1e-4)
    assert LEAST_NOISE < end.deviation < 1.5 * LEAST_NOISE, "few curves that agree prove little"
    assert Curves(many_curves(6)).expected([2.5, 1.5, 0.7]) == Expected(0.7, 0.0, 6)


def test_chances_and_intervals() -> None:
    end = Expected(1.0, 0.5, 10)
    assert end.chance_below(1.0) == pytest.approx(0.5)
    assert end.chance_below(1.0 + end.half_width) == pytest.approx(0.975)
    certain = Expected(1.0, 0.0, 10)
    assert (certain.chance_below(1.1), certain.chance_below(0.9)) == (1, 0)


def test_too_few_are_not_rare() -> None:
    assert Curves([]).how_rarely_as_bad([1.0], 0.0) is None
    assert Curves(many_curves(FEWEST - 1)).how_rarely_as_bad([2.8], 0.0) is None
    assert Curves(many_curves(FEWEST)).how_rarely_as_bad([2.8], 0.0) is not None
    assert Curves(many_curves(FEWEST)).how_rarely_as_bad([], 0.0) is None
    assert Curves(many_curves(FEWEST)).how_rarely_as_bad([4.0, 4.0, 4.0], 0.0) is None


def drawn(rng: np.random.Generator, many: int, noise: float) -> np.ndarray:
    """Losses [many, 2] of an epoch and of the end, both normally distributed."""
    ends = rng.normal(size=many)
    return np.column_stack([ends + 1 + noise * rng.normal(size=many), ends])


@pytest.mark.parametrize("noise", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("wanted", [0.0, -1.5])
def test_a_rarity_is_the_part_of_those_that_reach_it(noise: float, wanted: float) -> None:
    """Against counting, where regression and spread are known from very many."""
    rng = np.random.default_rng(0)
    counted = drawn(rng, 1_000_000, noise)
    reached = counted[counted[:, 1] <= wanted, 0]
    curves = Curves([list(curve) for curve in drawn(rng, 4000, noise)])
    for part in (0.5, 0.1, 0.01):
        found = curves.how_rarely_as_bad([float(np.quantile(reached, 1 - part))], wanted)
        assert found == pytest.approx(part, rel=0.3)


@pytest.mark.parametrize("noise", [0.2, 3.0])
def test_of_those_that_reach_it_few_are_rare(noise: float) -> None:
    """Few whole curves, and of the worst half of all only the beginning."""
    rare = reached = 0
    for seed in range(1500):
        mine, *others = drawn(np.random.default_rng(seed), 21, noise)
        if mine[1] > -0.5:
            continue
        reached += 1
        middle = np.median([other[0] for other in others])
        curves = Curves([list(other) if other[0] < middle else [other[0]] for other in others])
        rarity = curves.how_rarely_as_bad([mine[0]], -0.5)
        assert rarity is not None
        rare += rarity < 0.05
    assert reached > 400
    assert 0.005 < rare / reached < 0.05 + 2 * (0.0475 / reached) ** 0.5


def test_a_slope_is_learned_from_many() -> None:
    end = Curves(many_curves(200, noise=0.01, slope=0.5)).expected([3.0, 2.0])
    assert end is not None
    assert end.mean == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("count", [8, 40])
def test_intervals_hold_the_final_loss(count: int) -> None:
    inside = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        levels = rng.normal(size=count + 1)
        curves = [[v + 1 + 0.1 * rng.normal(), v + 0.3 * rng.normal()] for v in levels]
        end = Curves(curves[1:]).expected(curves[0][:1])
        assert end is not None
        inside += abs(curves[0][1] - end.mean) < end.half_width
    assert 0.92 < inside / 300 < 0.98


def test_curves_that_are_shorter_are_not_taken_for_whole() -> None:
    """Such as those of another recipe."""
    mixed = [*many_curves(6), [9.0], [9.0, 9.0]]
    assert Curves(mixed).expected([2.5]) == Curves(many_curves(6)).expected([2.5])


def test_one_that_begins_late_changes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands still for an epoch and ends as others do; the slope is that of the others."""
    rng = np.random.default_rng(0)
    usual = [[v + 1 + 0.1 * rng.normal(), v + 0.1 * rng.normal()] for v in rng.normal(size=30)]
    late = [8.0, 0.0]
    slope = rise(Curves(usual))
    assert slope == pytest.approx(1, abs=0.05)
    assert rise(Curves([*usual, late])) > 0.75 * slope
    assert Curves([*usual, late]).how_rarely_as_bad([12.0], 0.0) is None, "it may have begun late"
    longer = Curves([[*curve[:1], *curve] for curve in usual])
    rarity = longer.how_rarely_as_bad([12.0, 12.0], 0.0)
    assert rarity is not None
    assert 0 < rarity < 0.02
    monkeypatch.setattr("search.sampling.curves.FAR", np.inf)
    assert rise(Curves([*usual, late])) < 0.5 * slope


def rise(curves: Curves) -> float:
    low, high = (curves.expected([loss]) for loss in (0.0, 2.0))
    assert low is not None
    assert high is not None
    return (high.mean - low.mean) / 2


def test_a_cheap_one_is_not_compared_with_what_only_dear_ones_reach() -> None:
    """Losses fall with costs: of those that end at 0, the cheap ones are bad in epoch 1 as well."""
    rng = np.random.default_rng(0)
    costs = rng.uniform(size=60)
    ends = [1 - 2 * cost + 0.1 * rng.normal() for cost in costs]
    curves = [[end + 1 - 2 * cost, end] for end, cost in zip(ends, costs, strict=True)]
    blind, knowing = Curves(curves), Curves(curves, [[cost] for cost in costs])
    found = [knowing.how_rarely_as_bad([end + 1 - 2 * 0.2], 0.7, [0.2]) for end in (0.6, 1.0)]
    assert None not in found
    assert found[0] > 0.3
    assert found[1] < 0.01
    assert blind.how_rarely_as_bad([0.6 + 1 - 2 * 0.2], 0.7) < found[0] / 2
    expected = knowing.expected([0.6 + 1 - 2 * 0.2], [0.2])
    assert expected.mean == pytest.approx(0.6, abs=0.05)
