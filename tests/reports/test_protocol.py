"""How to go on with a study: what is left to try, and what is said where nothing is."""

import dataclasses
from typing import Any

import pytest
from example_study import GC, IMAGES, OBJECTIVES, RESIDUAL, SE, SPACE, architecture, trial

from reports.protocol import how_to_go_on
from reports.study import Study
from search.trial import Role, State, Trial

LISTED = SPACE | {"placement": None}
PLAIN = trial(0, 0.90, role=Role.BASELINE, placed=architecture())
CONTROL = trial(1, 0.91, role=Role.CONTROL, placed=RESIDUAL)
FIRST = trial(2, 0.92, placed=SE, name="first")
SECOND = trial(3, 0.93, placed=GC, name="second")
KEPT = "; trials that ended are kept."
DONE = (
    "- Search on: all listed candidates are done; list more under `candidates` in `a.yaml` and run "
    f"the same command again{KEPT}"
)


def go_on(*trials: Trial, space: dict[str, Any] = LISTED, **more: Any) -> str:
    """The first line, of a study that lists two candidates and holds these trials."""
    given = {"source": "a.yaml", "command": "python run_search.py", "architectures": 3} | more
    given["search"] = {"trials": given.pop("limit", 4)}
    return how_to_go_on(Study("s", OBJECTIVES, trials, space, **given))[0]


def changed(ended: Trial, **values: Any) -> Trial:
    return dataclasses.replace(ended, **values)


@pytest.mark.parametrize("limit", [4, 50])
def test_where_all_that_is_listed_was_tried_nothing_is_left(limit: int) -> None:
    assert go_on(PLAIN, CONTROL, FIRST, SECOND, limit=limit) == DONE


@pytest.mark.parametrize("state", [State.FAILED, State.STOPPED, State.INFEASIBLE])
def test_trials_that_ended_otherwise_were_tried_too(state: State) -> None:
    assert go_on(PLAIN, CONTROL, FIRST, changed(SECOND, state=state)) == DONE


def test_the_baseline_and_the_control_may_be_listed() -> None:
    plain, control = changed(PLAIN, name="plain"), changed(CONTROL, name="depth")
    assert go_on(plain, CONTROL, FIRST, SECOND) == DONE
    assert go_on(plain, control, FIRST, SECOND, architectures=4) == DONE


def test_what_search_trials_leaves_out_is_counted() -> None:
    again = "- Search on: run the same command with `-o search.trials="
    assert go_on(PLAIN, CONTROL, FIRST, limit=3) == f"{again}4` (now 3){KEPT}"
    assert go_on(PLAIN, limit=1, architectures=6) == f"{again}7` (now 1){KEPT}"


def test_an_interrupted_study_is_continued_by_the_same_command() -> None:
    again = "- Search on: run the same command again: "
    running = changed(SECOND, state=State.RUNNING)
    for trials in ((PLAIN, CONTROL, FIRST), (PLAIN, CONTROL, FIRST, running)):
        assert go_on(*trials) == f"{again}1 network was not tried yet{KEPT}"
    assert go_on(PLAIN, CONTROL) == f"{again}2 networks were not tried yet{KEPT}"
    control = changed(CONTROL, state=State.RUNNING)
    assert go_on(PLAIN, control, FIRST, SECOND) == f"{again}1 network was not tried yet{KEPT}"
    assert go_on(PLAIN, control, FIRST) == f"{again}2 networks were not tried yet{KEPT}"


def test_without_a_known_space_file_it_is_called_that() -> None:
    assert "under `candidates` in the space file and" in go_on(
        PLAIN, CONTROL, FIRST, SECOND, source=None, command=None
    )


@pytest.mark.parametrize(
    ("space", "architectures"),
    [(SPACE, 3), (SPACE, None), (LISTED, None), ({"data": {"validation_images": IMAGES}}, None)],
)
def test_where_candidates_are_sampled_more_trials_go_on(
    space: dict[str, Any], architectures: int | None
) -> None:
    line = go_on(PLAIN, CONTROL, FIRST, SECOND, space=space, architectures=architectures)
    assert line == f"- Search on: run the same command with `-o search.trials=8` (now 4){KEPT}"
