"""Full trainings that take a second: thin networks, and small images of two classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import make_block
from models.yaml_input import override, parse_yaml
from trainers.data import store
from trainers.data.cifar10 import FACTS
from trainers.data.facts import DataSetFacts
from trainers.full_job import read_recipe
from trainers.full_training import Job
from trainers.messages import EpochResult
from trainers.recipe import digest

SIDE, IMAGES, TEST_IMAGES = 8, 60, 20
SE = Placement(Slot(4, 2, "before_add"), make_block("se", {"reduction": 4}))
RECIPE = """\
recipe: 1
backbone: {width: 0.0625, classes: 2}
placements:
  stage4.block2.before_add: {se: {reduction: 4}}
data: {image_size: 8, train_images: 40, validation_images: 20, augmentation: {crop_padding: 1}}
training: {epochs: 3, batch_size: 8, learning_rate: 0.05}
full_training: {seeds: [0]}
"""


def small_images(folder: Path, monkeypatch: pytest.MonkeyPatch) -> DataSetFacts:
    """Puts dark and light images into `folder`, both splits, and registers them as cifar10."""
    monkeypatch.setattr("tempfile.tempdir", str(folder))  # no other training's locks
    train = replace(FACTS.train, class_counts=(IMAGES // 2,) * 2)
    test = replace(FACTS.test, class_counts=(TEST_IMAGES // 2,) * 2)
    facts = replace(
        FACTS, title="Lights", class_names=("dark", "light"), image_size=SIDE, train=train,
        test=test,
    )  # fmt: skip
    monkeypatch.setitem(store.DATA_SETS, "cifar10", facts)
    rng = np.random.default_rng(0)
    for name, count in (("train", IMAGES), ("test", TEST_IMAGES)):
        labels = np.arange(count) % 2
        images = rng.integers(0, 160, (count, SIDE, SIDE, 3)) + 80 * labels[:, None, None, None]
        np.save(folder / f"{name}_images.npy", images.astype(np.uint8))
        np.save(folder / f"{name}_labels.npy", labels)
    return facts


def small_job(folder: Path, *overrides: str) -> Job:
    document = parse_yaml(RECIPE, "recipe.yaml")
    override(document, overrides)
    recipe, architecture = read_recipe(document)
    return Job(recipe, architecture, folder, "cpu", digest(recipe, "cpu", {}))


def thin(*placements: Placement) -> Architecture:
    return Architecture(Backbone(width=0.0625, classes=2), placements)


@dataclass
class Listener:
    """Remembers what it is told, and raises `stop` once `epochs` more are over."""

    stop_after: int | None = None
    epochs: list[EpochResult] = field(default_factory=list)
    known: int = 0
    images: int = 0
    notices: list[str] = field(default_factory=list)

    def began(self, seed: int, curve: Sequence[EpochResult], sizes: Sequence[int]) -> None:
        self.known = len(curve)

    def trained(self, images: int) -> None:
        self.images += images

    def advanced(self, epoch: EpochResult) -> None:
        self.epochs.append(epoch)
        if self.stop_after == len(self.epochs):
            raise KilledError

    def notice(self, text: str) -> None:
        self.notices.append(text)


class KilledError(BaseException):
    """As a signal that comes between two epochs."""


def losses(curve: Sequence[EpochResult]) -> list[Any]:
    return [(epoch.epoch, epoch.train_loss, epoch.val_accuracy, epoch.val_loss) for epoch in curve]
