"""What a training step costs on this machine: a few steps, measured in a process of their own.

python -m trainers.step_time reads tasks as a line of JSON and prints as much as `StepTime` each:
`trainers/step_processes.py` is the other side.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import paddle
from paddle import nn

from models.build import build
from trainers.data.search_split import EVALUATION_BATCH, search_batches
from trainers.latency import seconds_of_measuring
from trainers.messages import Task
from trainers.quiet import Quiet
from trainers.step_processes import STEP_TIMES, TASKS, StepTime
from trainers.train import train

MEASURED_S = 0.35  # of training that counts, at least, for each network
LIMIT_S = 2.4  # for each network, about
STEPS = 3  # of a sample, where so many of the task's size fit into the time
FEWEST_SAMPLED = 8  # images a step: with fewer the update of the weights is most of it
PROBE_IMAGES = 16  # a step, at most
FEWEST = 2  # images a step: batch norm has no variance of one
BACKWARD = 2.0  # a backward pass, in forward passes
RATE = 1e-6  # a learning rate at which nothing diverges; a step costs the same


def main() -> None:
    """Measures the tasks on stdin."""
    tasks = TASKS.validate_json(sys.stdin.readline())
    try:
        times = [measure_steps(task) for task in tasks]
    except Exception as error:  # in one line: it becomes part of a sentence
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))
    sys.stdout.write(STEP_TIMES.dump_json(times).decode() + "\n")


def measure_steps(task: Task, measured_s: float = MEASURED_S, limit_s: float = LIMIT_S) -> StepTime:
    """Builds the network of `task` and trains it for about `limit_s` seconds at most.

    Batches have the task's size where that fits, else fewer images; where not even two images do,
    a step is taken for three forward passes.
    """
    paddle.set_device(task.device)
    with contextlib.closing(Quiet()) as quiet:
        began = time.perf_counter()
        with quiet.training():
            network = build(task.architecture, task.data.image_size, task.seed)
            built = time.perf_counter()
            pass_s = _pass_seconds(network, task.data.image_size)
        timing = _Timing(network, task, quiet, measured_s, built + limit_s)
        known = timing.sample(timing.probe(_Rate((1 + BACKWARD) * pass_s, pass_s)))
    return StepTime(
        known.train, known.validation, built - began, seconds_of_measuring(task.latency, pass_s)
    )


@dataclass(frozen=True)
class _Rate:
    """Seconds for each image."""

    train: float
    validation: float

    def fitting(self, seconds: float, steps: int) -> int:
        """Images a step, with as many for validation, so that `steps` take so many seconds."""
        return max(0, int(seconds / (steps * (self.train + self.validation))))

    def with_batches_of(self, share: float) -> "_Rate":
        """The rate of larger batches, of which those measured are a `share`.

        What a step takes beyond a forward and a backward pass is taken for the update of the
        weights, which takes as long whatever the batch.
        """
        update = max(0.0, self.train - (1 + BACKWARD) * self.validation)
        return _Rate(self.train - (1 - share) * update, self.validation)


@dataclass(frozen=True)
class _Timing:
    """Trains a network until `deadline`, as `time.perf_counter` has it."""

    network: nn.Layer
    task: Task
    quiet: Quiet
    measured_s: float
    deadline: float

    @property
    def left(self) -> float:
        """Seconds."""
        return self.deadline - time.perf_counter()

    def probe(self, guess: _Rate) -> _Rate:
        """A first rate from a few images, and a warm-up: half of the time is for it."""
        if guess.fitting(self.left, 1) < FEWEST:
            return guess
        images = max(FEWEST, min(PROBE_IMAGES, guess.fitting(self.left / 2, 2)))
        return self._trained(min(images, self.task.training.batch_size), 1, 0.0)

    def sample(self, known: _Rate) -> _Rate:
        """The rate that counts, from batches of the task's size where they fit into the time."""
        whole = self.task.training.batch_size
        steps = STEPS if known.fitting(self.left, STEPS) >= whole else 1
        batch = min(whole, known.fitting(self.left, steps))
        if batch < min(FEWEST_SAMPLED, whole):
            return known  # hardly better than the probe
        return self._trained(batch, steps, self.measured_s)

    def _trained(self, batch: int, steps: int, measured_s: float) -> _Rate:
        """The rate of steps of `batch` images, the first round left out where there is time."""
        rounds: list[_Rate] = []
        trained_s = 0.0
        began = time.perf_counter()
        for rate, seconds in self._rounds(batch, steps):
            rounds.append(rate)
            trained_s += seconds if len(rounds) > 1 else 0.0
            each = (time.perf_counter() - began) / len(rounds)
            if (len(rounds) > 1 and trained_s >= measured_s) or each > self.left:
                break
        counted = rounds[1:] or rounds
        mean = _Rate(fmean(r.train for r in counted), fmean(r.validation for r in counted))
        return mean.with_batches_of(batch / self.task.training.batch_size)

    def _rounds(self, batch: int, steps: int) -> Iterator[tuple[_Rate, float]]:
        """Epochs of `steps` batches, trained and validated as in trials, and their seconds."""
        task, folder = self.task, Path(self.task.data_folder)
        whole, _ = search_batches(task.data, task.training, folder, task.seed, task.device)
        images = batch * min(steps, len(whole.sizes))
        judges = min(images, task.data.validation_images or images, EVALUATION_BATCH)
        data = task.data.model_copy(update={"train_images": images, "validation_images": judges})
        training = task.training.model_copy(
            update={"batch_size": batch, "epochs": 10**6, "learning_rate": RATE}
        )
        batches, validation = search_batches(data, training, folder, task.seed, task.device)
        size = task.data.image_size
        epochs = train(
            self.network, batches, validation, training, image_size=size, quiet=self.quiet
        )
        for result in epochs:
            rate = _Rate(result.train_seconds / images, result.validation_seconds / judges)
            yield rate, result.train_seconds


@paddle.no_grad()
def _pass_seconds(network: nn.Layer, image_size: int) -> float:
    """Seconds of a forward pass of one image: of the second, if the first was not slow itself."""
    network.eval()
    image = paddle.zeros((1, 3, image_size, image_size))
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        float(network(image).sum())
        seconds = time.perf_counter() - began
        if seconds > 1:
            break
    return seconds


if __name__ == "__main__":
    main()
