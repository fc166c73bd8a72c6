"""The figures in the dashboard: Plotly's JSON, of any study and of any size."""

import dataclasses
import json

import pytest
from simulated import epoch, failing, searched

from search.dashboard import plots
from search.dashboard.plots import figures
from search.trial import Role, State, Trial

OBJECTIVES = ("val_accuracy", "params", "latency_ms")


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return searched("search.trials=8", "search.sampler=random").driver.trials


def named(figure: plots.Figure) -> dict[str, plots.Figure]:
    return {trace["name"]: trace for trace in figure["data"]}


def test_there_is_a_front_for_every_cost(trials: list[Trial]) -> None:
    found = figures(trials, OBJECTIVES)
    assert list(found) == ["front-params", "front-latency_ms", "hypervolume", "learning-curves"]
    assert json.loads(json.dumps(found)) == found
    for cost in ("params", "latency_ms"):
        traces = named(found[f"front-{cost}"])
        baseline = next(trial for trial in trials if trial.role is Role.BASELINE)
        assert traces["baseline"]["x"] == [baseline.objective(cost)]
        assert traces["baseline"]["y"] == [round(100 * (baseline.val_accuracy or 0), 3)]
        assert traces["control"]["marker"]["symbol"] == "diamond"
        assert traces["front"]["x"] == sorted(traces["front"]["x"])


def test_a_predicted_latency_is_on_no_front(trials: list[Trial]) -> None:
    predicted = [dataclasses.replace(trial, latency=None) for trial in trials]
    assert "front" not in named(figures(predicted, OBJECTIVES)["front-latency_ms"])
    assert "hypervolume" not in figures(predicted, OBJECTIVES)


def test_what_a_study_says_is_no_markup(trials: list[Trial]) -> None:
    renamed = [dataclasses.replace(trial, name='<a href="x">&\x1b') for trial in trials]
    for figure in figures(renamed, OBJECTIVES).values():
        for trace in figure["data"]:
            for label in trace.get("text", ()):
                assert "<" not in label
                assert "&lt;a href=" in label
                assert "\x1b" not in label


def test_nothing_is_drawn_of_nothing(trials: list[Trial]) -> None:
    assert figures([], OBJECTIVES) == {}
    bare = [dataclasses.replace(trial, curve=(), state=State.INFEASIBLE) for trial in trials]
    assert figures(bare, OBJECTIVES) == {}
    failed = searched("search.trials=3", simulation=failing("no")).driver.trials
    assert figures(failed, OBJECTIVES) == {}


def test_a_running_trial_is_drawn(trials: list[Trial]) -> None:
    running = dataclasses.replace(trials[0], state=State.RUNNING, curve=(epoch(1, 0.3),))
    found = figures([running], OBJECTIVES)
    assert named(found["learning-curves"])["trial 0"]["y"] == [30.0]
    assert "hypervolume" not in found
    assert found["front-params"]["data"] == []


def test_large_studies_are_thinned_and_keep_their_front(
    trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_POINTS", 2)
    monkeypatch.setattr(plots, "MOST_CURVES", 2)
    members = plots.front_numbers(trials, OBJECTIVES)
    found = figures(trials, OBJECTIVES)
    traces = named(found["front-params"])
    assert len(traces["front"]["x"]) == len(members)
    assert len(traces.get("other trainings", {"x": []})["x"]) <= 2
    lines = set(named(found["learning-curves"]))
    assert len(lines) == 4  # the baseline, the control, and two
    assert (
        ": the front's and the latest, 2 of "
        in (found["learning-curves"]["layout"]["title"]["text"])
    )
    best = sorted(members - {0, 1}, reverse=True)[:2]
    assert {f"trial {number}" for number in best} <= lines


def test_few_epochs_have_a_tick_each(trials: list[Trial]) -> None:
    assert figures(trials, OBJECTIVES)["learning-curves"]["layout"]["xaxis"]["dtick"] == 1
    long = dataclasses.replace(trials[0], curve=tuple(epoch(n, 0.1) for n in range(1, 90)))
    assert "dtick" not in figures([long], OBJECTIVES)["learning-curves"]["layout"]["xaxis"]
