"""The gain against hypervolumes by moocore, and its expectation against random losses."""

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.sampling import hypervolume_gain
from search.sampling.hypervolume_gain import HypervolumeGain

LIMIT, WORST = 0.9, 0.8


def by_moocore(points: np.ndarray, costs: np.ndarray, loss: float) -> float:
    """What one candidate adds to the hypervolume of `points` [m, d + 1]."""
    reference = np.append(np.full(len(costs), LIMIT), WORST)

    def volume(rows: np.ndarray) -> float:
        inside = rows[(rows < reference).all(1)]
        return float(moocore.hypervolume(inside, ref=reference)) if len(inside) else 0.0

    return volume(np.vstack([points, np.append(costs, loss)])) - volume(points)


def gain_of(points: np.ndarray) -> HypervolumeGain:
    dimensions = points.shape[1] - 1
    return HypervolumeGain(points[:, :-1], points[:, -1], (np.full(dimensions, LIMIT), WORST))


@given(
    dimensions=st.integers(1, 3),
    many=st.integers(0, 12),
    seed=st.integers(0, 2**32 - 1),
    ties=st.booleans(),
)
def test_a_known_loss_gains_what_moocore_says(
    dimensions: int, many: int, seed: int, *, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    draw = (lambda *shape: rng.integers(0, 5, shape) / 5) if ties else (lambda *s: rng.random(s))
    points, candidates = draw(many, dimensions + 1), draw(10, dimensions + 1)
    found = gain_of(points).expected(candidates[:, :-1], candidates[:, -1], np.zeros(10))
    for each, row in zip(found, candidates, strict=True):
        assert each == pytest.approx(by_moocore(points, row[:-1], row[-1]), abs=1e-12)


def test_the_expectation_is_the_mean_over_losses() -> None:
    rng = np.random.default_rng(0)
    points, costs = rng.random((6, 3)), np.array([0.1, 0.3])
    losses = rng.normal(0.3, 0.2, 4000)
    gain = gain_of(points)
    one_by_one = gain.expected(np.tile(costs, (4000, 1)), losses, np.zeros(4000))
    (expected,) = gain.expected([costs], [0.3], [0.2])
    doubt = one_by_one.std() / np.sqrt(4000)
    assert expected == pytest.approx(one_by_one.mean(), abs=4 * doubt)
    assert expected > gain.expected([costs], [0.3], [0.0])[0], "what is uncertain may gain more"


def test_beyond_the_reference_nothing_is_gained() -> None:
    gain = gain_of(np.array([[0.5, 0.5, 0.5]]))
    assert gain.expected([[0.95, 0.1], [0.1, 0.9]], [0.1, 0.1], [0.0, 0.0]).tolist() == [0, 0]
    assert gain.expected(np.zeros((0, 2)), [], []).shape == (0,)


def test_a_front_too_large_is_thinned_and_gains_are_not_underestimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = np.abs(np.random.default_rng(0).normal(size=(60, 3)))
    points *= 0.75 / np.linalg.norm(points, axis=1, keepdims=True)  # none beats another
    candidates = np.random.default_rng(1).random((30, 3))
    every = gain_of(points).expected(candidates[:, :-1], candidates[:, -1], np.zeros(30))
    monkeypatch.setattr(hypervolume_gain, "MOST_NUMBERS", 1000)
    some = gain_of(points).expected(candidates[:, :-1], candidates[:, -1], np.zeros(30))
    assert (some >= every - 1e-12).all()
    assert (some > every + 1e-6).any()
