"""Steps measured in processes of their own: real ones on a tiny network, and ones that fail."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import make_block
from trainers import step_time
from trainers.config import DataConfig, LatencyConfig, TrainingConfig
from trainers.data.cifar10 import FACTS
from trainers.latency import seconds_of_measuring
from trainers.messages import Task
from trainers.step_processes import STEP_TIMES, TASKS, StepProcesses, StepTime, StepTimeError
from trainers.step_time import measure_steps

SIDE = 32
SE = Placement(Slot(4, 2, "before_add"), make_block("se", {"reduction": 4}))


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """A tiny network on as many images as the real set has, since its processes expect those."""
    shape = (FACTS.train.images, SIDE, SIDE, 3)
    images = np.lib.format.open_memmap(tmp_path / "train_images.npy", "w+", np.uint8, shape)
    images.flush()
    np.save(tmp_path / "train_labels.npy", np.arange(len(images)) % 10)
    return Task(
        architecture=Architecture(Backbone(width=0.0625), (SE,)),
        data=DataConfig(image_size=SIDE, train_images=64, validation_images=20),
        data_folder=str(tmp_path),
        training=TrainingConfig(batch_size=16, learning_rate=100.0, mixup=0.5),
        latency=LatencyConfig(seconds=0.4),
        seed=0,
    )


def script(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", "import sys; sys.stdin.readline(); " + code)


def test_tasks_travel_as_json(task: Task) -> None:
    assert TASKS.validate_json(TASKS.dump_json([task])) == [task]
    found = [StepTime(0.1, 0.2, 0.3, 0.4)]
    assert STEP_TIMES.validate_json(STEP_TIMES.dump_json(found)) == found


def test_processes_measure_side_by_side(task: Task) -> None:
    plain = replace(task, architecture=Architecture(Backbone(width=0.0625)))
    with StepProcesses(2) as processes:
        answers = processes.measure([plain, task], time_limit_s=120)
    assert [len(answer) for answer in answers] == [2, 2]
    for found in (found for answer in answers for found in answer):
        assert 0 < found.validation_seconds < found.train_seconds < 1
        assert found.setup_seconds > 0
        assert found.latency_seconds >= 0.4


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.exit('warning: x\\nValueError: no such thing')", "ValueError: no such thing"),
        ("sys.exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "their process was ended by signal 9"),
        ("print('hello')", "their process gave no answer"),
        ("", "their process gave no answer"),
    ],
)
def test_a_process_that_fails(task: Task, code: str, reason: str) -> None:
    with StepProcesses(1, script(code)) as processes, pytest.raises(StepTimeError) as raised:
        processes.measure([task])
    assert str(raised.value) == reason


def test_a_device_that_is_not_there(task: Task) -> None:
    with StepProcesses(1) as processes, pytest.raises(StepTimeError, match=r"(?i)cuda|gpu"):
        processes.measure([replace(task, device="gpu")], time_limit_s=120)


def test_processes_that_take_too_long_are_ended(task: Task) -> None:
    began = time.monotonic()
    with StepProcesses(2, script("import time; time.sleep(60)")) as processes:
        children = [process.pid for process in processes._processes]
        with pytest.raises(StepTimeError, match=r"longer than 0\.2 s"):
            processes.measure([task], time_limit_s=0.2)
    assert time.monotonic() - began < 10
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_no_process_can_be_started(task: Task) -> None:
    refused = pytest.raises(StepTimeError, match="no process could be started")
    with StepProcesses(1, ("/no/such/program",)) as processes, refused:
        processes.measure([task])


def test_missing_images_are_named(task: Task, tmp_path: Path) -> None:
    (tmp_path / "train_images.npy").unlink()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "trainers.step_time"],
        input=TASKS.dump_json([task]).decode(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "train_images.npy" in done.stderr.splitlines()[-1]


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Batch size and steps of what is trained."""
    seen: list[tuple[int, int]] = []
    real = step_time._Timing._rounds

    def spy(self: Any, batch: int, steps: int) -> Any:
        seen.append((batch, steps))
        return real(self, batch, steps)

    monkeypatch.setattr(step_time._Timing, "_rounds", spy)
    return seen


def test_steps_have_the_size_of_the_task(task: Task, rounds: list[tuple[int, int]]) -> None:
    assert measure_steps(task, measured_s=0.01, limit_s=60).train_seconds > 0
    assert rounds == [(16, 1), (16, 3)]


def test_a_slow_network_is_trained_on_less(task: Task, rounds: list[tuple[int, int]]) -> None:
    slow = replace(task, training=TrainingConfig(batch_size=10_000), data=DataConfig())
    assert measure_steps(slow, measured_s=0.01, limit_s=1.0).train_seconds > 0
    assert all(batch < 10_000 and steps == 1 for batch, steps in rounds)


def test_without_time_forward_passes_must_do(task: Task, rounds: list[tuple[int, int]]) -> None:
    found = measure_steps(task, limit_s=0.0)
    assert rounds == []
    assert found.train_seconds == pytest.approx(3 * found.validation_seconds)


def test_the_update_of_the_weights_is_shared_by_larger_batches() -> None:
    measured = step_time._Rate(train=0.05, validation=0.01)
    assert measured.with_batches_of(1.0) == measured
    assert measured.with_batches_of(0.125).train == pytest.approx(0.03 + 0.02 / 8)
    assert step_time._Rate(0.02, 0.01).with_batches_of(0.125).train == 0.02


def test_how_long_a_latency_takes() -> None:
    assert seconds_of_measuring(LatencyConfig(seconds=0.5), 0.001) == 0.5
    slow = seconds_of_measuring(LatencyConfig(seconds=0.5), 1.0)
    assert slow == pytest.approx(21.0), "six rounds of three passes, and one to warm up"
