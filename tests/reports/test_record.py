import dataclasses
import json
import math
from pathlib import Path

import pandas as pd
import pytest
from example_study import OBJECTIVES, SPACE, trial

from reports.findings import Findings
from reports.record import FORMAT, VERSION, record
from reports.study import Study


@pytest.fixture
def content(written: Path) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((written / "report.json").read_text(encoding="utf-8"))
    return loaded


def test_it_says_what_it_is(content: dict[str, object]) -> None:
    assert (content["format"], content["version"]) == (FORMAT, VERSION)
    described = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    for key in content:
        assert f"`{key}`" in described, f"docs/report.md does not describe {key}"


def test_tables_are_those_of_the_other_files(written: Path, content: dict[str, object]) -> None:
    for key, name in {
        "trials": "trials", "front": "pareto", "effects": "effects", "curves": "curves",
    }.items():  # fmt: skip
        parquet = pd.read_parquet(written / f"{name}.parquet")
        rows = content[key]
        assert isinstance(rows, list)
        assert len(rows) == len(parquet)
        if rows:
            assert list(rows[0]) == list(parquet.columns)
            assert rows[0]["trial"] == parquet["trial"][0]


def test_parquet_keeps_what_csv_rounds(written: Path) -> None:
    parquet, text = pd.read_parquet(written / "trials.parquet"), pd.read_csv(written / "trials.csv")
    assert list(parquet.columns) == list(text.columns)
    assert parquet["params"].tolist() == text["params"].tolist()
    assert str(parquet["val_accuracy"].dtype) == "Float64"
    curves = pd.read_parquet(written / "curves.parquet")
    assert curves.groupby("trial")["epoch"].max().to_dict()[3] == 2


def test_odd_numbers_are_null_and_the_text_is_strict_json() -> None:
    study = Study("s", OBJECTIVES, (trial(0, 0.9),), SPACE)
    odd = dataclasses.replace(study, machine={"a": math.inf, "b": [math.nan], "c": "\udc80"})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(record(odd, Findings.of(odd)), parse_constant=refuse)
    assert content["study"]["machine"] == {"a": None, "b": [None], "c": "\\udc80"}
