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
    assert end.mean == pytest.approx(0.5, abs=1e-9)
    assert LEAST_NOISE < end.deviation < 1.5 * LEAST_NOISE, "few curves that agree prove little"
    assert Curves(many_curves(6)).expected([2.5, 1.5, 0.7]) == Expected(0.7, 0.0, 6)


def test_chances_and_intervals() -> None:
    end = Expected(1.0, 0.5, 10)
    assert end.chance_below(1.0) == pytest.approx(0.5)
    assert end.chance_below(1.0 + end.half_width) == pytest.approx(0.975)
    certain = Expected(1.0, 0.0, 10)
    assert (certain.chance_below(1.1), certain.chance_below(0.9)) == (1, 0)


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
