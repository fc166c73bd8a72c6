"""A report of 300 trials takes seconds."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from large_study import make_large_study

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 10.0


@pytest.mark.slow
def test_the_command_takes_less_than_ten_seconds(tmp_path: Path) -> None:
    run = make_large_study(tmp_path)
    times = []
    for _ in range(2):  # the machine may be busy with something else
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "reports", str(run)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        times.append(time.perf_counter() - begun)
        assert (done.returncode, done.stderr) == (0, "")
    assert min(times) < MOST_SECONDS
    assert (run / "report" / "report.html").stat().st_size < 8 << 20
