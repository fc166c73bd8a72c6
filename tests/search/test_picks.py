"""The picks: the best of a front in each respect, above the baseline, and the knee between them."""

from dataclasses import replace

from hypothesis import given
from test_front import OBJECTIVES, trial, trial_lists

from search.front import front
from search.picks import Label, picks
from search.trial import Role, State, Trial

BASELINE = replace(trial(0, 0.80, 100, 10), role=Role.BASELINE)
ACCURATE = trial(1, 0.90, 200, 20)
SMALL = trial(2, 0.82, 110, 18)
FAST = trial(3, 0.83, 180, 11)
BALANCED = trial(4, 0.88, 130, 13)
WORSE = trial(5, 0.70, 90, 9)
ALL = (BASELINE, ACCURATE, SMALL, FAST, BALANCED, WORSE)


def chosen(*trials: Trial, objectives: tuple[str, ...] = OBJECTIVES) -> dict[Label, int]:
    return {label: pick.trial.number for pick in picks(trials, objectives) for label in pick.labels}


def test_each_is_the_best_in_what_it_is_called() -> None:
    assert chosen(*ALL) == {
        Label.MOST_ACCURATE: 1,
        Label.SMALLEST: 2,
        Label.FASTEST: 3,
        Label.KNEE: 4,
    }


def test_the_most_accurate_comes_first() -> None:
    assert picks(ALL, OBJECTIVES)[0].trial is ACCURATE


def test_one_trial_may_be_best_in_all() -> None:
    best = trial(1, 0.9, 99, 9)
    assert [pick.labels for pick in picks((BASELINE, best, WORSE), OBJECTIVES)] == [
        (Label.MOST_ACCURATE, Label.SMALLEST, Label.FASTEST)
    ]


def test_without_a_baseline_whatever_is_cheapest_is_picked() -> None:
    assert chosen(*ALL[1:])[Label.SMALLEST] == WORSE.number
    still_running = replace(BASELINE, state=State.RUNNING)
    assert chosen(still_running, *ALL[1:])[Label.SMALLEST] == WORSE.number


def test_nothing_cheap_is_picked_below_the_baseline() -> None:
    assert chosen(BASELINE, WORSE) == {Label.MOST_ACCURATE: WORSE.number}


def test_only_objectives_have_picks() -> None:
    assert Label.FASTEST not in chosen(*ALL, objectives=("val_accuracy", "params"))
    assert Label.FEWEST_MACS in chosen(*ALL, objectives=("val_accuracy", "macs"))
    assert chosen(*ALL, objectives=("val_accuracy",)) == {Label.MOST_ACCURATE: 1}


def test_no_candidate_no_pick() -> None:
    assert picks((), OBJECTIVES) == []
    assert picks((BASELINE,), OBJECTIVES) == []


@given(trials=trial_lists())
def test_picks_are_candidates_of_the_front_each_once(trials: list[Trial]) -> None:
    found = picks(trials, OBJECTIVES)
    numbers = [pick.trial.number for pick in found]
    assert set(numbers) <= {t.number for t in front(trials, OBJECTIVES)}
    assert len(numbers) == len(set(numbers))
    labels = [label for pick in found for label in pick.labels]
    assert len(labels) == len(set(labels))
    assert all(pick.trial.role is Role.CANDIDATE and pick.labels for pick in found)
