import csv
import io
import math

import pandas as pd
import pytest
from example_study import IMAGES, OBJECTIVES, architecture, trial

from reports.gains import gain, half_width
from reports.tables import (
    FRONT_COLUMNS,
    TRIAL_COLUMNS,
    effects_table,
    front_table,
    to_csv,
    trials_table,
)
from search.effects import Effect, Gain
from search.trial import Role, State

FIRST = [
    "trial", "state", "role", "name", "reason", "architecture_id", "placements", "val_accuracy",
    "params", "summary_params", "macs", "latency_ms", "latency_source", "latency_ratio",
    "latency_ratio_interval", "latency_control", "latency_p90_ms", "latency_engine",
    "latency_clock", "latency_core", "latency_batch", "latency_rounds", "latency_quiet",
    "predicted_ms", "epochs", "train_seconds",
    "images_per_second", "threads", "device", "precision",
    "micro_batches", "host", "seed", "of_trial", "test_accuracy", "test_images",
]  # fmt: skip


def test_trials_are_rows_by_number() -> None:
    late = trial(7, 0.1, state=State.STOPPED, reason="patience: none")
    table = trials_table([late, trial(2, 0.5, 0.9)])
    assert list(table.columns) == FIRST
    assert list(table["trial"]) == [2, 7]
    row = table.iloc[0]
    assert row["placements"] == "stage3.block2.before_add=se(reduction=4)"
    assert row["val_accuracy"] == 0.9
    assert row["epochs"] == 2
    assert row["train_seconds"] == 40
    assert row["latency_p90_ms"] == 12.5
    assert (row["latency_engine"], row["latency_clock"], row["latency_core"]) == (
        "eager", "thread", 1,
    )  # fmt: skip
    assert (row["host"], row["precision"]) == ("worker-a", "float32")
    assert table.iloc[1]["state"] == "stopped"


def test_what_is_not_known_is_missing() -> None:
    table = trials_table([trial(0, state=State.RUNNING, latency_ms=None)])
    columns = ("val_accuracy", "latency_ms", "train_seconds", "threads", "host", "reason", "name")
    for column in columns:
        assert table[column].isna().all()
    assert table["epochs"].iloc[0] == 0


@pytest.mark.parametrize("rows", [0, 1])
def test_dtypes_do_not_depend_on_the_rows(rows: int) -> None:
    trials = [trial(0, 0.9)][:rows]
    assert {k: str(v) for k, v in trials_table(trials).dtypes.items()} == dict(TRIAL_COLUMNS)
    table = front_table(trials, OBJECTIVES, IMAGES)
    assert {k: str(v) for k, v in table.dtypes.items()} == dict(FRONT_COLUMNS)


def test_gains_and_intervals_by_hand() -> None:
    # p = 0.9 and q = 0.8, n = 100: 1.96 · sqrt(0.0009 + 0.0016) = 1.96 · 0.05 = 0.098
    trials = [
        trial(0, 0.80, role=Role.BASELINE, placed=architecture(), params=100),
        trial(1, 0.90, params=200),
    ]
    table = front_table(trials, OBJECTIVES, 100)
    assert list(table["trial"]) == [1, 0]
    assert table["gain"].iloc[0] == pytest.approx(0.1)
    assert table["gain_interval"].iloc[0] == pytest.approx(0.098)
    assert not table["within_noise"].iloc[0]
    assert table["gain"].iloc[1] == 0
    assert pd.isna(table["gain_interval"].iloc[1])
    assert front_table(trials, OBJECTIVES, 90)["within_noise"].iloc[0]


def test_half_width_of_one_accuracy() -> None:
    assert half_width(0.5, 10_000) == pytest.approx(0.0098)
    assert gain(0.5, 0.5, 10_000).half_width == pytest.approx(0.0098 * math.sqrt(2))


def test_no_baseline_no_gain() -> None:
    table = front_table([trial(1, 0.9)], OBJECTIVES, IMAGES)
    assert table["gain"].isna().all()
    assert table["within_noise"].isna().all()


def test_an_unfinished_baseline_is_none() -> None:
    baseline = trial(0, 0.5, role=Role.BASELINE, state=State.FAILED)
    assert front_table([baseline, trial(1, 0.9)], OBJECTIVES, IMAGES)["gain"].isna().all()


def test_stopped_trials_are_never_on_the_front() -> None:
    others = [
        trial(n, 0.99, params=1, latency_ms=0.1, state=state)
        for n, state in enumerate(State, start=1)
        if state is not State.COMPLETE
    ]
    assert list(front_table([trial(0, 0.5), *others], OBJECTIVES, IMAGES)["trial"]) == [0]


def test_csv_has_six_decimals_and_whole_counts() -> None:
    line = to_csv(trials_table([trial(0, 0.9)])).splitlines()[1]
    assert ",0.900000,11200000," in line


def test_effects_have_a_row_each() -> None:
    known = Effect("type", "se", 7, Gain(0.01, -0.005, 0.025), Gain(0.02, 0.01, 0.03))
    unknown = Effect("stage", "stage3", 1, Gain(0.0, -0.1, 0.1), None)
    lines = to_csv(effects_table([known, unknown])).splitlines()
    assert lines[0] == (
        "property,value,trials,model_gain,model_low,model_high,trials_gain,trials_low,trials_high"
    )
    assert lines[1] == "type,se,7,0.010000,-0.005000,0.025000,0.020000,0.010000,0.030000"
    assert lines[2] == "stage,stage3,1,0.000000,-0.100000,0.100000,,,"
    assert len(to_csv(effects_table([])).splitlines()) == 1


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_is_a_formula_to_a_spreadsheet(sign: str) -> None:
    failed = trial(3, state=State.FAILED, reason=f"{sign}HYPERLINK(A1) =B2")
    (row,) = csv.DictReader(io.StringIO(to_csv(trials_table([failed])), newline=""))
    shown = f"'{sign}" if sign.isprintable() else " "
    assert row["reason"] == f"{shown}HYPERLINK(A1) =B2"
    assert row["name"] == ""
    assert row["params"] == str(failed.params)
