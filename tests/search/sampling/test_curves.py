"""Where curves end, by those that were followed."""

import numpy as np
import pytest

from search.sampling.curves import FEWEST, Curves


def many_curves(count: int, noise: float = 0.0, slope: float = 1.0) -> list[list[float]]:
    rng = np.random.default_rng(0)
    levels = rng.normal(size=count)
    return [[v + 2, v + 1, slope * v + noise * rng.normal()] for v in levels]


def test_too_few_say_nothing() -> None:
    assert Curves([]).final([1.0]) is None
    assert Curves(many_curves(FEWEST - 1)).final([1.0]) is None
    assert Curves(many_curves(FEWEST)).final([1.0]) is not None
    assert Curves(many_curves(FEWEST)).final([]) is None
    assert Curves([[], []]).final([]) is None, "nobody noted epochs"


def test_a_constant_gain_is_learned() -> None:
    mean, deviation = Curves(many_curves(6)).final([2.5])  # type: ignore[misc]
    assert (mean, deviation) == pytest.approx((0.5, 0.0), abs=1e-9)
    assert Curves(many_curves(6)).final([2.5, 1.5, 0.7]) == (0.7, 0.0)


def test_a_slope_is_learned_from_many() -> None:
    mean, _ = Curves(many_curves(200, noise=0.01, slope=0.5)).final([3.0, 2.0])  # type: ignore[misc]
    assert mean == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("count", [8, 40])
def test_intervals_hold_the_final_loss(count: int) -> None:
    inside = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        levels = rng.normal(size=count + 1)
        curves = [[v + 1 + 0.1 * rng.normal(), v + 0.3 * rng.normal()] for v in levels]
        mean, deviation = Curves(curves[1:]).final(curves[0][:1])  # type: ignore[misc]
        inside += abs(curves[0][1] - mean) < 1.96 * deviation
    assert inside / 300 > 0.85 if count == 8 else inside / 300 > 0.91


def test_curves_that_are_shorter_are_not_taken_for_whole() -> None:
    """Such as those of another recipe."""
    mixed = [*many_curves(6), [9.0], [9.0, 9.0]]
    assert Curves(mixed).final([2.5]) == Curves(many_curves(6)).final([2.5])
