"""Which recipe reaches a given accuracy first: one network, one set of images, several recipes.

A schedule depends on how long the training is, so every recipe is trained anew for each number of
epochs; what counts is the accuracy at the end, on images that were not trained on.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import CORES, describe
from benchmarks.training import train_all

PLAIN: dict[str, Any] = {"label_smoothing": 0.0, "nesterov": False, "warmup_fraction": 0.0}
FAST: dict[str, Any] = {"learning_rate": 0.1, "batch_size": 64, "warmup_fraction": 0.25}
ALTERNATING = {"flip": "alternating"}

RECIPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "article C: Adam 1e-4": (
        {**PLAIN, "optimizer": "adam", "learning_rate": 1e-4, "schedule": "constant",
         "weight_decay": 0.0, "batch_size": 32}, {"crop_padding": 0, "flip": True},
    ),
    "Adam 1e-3": (
        {**PLAIN, "optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant",
         "weight_decay": 0.0, "batch_size": 64}, {},
    ),
    "SGD 0.1, steps": ({**PLAIN, "schedule": "step", "batch_size": 64}, {}),
    "SGD 0.1, cosine": ({**PLAIN, "schedule": "cosine", "batch_size": 64}, {}),
    "triangular Nesterov": (FAST, {}),
    "triangular Nesterov, no smoothing": ({**FAST, "label_smoothing": 0.0}, {}),
    "triangular, alternating flip": (FAST, ALTERNATING),
    "triangular, bias factor 64": ({**FAST, "norm_bias_factor": 64.0}, {}),
    "triangular, bias factor 8": ({**FAST, "norm_bias_factor": 8.0}, {}),
    "triangular, EMA 0.95": ({**FAST, "average": 0.95}, {}),
    "triangular, EMA 0.99": ({**FAST, "average": 0.99}, {}),
    "triangular, lr 0.2": ({**FAST, "learning_rate": 0.2}, {}),
    "triangular, lr 0.05": ({**FAST, "learning_rate": 0.05}, {}),
    "triangular, batch 32": ({**FAST, "batch_size": 32}, {}),
    "triangular, batch 128, lr 0.2": ({**FAST, "batch_size": 128, "learning_rate": 0.2}, {}),
    "triangular, no crop": (FAST, {"crop_padding": 0}),
    "triangular, crop 2": (FAST, {"crop_padding": 2}),
}  # fmt: skip


def main() -> None:
    """Trains every recipe for every number of epochs and seed; prints a table and the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three recipes, fewer images")
    parser.add_argument("--only", help="recipes whose names hold this", default="")
    parser.add_argument("--width", type=float, default=1 / 16)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--judges", type=int, default=10000)
    parser.add_argument("--epochs", type=int, nargs="+", default=[3, 6])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=CORES)
    given = parser.parse_args()
    names = [name for name in RECIPES if given.only in name]
    if given.quick:
        names = ["Adam 1e-3", "SGD 0.1, steps", "triangular Nesterov"]
        given.images, given.judges, given.epochs, given.seeds = 2000, 4000, [3], 2
    _compare(names, given)


def _compare(names: list[str], given: argparse.Namespace) -> None:
    print(describe())
    print(
        f"ResNet-18 of width {given.width:g}, {given.images} training and {given.judges} "
        f"validation images of CIFAR-10, {given.seeds} seeds"
    )
    data = {"train_images": given.images, "validation_images": given.judges}
    print("recipe".ljust(36), *(f"{epochs} epochs".rjust(16) for epochs in given.epochs), "s/epoch")
    tasks = {
        f"{name} {epochs} {seed}": _task(name, epochs, seed, given, data)
        for name in names
        for epochs in given.epochs
        for seed in range(given.seeds)
    }
    answers = dict(train_all(tasks, given.workers))
    best: dict[str, float] = {}
    for name in names:
        rows = [
            [answers[f"{name} {epochs} {seed}"] for seed in range(given.seeds)]
            for epochs in given.epochs
        ]
        accuracy = np.array([[answer["accuracy"] for answer in row] for row in rows])
        seconds = np.median(
            [a["seconds"] / e for row, e in zip(rows, given.epochs, strict=True) for a in row]
        )
        cells = [
            f"{100 * row.mean():.2f} ± {100 * row.std(ddof=1):.2f} %".rjust(16) for row in accuracy
        ]
        print(name.ljust(36), *cells, f"{seconds:.1f}", flush=True)
        best[name] = float(accuracy.mean())
    ranked = sorted(best, key=lambda name: -best[name])
    first, last = ranked[0], ranked[-1]
    print(
        f"ratio: {best[first] / best[last]:.2f} (mean accuracy of the best recipe, {first}, "
        f"÷ that of the worst, {last})"
    )


def _task(
    name: str, epochs: int, seed: int, given: argparse.Namespace, data: dict[str, Any]
) -> dict[str, Any]:
    training, augmentation = RECIPES[name]
    return {
        "training": {**training, "epochs": epochs},
        "seed": seed,
        "width": given.width,
        "data": {**data, "augmentation": {"crop_padding": 4, **augmentation}},
    }


if __name__ == "__main__":
    main()
