"""A whole search with its study on a real PostgreSQL server, which goes away for half a minute."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql_server import PASSWORD, Server, running

from search.ledger import Ledger
from search.study_server import StudyServer, parse_address
from search.trial import State

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
LONG = ("-o", "training.epochs=20", "-o", "search.trials=3")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


def trials(program, server):
    place = StudyServer(parse_address(server.url), program.study)
    try:
        return Ledger.read(program.runs / program.study, place).trials()
    finally:
        place.close()


@pytest.fixture
def begun(program, server, request):
    """A search after a few epochs, and how to start the same again."""
    program.study = request.node.name
    asked = (*LONG, "--storage", server.url, "--study", program.study)
    process = program.start(*asked)
    for line in process.stdout:
        if "epoch 2/20" in line:
            break
    else:
        pytest.fail(process.stderr.read())
    yield process, asked
    process.kill()
    process.communicate()


def test_it_is_away_for_half_a_minute(program, server, begun):
    process, asked = begun
    server.stop()
    time.sleep(30)
    assert process.poll() is None
    server.start()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert "does not answer" in out + err
    found = trials(program, server)
    assert len(found) == 3
    assert all(t.state in {State.COMPLETE, State.STOPPED} for t in found)
    assert all([e.epoch for e in t.curve] == list(range(1, len(t.curve) + 1)) for t in found)

    folder = program.runs / program.study
    report = [sys.executable, "-m", "reports", str(folder)]
    without = subprocess.run(report, cwd=ROOT, capture_output=True, text=True, check=False)
    assert without.returncode == 2
    assert f"belongs to a study in {server.masked}: give --storage" in without.stderr
    (folder / "report/report.md").unlink()
    written = subprocess.run(
        [*report, "--storage", server.url], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert written.returncode == 0, written.stderr
    assert f"optuna-dashboard {server.masked}" in (folder / "report/report.md").read_text()
    said = (
        out
        + err
        + without.stderr
        + written.stdout
        + server.sql("SELECT * FROM study_user_attributes")
    )
    assert PASSWORD not in said
    assert not [p for p in folder.rglob("*") if p.is_file() and PASSWORD.encode() in p.read_bytes()]
    assert program.run(*asked).returncode == 0  # nothing is left to do


def test_a_killed_driver_is_followed_by_another_and_two_are_one_too_many(program, server, begun):
    process, asked = begun
    elsewhere = type(program)(program.runs.with_name("elsewhere"))  # another machine's folder
    second = elsewhere.run(*asked)
    assert second.returncode == 5
    assert f"in use by process {process.pid} on" in second.stderr
    assert PASSWORD not in second.stderr
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    before = trials(program, server)
    assert [trial.state for trial in before] == [State.RUNNING] * 2

    done = program.run(*asked)
    assert done.returncode == 0, done.stderr
    after = trials(program, server)
    assert [t.architecture_id for t in after[:2]] == [t.architecture_id for t in before]
    assert len({t.architecture_id for t in after}) == len(after) == 3
    for was, now in zip(before, after, strict=False):
        assert now.curve[: len(was.curve) - 1] == was.curve[:-1], "trained again"


def test_ctrl_c_while_it_is_away_ends_at_once(program, server, begun):
    process, asked = begun
    server.stop()
    try:
        time.sleep(3)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - began < 20
    finally:
        server.start()
    assert process.returncode == 130, out + err
    done = program.run(*asked)
    assert done.returncode == 0, done.stderr
    assert len(trials(program, server)) == 3
