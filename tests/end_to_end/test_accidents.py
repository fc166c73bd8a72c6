"""Ctrl-C, a second driver, a killed worker, GPUs that are not there: real signals and processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from search.ledger import Ledger
from search.trial import State

pytestmark = pytest.mark.slow
LONG = ("-o", "training.epochs=40", "-o", "search.trials=4")


def wait_for(process, text, limit_s=120):
    """Reads the program's lines until one holds `text`."""
    deadline = time.monotonic() + limit_s
    for line in process.stdout:
        if text in line:
            return line
        assert time.monotonic() < deadline, f"no {text!r} in {limit_s} s"
    raise AssertionError(f"the program ended without {text!r}: {process.stderr.read()}")


def descendants(pid):
    """All living processes below `pid`."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, queue = set(), [pid]
    while queue:
        for child in children.get(queue.pop(), ()):
            found.add(child)
            queue.append(child)
    return found


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly_and_the_same_command_continues(program, number, code):
    process = program.start(*LONG)
    wait_for(process, "epoch 3/40")
    below = descendants(process.pid)
    assert below
    os.killpg(process.pid, number)  # as the terminal does: the whole group gets it
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "continues" in err
    assert "Traceback" not in out + err
    before = Ledger.read(program.runs / "smoke").trials()
    assert [trial.state for trial in before] == [State.RUNNING] * 2
    assert not alive_after(below, 10), "processes are left behind"

    done = program.run(*LONG)
    assert done.returncode == 0, done.stderr
    went_on(program, before)


def test_a_killed_driver_leaves_nothing_behind_and_the_same_command_continues(program):
    process = program.start(*LONG)
    wait_for(process, "epoch 3/40")
    below = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not alive_after(below, 10), "processes are left behind"
    before = Ledger.read(program.runs / "smoke").trials()
    assert [trial.state for trial in before] == [State.RUNNING] * 2

    done = program.run(*LONG)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    went_on(program, before)


def test_a_trial_that_ended_before_the_kill_is_not_run_again(program):
    """To the second: its row is as it was; the one that ran goes on under its number."""
    asked = ("-o", "training.epochs=30", "-o", "search.trials=3", "-o", "search.workers=1")
    process = program.start(*asked)
    wait_for(process, "trial 1 epoch 3/30")
    below = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not alive_after(below, 10), "processes are left behind"
    before = Ledger.read(program.runs / "smoke")
    assert [trial.state for trial in before.trials()] == [State.COMPLETE, State.RUNNING]
    ran = before.trial(1)
    assert 2 <= len(ran.curve) < 30

    done = program.run(*asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trial 0 epoch" not in done.stdout
    assert "trial 1 epoch 1/30" not in done.stdout
    after = Ledger.read(program.runs / "smoke")
    was, now = before.frozen(0), after.frozen(0)
    assert (now.values, now.user_attrs) == (was.values, was.user_attrs), "its values, its seconds"
    assert (now.datetime_start, now.datetime_complete) == (
        was.datetime_start,
        was.datetime_complete,
    )
    assert after.frozen(0).datetime_complete is not None
    assert after.trial(1).architecture == ran.architecture
    assert after.frozen(1).datetime_start == before.frozen(1).datetime_start
    assert after.trial(1).curve[: len(ran.curve) - 1] == ran.curve[:-1], "trained again"
    trials = after.trials()
    assert len({trial.architecture_id for trial in trials}) == len(trials) == 3
    assert all(trial.state in {State.COMPLETE, State.STOPPED} for trial in trials)
    assert all([e.epoch for e in t.curve] == list(range(1, len(t.curve) + 1)) for t in trials)
    assert not list((program.runs / "smoke/checkpoints").iterdir())


def alive_after(processes, seconds):
    """Those that still live; waits no longer than it must."""
    deadline = time.monotonic() + seconds
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return [pid for pid in processes if is_alive(pid)]


def went_on(program, before):
    """The study is complete, and what was trained before was not trained again."""
    after = Ledger.read(program.runs / "smoke").trials()
    assert [t.architecture_id for t in after[:2]] == [t.architecture_id for t in before]
    assert len(after) == 4
    assert len({t.architecture_id for t in after}) == 4
    assert all(t.state in {State.COMPLETE, State.STOPPED} for t in after)
    assert all([e.epoch for e in t.curve] == list(range(1, len(t.curve) + 1)) for t in after)
    for was, now in zip(before, after, strict=False):
        # The last record may be of an epoch whose checkpoint was not there yet.
        known = max(0, len(was.curve) - 1)
        assert now.curve[:known] == was.curve[:known], "trained again"
    assert not list((program.runs / "smoke/checkpoints").iterdir())


def test_a_second_driver_is_sent_away(program):
    first = program.start(*LONG)
    try:
        wait_for(first, "began")
        second = program.run(*LONG)
        assert second.returncode == 5
        assert f"process {first.pid}" in second.stderr
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)


@pytest.mark.parametrize("times", [1, 2])
def test_a_killed_worker_is_replaced_once(program, times):
    process = program.start("-o", "training.epochs=60", "-o", "search.trials=3")
    for epoch in (3, 20)[:times]:
        wait_for(process, f"trial 0 epoch {epoch}/60")
        os.kill(worker_of(program, process, 0), signal.SIGKILL)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert "the worker process died" in out
    assert err == ""
    assert "Traceback" not in out
    assert "raylet" not in out
    hit, *others = Ledger.read(program.runs / "smoke").trials()
    assert len(others) == 2
    assert all(trial.state in {State.COMPLETE, State.STOPPED} for trial in others)
    assert hit.state is (State.COMPLETE if times == 1 else State.FAILED)
    assert hit.reason == "" if times == 1 else "died" in hit.reason
    assert [e.epoch for e in hit.curve] == list(range(1, len(hit.curve) + 1))


def worker_of(program, process, trial):
    """The process that trains a trial, as the study says."""
    pid = Ledger.read(program.runs / "smoke").trials()[trial].worker.process
    assert pid in descendants(process.pid)
    return pid


def test_gpus_that_are_not_there_are_refused(program):
    done = program.run("--gpus-per-trial", "0.5")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "search.gpus_per_trial" in done.stderr


def test_ray_places_trials_by_their_share_of_a_simulated_gpu(tmp_path):
    """Two half GPUs: both tasks run at a time. This Paddle has no GPU, which is their failure."""
    code = textwrap.dedent("""
        import sys
        from pathlib import Path
        from search import runner  # before Ray, which reads its settings when it is imported
        import ray
        from search.driver import Driver
        from models.interruption import Interruption
        from search.ledger import Ledger
        from search.space import load_space
        from trainers.data.store import prepare

        ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
        given = ["search.gpus_per_trial=0.5", "search.trials=2"]
        space = load_space(Path("spaces/smoke.yaml"), given)
        folder = Path(sys.argv[1])
        ledger = Ledger.open(folder, space.objective_names, space.file.fingerprint)
        seen = []
        original = runner.tune.run
        def spy(*args, **kwargs):
            seen.append((kwargs["resources_per_trial"], kwargs["max_concurrent_trials"]))
            return original(*args, **kwargs)
        runner.tune.run = spy
        driver = Driver(space, ledger, prepare(space.file.data))
        runner.run(driver, space.file.search, Interruption(), folder)
        print(seen, [trial.reason for trial in ledger.trials()])
    """)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert "{'cpu': 1.0, 'gpu': 0.5}, 2" in last
    assert last.count("gpu") >= 2


def test_no_second_ray_is_begun_after_the_first_was_ended() -> None:
    """Ray would start one for whatever a thread still asks of it, and wait a minute for it."""
    code = (
        "from search import runner; from ray._private import auto_init_hook as hook; "
        "raise SystemExit(hook.enable_auto_connect)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    assert (
        subprocess.run(command, cwd=Path(__file__).resolve().parents[2], check=False).returncode
        == 0
    )
