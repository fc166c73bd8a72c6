"""The machine-wide locks that keep trainings from disturbing measurements: real processes."""

import multiprocessing
import time
from pathlib import Path

import pytest

from trainers.quiet import Quiet

SPAWN = multiprocessing.get_context("spawn")


def _train_without_pause(folder: Path, steps, stop) -> None:
    quiet = Quiet(folder)
    while not stop.is_set():
        with quiet.training():
            time.sleep(0.01)
            steps.value += 1


@pytest.fixture
def trainings(tmp_path):
    stop, counts = SPAWN.Event(), [SPAWN.Value("i", 0) for _ in range(2)]
    processes = [
        SPAWN.Process(target=_train_without_pause, args=(tmp_path, count, stop), daemon=True)
        for count in counts
    ]
    for process in processes:
        process.start()
    deadline = time.monotonic() + 30
    while not all(count.value for count in counts):
        assert time.monotonic() < deadline, "the trainings did not start"
        time.sleep(0.01)
    yield counts, processes
    stop.set()
    for process in processes:
        process.kill()
        process.join()


def test_no_training_steps_during_a_measurement_and_they_go_on_after(trainings, tmp_path):
    counts, _ = trainings
    quiet = Quiet(tmp_path)
    began = time.monotonic()
    with quiet.measuring() as alone:
        waited = time.monotonic() - began
        before = [count.value for count in counts]
        time.sleep(0.2)
        during = [count.value for count in counts]
    time.sleep(0.3)
    after = [count.value for count in counts]
    quiet.close()
    assert alone
    assert waited < 2.0  # two trainings that never rest do not starve it
    assert during == before
    assert all(later > earlier for later, earlier in zip(after, during, strict=True))


def test_two_measurements_take_turns(tmp_path):
    first, second = Quiet(tmp_path), Quiet(tmp_path)
    with first.measuring(), second.measuring(patience_s=0.05) as alone:
        assert not alone
    with second.measuring() as alone:
        assert alone


def test_a_killed_training_frees_the_locks(trainings, tmp_path):
    _, processes = trainings
    for process in processes:
        process.kill()
        process.join()
    with Quiet(tmp_path).measuring(patience_s=5) as alone:
        assert alone


def test_a_suspended_training_does_not_hold_a_measurement_up_for_ever(tmp_path):
    with Quiet(tmp_path).training(), Quiet(tmp_path).measuring(patience_s=0.1) as alone:
        assert not alone
