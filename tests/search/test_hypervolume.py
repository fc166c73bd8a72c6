"""The front's hypervolume over time."""

from dataclasses import replace

import pytest
from hypothesis import given
from test_front import OBJECTIVES, trial, trial_lists

from search.front import front
from search.hypervolume import BEYOND, growth
from search.trial import State, Trial


def test_by_hand() -> None:
    """In accuracy and parameters, each scaled to 0…1 with 1.1 as the reference."""
    trials = [trial(0, 0.8, 100, 10), trial(1, 0.9, 200, 10), trial(2, 0.85, 150, 10)]
    found = growth(trials, ("val_accuracy", "params"))
    alone, corners = 0.1 * BEYOND, 2 * 0.1 * BEYOND - 0.1 * 0.1
    whole = corners + (0.6 - 0.1) ** 2
    assert [moment.trials for moment in found] == [1, 2, 3]
    volumes = [alone / whole, corners / whole, 1.0]
    assert [moment.volume for moment in found] == pytest.approx(volumes)


def test_time_is_that_of_every_trial_that_ended() -> None:
    trials = [trial(0, 0.8, 100, 10), replace(trial(1, 0.5, 90, 9), state=State.STOPPED)]
    seconds = [sum(e.train_seconds + e.validation_seconds for e in each.curve) for each in trials]
    found = growth([*trials, replace(trial(2, 0.9, 90, 9), state=State.RUNNING)], OBJECTIVES)
    assert [moment.seconds for moment in found] == [seconds[0], sum(seconds)]
    assert seconds[0] > 0


@pytest.mark.parametrize("objectives", [("val_accuracy",), OBJECTIVES])
def test_nothing_trained_is_no_front(objectives: tuple[str, ...]) -> None:
    assert growth([], objectives) == []
    assert growth([replace(trial(0, 0.8, 1, 1), state=State.FAILED)], objectives) == []
    assert growth([trial(0, 0.8, 1, 1)], objectives)[0].volume == 1.0


@given(trial_lists())
def test_it_never_falls_and_ends_whole(trials: list[Trial]) -> None:
    found = growth(trials, OBJECTIVES)
    assert bool(found) == bool(front(trials, OBJECTIVES))
    volumes = [moment.volume for moment in found]
    assert volumes == sorted(volumes)
    assert all(0 <= volume <= 1 + 1e-9 for volume in volumes)
    assert not volumes or volumes[-1] == pytest.approx(1.0)
