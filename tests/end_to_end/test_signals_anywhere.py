"""Signals at any moment, also while libraries are loaded and Ray starts; and in pipes."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from test_accidents import LONG, alive_after, descendants, wait_for, went_on

from search.ledger import Ledger

pytestmark = pytest.mark.slow
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def takes_signals(pid, limit_s=10):
    """Waits until SIGINT and SIGTERM are the program's; before, they are the interpreter's."""
    wanted = sum(1 << (number - 1) for number in CODES)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught & wanted == wanted:
            return
        time.sleep(0.005)
    raise AssertionError(f"it takes no signals in {limit_s} s")


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("after_s", [0, 0.2, 0.5, 0.8, 1.2, 1.7, 2.3, 3, 4, 5])
def test_while_it_starts(program, number, after_s):
    process = program.start(*LONG)
    takes_signals(process.pid)
    time.sleep(after_s)
    below = descendants(process.pid)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == CODES[number], out + err
    assert err.count("stopped. The same command continues this search.") == 1
    assert "Traceback" not in out + err
    assert "FatalError" not in out + err
    assert not alive_after(below, 10), "processes are left behind"


def test_in_a_pipe_whose_reader_gets_the_signal_as_well(program, tmp_path):
    """`run_search.py … 2>&1 | tee log`, and Ctrl-C."""
    log = tmp_path / "log"
    search = subprocess.Popen(
        program.command(*LONG), cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    tee = subprocess.Popen(["tee", log], stdin=search.stdout, stdout=subprocess.DEVNULL)
    search.stdout.close()
    deadline = time.monotonic() + 120
    while not (log.exists() and "epoch 3/40" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    below = descendants(search.pid)
    tee.send_signal(signal.SIGINT)
    tee.wait(timeout=10)
    os.killpg(search.pid, signal.SIGINT)
    assert search.wait(timeout=30) == 130
    assert not alive_after(below, 10), "processes are left behind"
    before = Ledger.read(program.runs / "smoke").trials()
    assert before
    done = program.run(*LONG)
    assert done.returncode == 0, done.stderr
    went_on(program, before)


def test_a_reader_that_goes_away_ends_no_search(program):
    """`run_search.py … | head -1`."""
    process = program.start("-o", "training.epochs=2", "-o", "search.trials=2")
    wait_for(process, "trial")
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=120) == 0
    assert (program.runs / "smoke" / "report" / "report.md").exists()
