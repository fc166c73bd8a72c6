"""The median and its interval, against coverage counted and a table's order statistics."""

import numpy as np
import pytest

from trainers.median import median_interval


def test_of_few_values_the_interval_is_their_range() -> None:
    assert median_interval([3.0]) == (3.0, 3.0, 3.0)
    assert median_interval([1.0, 5.0, 2.0]) == (2.0, 1.0, 5.0)


def test_ranks_of_a_hundred_values() -> None:
    """40 and 61: the binomial distribution has 96.5 % within, and 94.3 % within 41 and 60."""
    median, low, high = median_interval(list(range(1, 101)))
    assert median == 50.5
    assert (low, high) == (40.0, 61.0)


@pytest.mark.parametrize("count", [6, 9, 25, 80])
@pytest.mark.parametrize("shape", ["normal", "lognormal", "bursts"])
def test_nineteen_of_twenty_intervals_hold_the_median(count: int, shape: str) -> None:
    rng = np.random.default_rng(count)
    draws = {
        "normal": lambda: rng.normal(size=count),
        "lognormal": lambda: np.exp(rng.normal(size=count)) - 1,
        "bursts": lambda: rng.normal(size=count) + 30 * (rng.random(count) < 0.02),
    }
    centre = {"bursts": 0.0256}.get(shape, 0.0)  # the 2 % move the median that far: Φ⁻¹(0.5 / 0.98)
    held = 0
    for _ in range(1000):
        _, low, high = median_interval(list(draws[shape]()))
        held += low <= centre <= high
    assert 930 <= held <= 999


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        median_interval([])
