"""One candidate as a stream of answers: whatever goes wrong is the last of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_class, make_block
from trainers import latency
from trainers.candidate import run_candidate
from trainers.config import DataConfig, TrainingConfig
from trainers.data import store
from trainers.data.cifar10 import FACTS
from trainers.messages import Answer, EpochResult, Failed, Measured, Task

SIDE, IMAGES = 8, 60
SE = Placement(Slot(4, 2, "before_add"), make_block("se", {"reduction": 4}))


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Task]:
    """A task over small images of two classes, in a folder that holds no test images."""
    monkeypatch.setattr(latency, "MIN_S", 0.01)
    monkeypatch.setattr(latency, "WARM_UP_S", 0.0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # no other training's locks
    facts = replace(
        FACTS, classes=2, image_size=SIDE, train=replace(FACTS.train, images=IMAGES, per_class=30)
    )
    monkeypatch.setitem(store.DATA_SETS, "cifar10", facts)
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % 2
    images = rng.integers(0, 100, (IMAGES, SIDE, SIDE, 3)) + 150 * labels[:, None, None, None]
    np.save(tmp_path / "train_images.npy", images.astype(np.uint8))
    np.save(tmp_path / "train_labels.npy", labels)

    def make(*placements: Placement, size: int = SIDE, **training: Any) -> Task:
        return Task(
            architecture=Architecture(Backbone(width=0.0625, classes=2), placements),
            data=DataConfig(image_size=size, train_images=40, validation_images=20),
            data_folder=str(tmp_path),
            training=TrainingConfig.model_validate({"epochs": 2, "batch_size": 8} | training),
            seed=0,
        )

    return make


def last(answers: list[Answer]) -> Failed:
    *before, failed = answers
    assert isinstance(failed, Failed)
    assert not any(isinstance(answer, Failed) for answer in before)
    return failed


def test_measured_then_every_epoch(task: Callable[..., Task]) -> None:
    measured, *epochs = run_candidate(task(SE))
    assert isinstance(measured, Measured)
    assert measured.latency.median_ms > 0
    assert (measured.latency.batch, measured.latency.image_size) == (1, SIDE)
    assert measured.worker.device == "cpu"
    assert all(isinstance(epoch, EpochResult) for epoch in epochs)
    assert [epoch.epoch for epoch in epochs] == [1, 2]


def test_images_are_resized_to_the_configured_size(task: Callable[..., Task]) -> None:
    measured, *epochs = run_candidate(task(SE, size=16, epochs=1))
    assert measured.latency.image_size == 16
    assert len(epochs) == 1
    assert isinstance(epochs[0], EpochResult)


def test_the_test_split_is_never_opened(
    task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    load = np.load

    def note(path: Path, **more: Any) -> Any:
        opened.append(Path(path).name)
        return load(path, **more)

    monkeypatch.setattr(np, "load", note)
    monkeypatch.setattr(store, "open_test", lambda *_: pytest.fail("the test split was opened"))
    answers = list(run_candidate(task()))
    assert len(answers) == 3, "and it works without the files"
    assert set(opened) == {"train_images.npy", "train_labels.npy"}


def test_the_same_task_gives_the_same_curve(task: Callable[..., Task]) -> None:
    def curve() -> list[tuple[float, float, float]]:
        _, *epochs = run_candidate(task(SE))
        return [(epoch.val_accuracy, epoch.val_loss, epoch.train_loss) for epoch in epochs]

    assert curve() == curve()


def test_diverged(task: Callable[..., Task]) -> None:
    wild = task(learning_rate=100.0, schedule="constant", momentum=0.99, epochs=30)
    failed = last(list(run_candidate(wild)))
    assert failed.reason.startswith("diverged in epoch ")
    assert "nan" in failed.reason or "inf" in failed.reason


@pytest.mark.parametrize("when", ["measured", "trained"])
def test_a_block_that_raises(
    task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    se = block_class("se")
    attend = se.attend

    def broken(self: Any, x: paddle.Tensor, *bridged: paddle.Tensor) -> paddle.Tensor:
        if when == "measured" or self.training:
            raise ArithmeticError("no attention today")
        return attend(self, x, *bridged)

    monkeypatch.setattr(se, "attend", broken)
    answers = list(run_candidate(task(SE)))
    failed = last(answers)
    assert failed.reason == "ArithmeticError: no attention today"
    assert "in broken" in failed.details
    assert len(answers) == (1 if when == "measured" else 2)


def test_an_architecture_that_cannot_be_built(task: Callable[..., Task]) -> None:
    nowhere = Placement(Slot(9, 1, "before_add"), SE.block)
    (failed,) = run_candidate(task(nowhere))
    assert isinstance(failed, Failed)
    assert "stage9.block1.before_add" in failed.reason


def test_missing_images(task: Callable[..., Task], tmp_path: Path) -> None:
    (tmp_path / "train_images.npy").unlink()
    failed = last(list(run_candidate(task())))
    assert "train_images.npy" in failed.reason


def test_more_images_than_there_are(task: Callable[..., Task]) -> None:
    failed = last(list(run_candidate(task(batch_size=100))))
    assert "training.batch_size" in failed.reason


def test_closed_early(task: Callable[..., Task]) -> None:
    answers = run_candidate(task(epochs=1000))
    assert isinstance(next(answers), Measured)
    assert isinstance(next(answers), EpochResult)
    answers.close()
    assert list(answers) == []
