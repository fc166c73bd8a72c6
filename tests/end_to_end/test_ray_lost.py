"""Ray's own processes are killed, or cannot be started: the search goes on, or says why not."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from small_disk import small_file_system
from test_accidents import LONG, alive_after, descendants, wait_for, went_on

from run_search import BEGUN_AGAIN, MOST_OFTEN
from search.ledger import Ledger

pytestmark = pytest.mark.slow


def named(process, name):
    """The process below `process` that is called `name`."""
    below = descendants(process.pid)
    return next(p for p in below if Path(f"/proc/{p}/comm").read_text().strip() == name)


@pytest.mark.parametrize("name", ["raylet", "gcs_server"])
def test_a_search_that_loses_ray_goes_on_by_itself(program, name):
    process = program.start(*LONG)
    wait_for(process, "epoch 3/40")
    below = descendants(process.pid)
    before = Ledger.read(program.runs / "smoke").trials()
    os.kill(named(process, name), signal.SIGKILL)
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, out + err
    assert out.count("the search begins again by itself") == 1
    assert f"Ray's {name} has ended" in err
    assert "Traceback" not in out + err
    assert not alive_after(below, 1), "processes are left behind"
    went_on(program, before)


def test_one_that_loses_it_again_and_again_says_so(program, monkeypatch):
    monkeypatch.setenv(BEGUN_AGAIN, str(MOST_OFTEN))
    process = program.start(*LONG)
    wait_for(process, "epoch 3/40")
    below = descendants(process.pid)
    os.kill(named(process, "raylet"), signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, out + err
    assert "goes on from its last epoch where the same command is given once more" in err
    assert not alive_after(below, 10), "processes are left behind"


def test_a_temporary_folder_without_room_is_told_at_once(program, monkeypatch):
    # Its path must leave room for Ray's sockets.
    with (
        tempfile.TemporaryDirectory(dir="/tmp", prefix="s") as place,
        small_file_system(Path(place) / "d") as folder,
    ):
        monkeypatch.setenv("TMPDIR", str(folder))
        done = program.run(*LONG)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "MB of room, of which Ray needs 32" in done.stderr
    assert "TMPDIR" in done.stderr


def test_too_few_open_files_are_told_of(program):
    """Ray waits half a minute for what cannot start."""
    command = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *program.command(*LONG)]
    done = subprocess.run(
        command, cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Ray cannot be started" in done.stderr
    assert "ulimit -n" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
