"""The front: exactly the complete, feasible trials that no other beats."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import epoch

from benchmarks.made_latencies import made_latency
from models.architecture import Architecture, Backbone
from search.front import dominates, front, may_be_on_front, minimised
from search.trial import Role, State, Trial

OBJECTIVES = ("val_accuracy", "params", "latency_ms")


def trial(number: int, accuracy: float | None, params: int, latency_ms: float | None) -> Trial:
    return Trial(
        number=number,
        state=State.COMPLETE,
        role=Role.CANDIDATE,
        architecture=Architecture(Backbone()),
        params=params,
        summary_params=params,
        macs=params,
        latency_ms=latency_ms,
        latency=None if latency_ms is None else made_latency(latency_ms),
        worker=None,
        curve=() if accuracy is None else (epoch(1, accuracy),),
        reason="",
        over_budget=(),
        epochs=1,
    )


few = st.integers(0, 3)  # few values, so that ties are common
over = st.sampled_from([(), (), (("max_params", 2.0),)])
states = st.sampled_from([State.COMPLETE, State.COMPLETE, State.COMPLETE, *State])


@st.composite
def trial_lists(draw: st.DrawFn) -> list[Trial]:
    made = []
    for number in range(draw(st.integers(0, 9))):
        latency = draw(few | st.none())
        one = trial(number, draw(few) / 4, 10 + draw(few), latency)
        made.append(replace(one, state=draw(states), over_budget=draw(over)))
    return made


def beats(first: Trial, second: Trial) -> bool:
    """Written out, to compare with."""
    accuracy = (first.val_accuracy or 0) - (second.val_accuracy or 0)
    params = second.params - first.params
    latency = (second.latency_ms or 0) - (first.latency_ms or 0)
    gains = (accuracy, params, latency)
    return min(gains) >= 0 and max(gains) > 0


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(trial_lists())
def test_members_and_no_others(trials: list[Trial]) -> None:
    members = front(trials, OBJECTIVES)
    candidates = [
        t
        for t in trials
        if t.state is State.COMPLETE and not t.over_budget and t.latency_ms is not None
    ]
    assert all(member in candidates for member in members)
    for one in candidates:
        assert (one in members) == (not any(beats(other, one) for other in candidates))
    keys = [(-(member.val_accuracy or 0), member.params) for member in members]
    assert keys == sorted(keys)
    assert bool(members) == bool(candidates)


def test_equal_trials_are_all_members() -> None:
    twins = [trial(0, 0.5, 10, 1.0), trial(1, 0.5, 10, 1.0), trial(2, 0.5, 11, 1.0)]
    assert [member.number for member in front(twins, OBJECTIVES)] == [0, 1]


def test_accuracy_first_then_size() -> None:
    trials = [trial(0, 0.5, 10, 1.0), trial(1, 0.9, 30, 3.0), trial(2, 0.9, 20, 4.0)]
    assert [member.number for member in front(trials, OBJECTIVES)] == [2, 1, 0]


@pytest.mark.parametrize("state", [State.RUNNING, State.STOPPED, State.FAILED, State.INFEASIBLE])
def test_the_best_is_no_member_unless_complete(state: State) -> None:
    best = replace(trial(0, 0.9, 1, 0.1), state=state)
    assert front([best, trial(1, 0.5, 10, 1.0)], OBJECTIVES)[0].number == 1


def test_only_the_objectives_count() -> None:
    trials = [trial(0, 0.5, 10, 9.0), trial(1, 0.5, 11, 1.0)]
    assert [member.number for member in front(trials, ("val_accuracy", "params"))] == [0]
    assert front([], OBJECTIVES) == []


def test_losses() -> None:
    assert minimised(trial(0, 0.5, 10, 2.0), OBJECTIVES) == (-0.5, 10, 2.0)
    assert minimised(trial(0, 0.5, 10, None), OBJECTIVES) is None
    assert minimised(trial(0, None, 10, 2.0), OBJECTIVES) is None


def test_dominates() -> None:
    assert dominates((1, 2), (1, 3))
    assert not dominates((1, 2), (1, 2))
    assert not dominates((1, 4), (2, 3))
    assert not dominates((2, 2), (1, 2))
    with pytest.raises(ValueError, match="zip"):
        dominates((1,), (1, 2))


def test_a_predicted_latency_keeps_off_the_front_where_latency_counts() -> None:
    predicted = replace(trial(0, 0.9, 1, 0.1), latency=None)
    measured = trial(1, 0.5, 10, 1.0)
    assert predicted.latency_predicted
    assert front([predicted, measured], OBJECTIVES) == [measured]
    assert front([predicted, measured], ("val_accuracy", "params")) == [predicted]


def test_what_may_be_on_the_front_is_what_would_be() -> None:
    measured = trial(1, 0.5, 10, 1.0)
    assert may_be_on_front(trial(2, 0.6, 10, 2.0), [measured], OBJECTIVES)
    assert not may_be_on_front(trial(2, 0.5, 11, 1.0), [measured], OBJECTIVES)
    unmeasured = replace(trial(3, 0.9, 1, 0.1), latency=None)
    assert may_be_on_front(trial(2, 0.5, 9, 1.0), [measured, unmeasured], OBJECTIVES)
    over = replace(trial(2, 0.9, 1, 0.1), over_budget=(("max_latency_ms", 2.0),))
    assert not may_be_on_front(over, [measured], OBJECTIVES)
