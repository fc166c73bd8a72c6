"""Latencies that were predicted: marked wherever they are shown, and explained."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from example_study import BEATEN, GC, IMAGES, OBJECTIVES, SPACE, architecture, latency, trial
from rich.console import Console

from models.cost import Cost
from reports.latency_protocol import how_latency_was_measured, impossibly_fast
from reports.live_view import LiveView
from reports.markdown import report
from reports.plain_view import PlainView
from reports.progress import ViewSettings
from reports.result import print_result
from reports.study import Study
from reports.tables import front_table, to_csv, trials_table
from reports.wording import latency_with_interval
from reports.write import write_report
from search.ledger import Ledger, Proposal
from search.trial import Role, State, Trial

BASELINE = trial(0, 0.90, role=Role.BASELINE, placed=architecture(), params=11_000_000)
MEASURED = trial(1, 0.92, latency_ms=10.4)


def predicted(number: int, accuracy: float, latency_ms: float, **more: Any) -> Trial:
    made = trial(number, accuracy, latency_ms=latency_ms, **more)
    return dataclasses.replace(made, latency=None, predicted_ms=latency_ms)


def later(number: int, predicted_ms: float, latency_ms: float = 10.0) -> Trial:
    """Predicted first, measured after its training."""
    return dataclasses.replace(trial(number, 0.9, latency_ms=latency_ms), predicted_ms=predicted_ms)


BEST = predicted(2, 0.95, 10.6, placed=GC)
WORSE = predicted(3, 0.85, 12.3, placed=BEATEN)
ALL = (BASELINE, MEASURED, BEST, WORSE)


def study(*trials: Trial, **more: Any) -> Study:
    return Study("study", OBJECTIVES, trials, SPACE, **more)


# Marked.


def test_reports_mark_what_is_predicted_and_nothing_else() -> None:
    text = report(study(*ALL))
    front, _, others = text.partition("### Fully trained, not on the front")
    table = front.partition("## Front")[2]
    assert "~" not in table, "what is predicted is not on the front, however good"
    assert "| 10.4 ms ± 0.4 % (p90 13.0) |" in table
    assert "| ~12.3 ms |" in others
    assert "| ~10.6 ms |" in others, "without an interval, of which nothing is known"
    for mark in ("~10.4", "~10.0"):
        assert mark not in text


@pytest.mark.parametrize("width", [50, 100, 160])
def test_the_terminals_result_shows_none(width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    print_result(console, ALL, OBJECTIVES, Path("runs/demo/report"), IMAGES)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "10.4 ms" in text
    assert "~" not in text


def test_the_views_mark_them() -> None:
    stream = io.StringIO()
    settings = ViewSettings("demo", 4, 2, OBJECTIVES, lambda: 0.0)
    plain = PlainView(stream, settings)
    live = LiveView(Console(file=io.StringIO(), width=160), settings)
    begun = dataclasses.replace(predicted(7, 0.5, 10.8), state=State.RUNNING)
    for view in (plain, live):
        view.known(ALL)
        view.trial_began(dataclasses.replace(begun, curve=()))
        view.trial_advanced(dataclasses.replace(begun, curve=()))
        view.trial_advanced(begun)
    assert "trial 7 latency ~10.8 ms" in stream.getvalue()
    shown = Console(file=io.StringIO(), width=160)
    shown.print(live.picture())
    assert isinstance(shown.file, io.StringIO)
    running, _, front = shown.file.getvalue().partition("front ─")
    assert "~10.8 ms" in running
    assert "~" not in front
    assert " 10.4 ms" in front


def test_tables_say_where_a_latency_comes_from() -> None:
    unknown = trial(4, state=State.FAILED, latency_ms=None)
    table = trials_table((*ALL, later(5, 10.2), unknown))
    assert table["latency_source"].tolist() == [
        "measured", "measured", "predicted", "predicted", pd.NA, "measured",
    ]  # fmt: skip
    row = table.iloc[2]
    assert row["latency_ms"] == 10.6
    assert pd.isna(row["latency_ratio"])
    assert pd.isna(row["latency_p90_ms"])
    front = front_table(ALL, OBJECTIVES, IMAGES)
    assert dict(zip(front["trial"], front["latency_source"], strict=True)) == {
        1: "measured",
        0: "measured",
    }
    assert ",10.600000,predicted,,,,,,,,,,,10.600000,1," in to_csv(table)


def test_from_the_ledger_to_the_files(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, OBJECTIVES, SPACE)
    ledger.note("latency_model", {"measured": 9, "error": 0.0123})
    for given, latency_ms, measured in (
        (Proposal(architecture(), Role.BASELINE), None, 10.0),
        (Proposal(GC), 10.5, None),
        (Proposal(BEATEN), 10.5, 10.0),
    ):
        number = ledger.begin(given, Cost(11_000_000, 9600, 5), 1, latency_ms)
        if measured:
            ledger.measured(number, latency(measured))
        ledger.epoch(number, trial(0, 0.9).curve)
        ledger.complete(number)
    folder = write_report(tmp_path)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "Latencies with ~, of 1 trial, are predicted from the measured ones" in text
    assert "95 % of these are predicted within 1.2 %" in text
    assert "1 trial predicted first and measured later: off by 5.0 % in the median" in text
    table = pd.read_csv(folder / "trials.csv")
    assert table["latency_source"].tolist() == ["measured", "predicted", "measured"]
    assert table["latency_ms"].tolist() == [10.0, 10.5, 10.0]


# Explained.


def test_without_predictions_nothing_is_said_of_them() -> None:
    text = how_latency_was_measured(study(BASELINE, MEASURED, latency_model={"error": 0.01}))
    assert "predicted" not in text
    assert "~" not in text
    assert text.endswith("the two plain backbones against each other: 0.2 % apart in the median, "
                         "0.2 % at most")  # fmt: skip


def test_predictions_are_counted() -> None:
    assert how_latency_was_measured(study(*ALL)).endswith(
        ". Latencies with ~, of 2 trials, are predicted from the measured ones by a sum over "
        "placements"
    )


@pytest.mark.parametrize("model", [{}, {"measured": 8, "error": None}])
def test_an_error_that_is_not_known_is_not_told(model: dict[str, Any]) -> None:
    text = how_latency_was_measured(study(*ALL, latency_model=model))
    assert "left out one by one" not in text


def test_the_error_of_leaving_one_out() -> None:
    text = how_latency_was_measured(study(*ALL, latency_model={"measured": 9, "error": 0.0234}))
    assert text.endswith(
        "placements; left out one by one, 95 % of these are predicted within 2.3 %"
    )


def test_how_far_predictions_were_off_where_both_are_known() -> None:
    checked = (later(5, 10.1), later(6, 9.8), later(7, 10.6))  # 1, 2 and 6 % off 10 ms
    text = how_latency_was_measured(study(*ALL, *checked))
    assert text.endswith(
        "; 3 trials predicted first and measured later: off by 2.0 % in the median, 6.0 % at most"
    )


def test_where_all_were_measured_later_no_mark_is_explained() -> None:
    text = how_latency_was_measured(study(BASELINE, later(5, 10.1)))
    assert "~" not in text
    assert "of 0 trials" not in text
    assert ". Some were at first predicted from the measured ones by a sum over placements" in text
    assert "1 trial predicted first and measured later: off by 1.0 % in the median" in text


def test_where_nothing_was_measured_there_is_no_protocol() -> None:
    assert how_latency_was_measured(study()) == ""
    assert how_latency_was_measured(study(trial(0, 0.9, latency_ms=None))) == ""
    assert how_latency_was_measured(study(BEST, WORSE)) == ""
    assert "**Latency:**" not in report(study(trial(0, 0.9, latency_ms=None)))


def test_intervals_and_rounds_of_all_that_were_measured() -> None:
    def measured(number: int, **values: Any) -> Trial:
        made = dataclasses.replace(latency(10.0), **values)
        return dataclasses.replace(trial(number, 0.9), latency=made)

    several = (
        measured(0, half_width=0.001, control=0.97, rounds=20),
        measured(1, half_width=0.002, control=1.01, rounds=50, engine="inference", batch=8),
        measured(2, half_width=0.009, control=1.001, rounds=30, core=None, clock="wall"),
    )
    text = how_latency_was_measured(study(*several))
    assert "20 to 50 rounds" in text
    assert (
        "(engine `eager`, `inference`, batch 1, 8, 32 × 32 pixels, on the worker's device)" in text
    )
    assert "± 0.2 % in the median, ± 0.9 % at most" in text
    assert "1.0 % apart in the median, 3.0 % at most" in text
    for words in ("pinned", "on the work's own clock"):
        assert words not in text
        assert words in how_latency_was_measured(study(BASELINE))


def test_a_prediction_never_measured_faster_than_the_baseline() -> None:
    """It is at least the plain backbone's first measurement, which the baseline's may exceed."""
    assert impossibly_fast((BASELINE, predicted(5, 0.9, 9.9)), BASELINE) == []
    (line,) = impossibly_fast(
        (BASELINE, predicted(5, 0.9, 9.0), trial(6, latency_ms=9.9)), BASELINE
    )
    assert "1 network that contains the baseline measured faster than it, by 1.0 %" in line


def test_why_one_has_only_a_prediction_is_said() -> None:
    unmeasured = dataclasses.replace(BEST, reason="its latency could not be measured: killed")
    text = report(study(BASELINE, MEASURED, unmeasured))
    (row,) = [line for line in text.splitlines() if "~10.6 ms" in line]
    assert "(its latency could not be measured: killed)" in row


def test_measurements_that_are_less_sure_than_asked_for_are_counted() -> None:
    asked = SPACE | {"latency": {"precision": 0.003}}
    made = Study("study", OBJECTIVES, (BASELINE, MEASURED), asked)
    expected = "(2 of 2 ran out of `latency.seconds` before the ± 0.3 % of `latency.precision`)"
    assert expected in how_latency_was_measured(made)
    made = Study("study", OBJECTIVES, (BASELINE, MEASURED), SPACE | {"latency": {"precision": 0.1}})
    assert "ran out of" not in how_latency_was_measured(made)


def test_p90_is_in_the_milliseconds_of_the_latency() -> None:
    """Of the report and of the table alike: the raw one may be of a slower minute."""
    slower = dataclasses.replace(MEASURED, latency_ms=5.2)
    (row,) = trials_table([slower]).to_dict("records")
    assert row["latency_p90_ms"] == pytest.approx(6.5)
    assert "(p90 6.50)" in latency_with_interval(slower)
