"""A report of 300 trials takes seconds."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from large_study import make_large_study

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 15.0  # of a core that something else may use as well; 8 on one left in peace


@pytest.mark.slow
def test_the_command_takes_seconds(tmp_path: Path) -> None:
    run = make_large_study(tmp_path)
    before = _seconds()
    done = subprocess.run(
        [sys.executable, "-m", "reports", str(run)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert _seconds() - before < MOST_SECONDS
    assert (run / "report" / "report.html").stat().st_size < 8 << 20


def _seconds() -> float:
    """Of processors, that ended children took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
