"""A search whose candidates inherit the weights of its baseline, from the command line."""

import subprocess

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

WARM = (
    "-o", "training.start=baseline", "-o", "training.warm.checks=2", "-o", "search.trials=4",
)  # fmt: skip


def test_candidates_inherit_the_baseline_and_some_are_checked_from_scratch(program):
    folder = program.runs / "smoke"
    first = program.run(*WARM)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Traceback" not in first.stdout + first.stderr

    weights = folder / "baseline.safetensors"
    done = subprocess.run(
        ["sha256sum", "--check", f"{weights.name}.sha256"], cwd=folder, check=True
    )
    assert done.returncode == 0

    report = (folder / "report" / "report.md").read_text(encoding="utf-8")
    assert "\n## Warm starts\n" in report
    assert (
        "Every trial inherits the baseline's weights and is trained for 1 epoch, 2 from" in report
    )
    assert "\n4 trials: " in report

    trials = pd.read_csv(folder / "report" / "trials.csv")
    by_number = trials.sort_values("trial").set_index("trial")
    roles = list(by_number["role"])
    assert roles == ["origin", "baseline", "control", "candidate", "candidate", "check", "check"]
    assert list(by_number["epochs"]) == [2, 1, 1, 1, 1, 2, 2]
    checks = by_number[by_number["role"] == "check"]["architecture_id"]
    tried = by_number[by_number["role"].isin(["control", "candidate"])]["architecture_id"]
    assert set(checks) <= set(tried)
    front = pd.read_csv(folder / "report" / "pareto.csv")
    assert not {"origin", "check"} & set(front["role"])

    before = weights.read_bytes()
    second = program.run(*WARM)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "the study already holds its trials" in second.stdout
    pd.testing.assert_frame_equal(pd.read_csv(folder / "report" / "trials.csv"), trials)
    assert weights.read_bytes() == before

    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    third = program.run(*WARM)
    assert third.returncode == 2
    assert third.stderr.startswith(f"error: {weights}: its SHA-256 is not the one the study began")
    assert third.stderr.count("\n") == 1
    assert "ray" not in third.stderr.lower()
