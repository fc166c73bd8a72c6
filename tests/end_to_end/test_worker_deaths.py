"""Workers that die by themselves, and a second Ctrl-C: real processes and signals."""

import os
import signal

import pytest
from test_accidents import LONG, alive_after, descendants, wait_for, went_on, worker_of

from search.ledger import Ledger
from search.trial import State

pytestmark = pytest.mark.slow
SHORT = ("-o", "training.epochs=40", "-o", "search.trials=3")

# Every Python process reads this when it begins. A worker that trains trial 1 ends itself after its
# second epoch, or reads what is not its own, as often as it may.
DYING = """
import os, pathlib, sys
LIVES, HOW = pathlib.Path(os.environ["TEST_LIVES"]), os.environ["TEST_HOW"]

def die():
    try:
        next(LIVES.glob("life-*")).unlink()
    except (StopIteration, FileNotFoundError):
        return
    if HOW == "exit":
        os._exit(7)
    import ctypes
    ctypes.string_at(0)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name != "trainers.candidate":
            return None
        sys.meta_path.remove(self)
        from trainers.checkpoint import Checkpoints
        original = Checkpoints.save
        def save(self, arrays, curve):
            original(self, arrays, curve)
            if len(curve) >= 2 and self._folder.name == "trial-00001":
                die()
        Checkpoints.save = save
        return None

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(("how", "lives"), [("exit", 1), ("exit", 2), ("segfault", 1)])
def test_a_worker_that_ends_itself_is_replaced_once(program, tmp_path, monkeypatch, how, lives):
    """`os._exit` as a library may call it; a segmentation fault of the worker's own making."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DYING)
    for number in range(lives):
        (tmp_path / f"life-{number}").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("TEST_LIVES", str(tmp_path))
    monkeypatch.setenv("TEST_HOW", how)
    done = program.run(*SHORT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(tmp_path.glob("life-*")), "no worker has died"
    trials = Ledger.read(program.runs / "smoke").trials()
    hit = trials[1]
    assert done.stdout.count("trial 1 is tried once more: the worker process died") == 1
    assert hit.state is (State.COMPLETE if lives == 1 else State.FAILED)
    assert hit.reason == "" if lives == 1 else "died" in hit.reason
    others = [trial for trial in trials if trial is not hit]
    assert {trial.state for trial in others} <= {State.COMPLETE, State.STOPPED}
    assert all([e.epoch for e in t.curve] == list(range(1, len(t.curve) + 1)) for t in trials)


def test_a_segfault_from_outside_is_one_death(program):
    process = program.start(*SHORT)
    wait_for(process, "trial 0 epoch 3/40")
    below = descendants(process.pid)
    os.kill(worker_of(program, process, 0), signal.SIGSEGV)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert "trial 0 is tried once more: the worker process died" in out
    trials = Ledger.read(program.runs / "smoke").trials()
    assert trials[0].state is State.COMPLETE
    assert [e.epoch for e in trials[0].curve] == list(range(1, 41))
    assert not alive_after(below, 10), "processes are left behind"


def test_a_second_ctrl_c_ends_it_at_once_and_it_still_goes_on(program):
    process = program.start(*LONG)
    wait_for(process, "epoch 3/40")
    below = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    while "stopping" not in (line := process.stderr.readline()):  # else two may become one
        assert line, "it ended without a word"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    _, err = process.communicate(timeout=30)  # its workers write into the same pipes
    assert "Traceback" not in err
    assert not alive_after(below, 10), "processes are left behind"
    before = Ledger.read(program.runs / "smoke").trials()
    assert {trial.state for trial in before} == {State.RUNNING}
    done = program.run(*LONG)
    assert done.returncode == 0, done.stderr
    went_on(program, before)
