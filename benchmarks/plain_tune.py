"""The peer of `faults_peer.py`: Ray Tune and `OptunaSearch` as their documentation shows them.

Trials, checkpoints, retries and `Tuner.restore` as in Ray Tune's guide to fault tolerance, with the
settings that lose least. A training is made up: it waits, and every bit of its state matters.
"""

import argparse
import hashlib
import json
import os
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faulty_epochs import EPOCHS, Diary

METRICS, MODES = ["val_accuracy", "params"], ["max", "min"]
NAME = "smoke"
WEIGHTS, FACTS = "weights.npy", "facts.json"
DATABASE = "study.db"
SECONDS = 0.3  # an epoch; a little more than one of this program on the smoke space
SIZE = 4096


def key_of(config: dict[str, Any]) -> str:
    """A configuration in few characters."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]


def first_weights(key: str) -> np.ndarray:
    """The state of a training before its first epoch."""
    return np.arange(SIZE, dtype=np.uint32) + np.uint32(int(key[:6], 16))


def learned(weights: np.ndarray) -> np.ndarray:
    """The state after one more epoch."""
    return weights * np.uint32(1664525) + np.uint32(1013904223)


def accuracy(weights: np.ndarray, epoch: int) -> float:
    """Grows with the epochs, and differs if any bit of the state does."""
    return 0.9 - 0.5 / epoch + 0.1 * zlib.crc32(weights.tobytes()) / 2**32


def true_value(key: str, epochs: int) -> float:
    """What a training comes to that nothing disturbs."""
    weights = first_weights(key)
    for _ in range(epochs):
        weights = learned(weights)
    return accuracy(weights, epochs)


def train(config: dict[str, Any]) -> None:
    """A trial: goes on from its checkpoint where there is one, and keeps one every epoch."""
    from ray import tune

    diary, key, begun = Diary.of_environment(), key_of(config), 0
    weights = first_weights(key)
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            weights = np.load(Path(folder) / WEIGHTS, allow_pickle=False)
            begun = json.loads((Path(folder) / FACTS).read_text("utf-8"))["epoch"]
    for epoch in range(begun + 1, int(os.environ[EPOCHS]) + 1):
        time.sleep(SECONDS)
        weights = learned(weights)
        reported = accuracy(weights, epoch)
        instead = diary.epoch(key, epoch)
        reported = reported if instead is None else instead
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / WEIGHTS, weights)
            (Path(folder) / FACTS).write_text(json.dumps({"epoch": epoch}), encoding="utf-8")
            metrics = {"val_accuracy": reported, "params": 1000 * config["width"]}
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))


def tuner(folder: Path, trials: int) -> Any:
    """A new experiment, or the one that is there."""
    import optuna
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    place = folder / "ray"
    if tune.Tuner.can_restore(str(place / NAME)):
        return tune.Tuner.restore(
            str(place / NAME), trainable=train, resume_unfinished=True, restart_errored=False
        )
    # The waiting time for locks is that of the example in Optuna's documentation.
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{folder / DATABASE}", engine_kwargs={"connect_args": {"timeout": 10}}
    )
    search = OptunaSearch(metric=METRICS, mode=MODES, study_name=NAME, storage=storage)
    return tune.Tuner(
        train,
        param_space={
            "block": tune.choice(["se", "gc", "nonlocal", "bridge"]),
            "stage": tune.choice([3, 4]),
            "width": tune.uniform(1, 64),  # no two configurations are equal by chance
        },
        tune_config=tune.TuneConfig(search_alg=search, num_samples=trials, max_concurrent_trials=2),
        run_config=tune.RunConfig(
            name=NAME,
            storage_path=str(place),
            failure_config=tune.FailureConfig(max_failures=1),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
        ),
    )


def main() -> None:
    """The program: tunes, and says what was best."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, required=True)
    given = parser.parse_args()
    # Its record of all trials is written every second, where Ray would take ten or more.
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "1"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    results = tuner(given.folder.absolute(), given.trials).fit()
    best = results.get_best_result(metric=METRICS[0], mode=MODES[0])
    print(best.config, best.metrics[METRICS[0]])
