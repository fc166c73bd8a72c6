"""Somebody sets the clock of the machine in mid-search: by a day forward, by a day back.

The clock is that of every process of the search, Ray's included, and no other's: a library that is
preloaded adds a number to what the kernel says.
"""

import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_accidents import wait_for

from search.ledger import Ledger
from search.trial import State

pytestmark = pytest.mark.slow
DAY_S = 24 * 3600
SOURCE = Path(__file__).with_name("jumping_clock.c")


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """Sets the clock of what is started, in seconds from the true one."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler: apt-get install gcc libc6-dev")
    library, seconds = tmp_path / "clock.so", tmp_path / "seconds"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)

    seconds.write_bytes(bytes(8))

    def jump(to):
        with seconds.open("r+b") as file:  # not truncated: others have it mapped
            file.write(struct.pack("=q", to))

    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("JUMPING_CLOCK", str(seconds))
    yield jump
    jump(0)


def test_the_clock_jumps_for_what_is_started(clock):
    clock(DAY_S)
    code = "import time; print(time.time(), time.monotonic())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wall, monotonic = map(float, told.stdout.split())
    assert wall == pytest.approx(time.time() + DAY_S, abs=60)
    assert monotonic == pytest.approx(time.monotonic(), abs=60)


@pytest.mark.parametrize("first", [DAY_S, -DAY_S])
def test_nothing_times_out_and_durations_are_true(program, clock, first):
    began = time.monotonic()
    process = program.start(
        *("-o", "training.epochs=20", "-o", "search.trials=3", "-o", "search.timeout_minutes=10")
    )
    wait_for(process, "trial 0 epoch 2/20")
    clock(first)
    wait_for(process, "epoch 6/20")
    clock(-first)
    out, err = process.communicate(timeout=300)
    took = time.monotonic() - began
    assert process.returncode == 0, out + err
    assert err == ""
    assert "once more" not in out
    assert "no more candidates" not in out
    trials = Ledger.read(program.runs / "smoke").trials()
    assert len(trials) == 3
    assert all(trial.state in {State.COMPLETE, State.STOPPED} for trial in trials)
    for trial in trials:
        assert trial.latency is not None
        assert 0 < trial.latency.ratio < 100
        assert all(0 < epoch.train_seconds < took for epoch in trial.curve)
        assert all(0 < epoch.validation_seconds < took for epoch in trial.curve)
