"""Finalists by real processes on the real test split, killed in between."""

import os
import signal

import pandas as pd
import pytest
from test_accidents import alive_after, descendants, wait_for

from search.ledger import Ledger
from search.trial import Role, State

pytestmark = pytest.mark.slow
# Ten networks after one epoch: some candidate is better than the backbone.
ASKED = (
    *("-o", "search.trials=10", "-o", "training.epochs=1", "-o", "search.early_stopping=none"),
    *("-o", "objectives.minimize=[params]", "--finalists", "1", "--seeds", "2"),
)


def finalists(folder):
    return [t for t in Ledger.read(folder).trials() if t.role is Role.FINALIST]


def test_finalists_are_the_same_whatever_happens_meanwhile(program):
    whole = program.run(*ASKED, "--study", "whole")
    assert whole.returncode == 0, whole.stderr
    assert "on the test split" in whole.stdout
    expected = finalists(program.runs / "whole")
    assert {t.seed for t in expected} == {1, 2}
    assert all(t.state is State.COMPLETE and t.judged.images == 10_000 for t in expected)

    process = program.start(*ASKED, "--study", "killed")
    wait_for(process, "finalist, seed 1")
    wait_for(process, "finalist")
    below = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not alive_after(below, 10), "processes are left behind"
    again = program.run(*ASKED, "--study", "killed")
    assert again.returncode == 0, again.stderr
    found = finalists(program.runs / "killed")
    assert [(t.number, t.seed, t.architecture, t.judged) for t in found] == [
        (t.number, t.seed, t.architecture, t.judged) for t in expected
    ]
    report = program.runs / "killed" / "report"
    assert "## Finalists" in (report / "report.md").read_text("utf-8")
    table = pd.read_csv(report / "finalists.csv")
    assert set(table["seeds"]) == {2}
    assert {"candidate", "baseline", "control"} <= set(table["kind"])
    assert len(pd.read_csv(report / "comparisons.csv")) >= 2

    more = program.run(*ASKED[:-1], "3", "--study", "killed")
    assert more.returncode == 0, more.stderr
    assert "epoch 1/1" in more.stdout
    assert {t.seed for t in finalists(program.runs / "killed")} == {1, 2, 3}
