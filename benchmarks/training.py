"""Trainings for a benchmark, in workers' processes: judged when they are over, or every epoch."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.machine import CORES
from trainers.environment import worker_environment

WIDTH = 1 / 16


def train_all(
    tasks: Mapping[str, dict[str, Any]], workers: int = CORES
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `train_once` gives for each task, by its name and as it comes.

    `workers` processes take one task after another; they keep this process's environment from now
    on, to which that of a worker is added.
    """
    os.environ.update(worker_environment())
    started = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=started) as pool:
        running = {pool.submit(train_once, task): name for name, task in tasks.items()}
        for done in as_completed(running):
            yield running[done], done.result()


def train_once(task: dict[str, Any]) -> dict[str, Any]:
    """Trains a network; its accuracy on the validation images and the seconds of training.

    `task`: `architecture` as JSON, or `width` for the plain ResNet-18; `data`, `training` and
    `seed` as in a space file; `start`: what `save_to` of another task gave, to inherit from;
    `every_epoch`: whether `curve` has what came of each epoch or of the last alone.
    """
    from models.architecture import Architecture, Backbone
    from models.build import build
    from trainers.config import DataConfig, TrainingConfig
    from trainers.data.search_split import search_batches, training_sample
    from trainers.data.store import prepare
    from trainers.messages import Start
    from trainers.quiet import Quiet
    from trainers.start import inherit_start, save_start
    from trainers.train import as_input, train

    config = TrainingConfig.model_validate(task["training"])
    data = DataConfig.model_validate(task["data"])
    folder = prepare(data)
    if "architecture" in task:
        architecture = Architecture.from_json(task["architecture"])
    else:
        architecture = Architecture(Backbone(width=task.get("width", WIDTH)))
    network = build(architecture, data.image_size, task["seed"])
    if task.get("start"):
        sample = as_input(training_sample(data, folder, 64), data.image_size)
        inherit_start(network, Start(**task["start"]), sample)
    batches, validation = search_batches(data, config, folder, task["seed"])
    all_of_it = task.get("every_epoch", False)
    judge: Any = validation if all_of_it else _AtTheEnd(validation, config.epochs)
    with tempfile.TemporaryDirectory() as locks:
        results = list(
            train(
                network,
                batches,
                judge,
                config,
                image_size=data.image_size,
                quiet=Quiet(Path(locks)),
                inherited=bool(task.get("start")),
            )
        )
    saved = vars(save_start(network, Path(task["save_to"]))) if task.get("save_to") else None
    return {
        "accuracy": results[-1].val_accuracy,
        "curve": [vars(result) for result in results[0 if all_of_it else -1 :]],
        "seconds": sum(result.train_seconds for result in results),
        "images_per_second": results[-1].images_per_second,
        "saved": saved,
        "ended": time.time(),
    }


class _AtTheEnd:
    """Validation batches, of which only the first is read before the last epoch."""

    def __init__(self, batches: Any, epochs: int) -> None:
        self._batches, self._left = batches, epochs

    def __iter__(self) -> Iterator[Any]:
        self._left -= 1
        for batch in self._batches:
            yield batch
            if self._left:
                return
