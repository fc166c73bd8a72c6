"""Processes that measure training steps, seen from the process that wants to know.

They are started as a search's workers are, since a step's time depends on threads and libraries.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from trainers.environment import worker_environment
from trainers.messages import Task

ROOT = Path(__file__).resolve().parents[1]
TIME_LIMIT_S = 20.0
COMMAND = (sys.executable, "-W", "ignore", "-m", "trainers.step_time")


@dataclass(frozen=True)
class StepTime:
    """What one network costs: seconds of training and of validation for each image.

    `setup_seconds` is what building it takes, `latency_seconds` what measuring its latency will:
    all other trainings on the machine wait for that.
    """

    train_seconds: float
    validation_seconds: float
    setup_seconds: float
    latency_seconds: float


TASKS = TypeAdapter(list[Task])
STEP_TIMES = TypeAdapter(list[StepTime])


class StepTimeError(Exception):
    """Why no step could be measured."""


class StepProcesses:
    """Processes that wait for tasks; their imports take seconds, so start them before your own.

    Close them whatever happens: `with` does.
    """

    def __init__(self, count: int, command: Sequence[str] = COMMAND) -> None:
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        path = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self._processes: list[subprocess.Popen[str]] = []
        self._refused = ""
        try:
            for _ in range(count):
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env={**os.environ, **worker_environment(), **path},
                )
                self._processes.append(process)
        except OSError as error:  # no memory, no more processes: `measure` says so
            self._refused = f"no process could be started: {error}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the processes that are still there."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.communicate()
        self._processes.clear()

    def measure(
        self, tasks: Sequence[Task], time_limit_s: float = TIME_LIMIT_S
    ) -> list[list[StepTime]]:
        """What every process, all side by side, measured of every task, in their order.

        Raises StepTimeError, in words, where one fails or takes more than `time_limit_s` seconds.
        """
        if self._refused:
            raise StepTimeError(self._refused)
        deadline = time.monotonic() + time_limit_s
        for process in self._processes:
            self._tell(process, tasks)
        return [_answer(process, deadline, time_limit_s) for process in self._processes]

    def _tell(self, process: subprocess.Popen[str], tasks: Sequence[Task]) -> None:
        assert process.stdin is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):  # it has ended; its answer says why
            process.stdin.write(TASKS.dump_json(list(tasks)).decode() + "\n")
            process.stdin.flush()


def _answer(process: subprocess.Popen[str], deadline: float, time_limit_s: float) -> list[StepTime]:
    try:
        out, err = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise StepTimeError(f"the steps took longer than {time_limit_s:g} s") from None
    lines = err.split("\n")
    if process.returncode < 0:
        raise StepTimeError(f"their process was ended by signal {-process.returncode}")
    if process.returncode:
        said = [line for line in lines if line.strip()]
        raise StepTimeError(said[-1] if said else f"exit code {process.returncode}")
    try:
        return STEP_TIMES.validate_json(out.splitlines()[-1])
    except (ValueError, IndexError):
        raise StepTimeError("their process gave no answer") from None
