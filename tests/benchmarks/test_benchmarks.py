"""What is cheap to check of the benchmarks: they start, and the plain script is what it says."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

from benchmarks import candidate_speed, driver_overhead, machine, plain_script
from benchmarks.plain_script import Pictures, Settings
from models.architecture import Architecture, Backbone
from models.build import check
from search.space import load_space
from trainers.data.store import ImageSet
from trainers.messages import Built, EpochResult, Measured, Task
from trainers.schedule import learning_rate

SCRIPTS = sorted(
    path for path in (machine.ROOT / "benchmarks").glob("*.py")
    if "__main__" in path.read_text(encoding="utf-8")
)  # fmt: skip
_, _, AFTER = (machine.ROOT / "Makefile").read_text("utf-8").partition("\nBENCHMARKS := ")
IN_MAKE_BENCH = AFTER.partition("\n\n")[0].replace("\\", " ").split()
MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
SMALL = Settings(
    crop_padding=4, train_images=40, validation_images=20, image_size=8, epochs=8, batch_size=8
)


@pytest.fixture
def image_set() -> ImageSet:
    """Sixty images of 8 × 8 pixels in two classes: dark and bright."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = rng.integers(0, 100, (60, 8, 8, 3)) + 150 * labels[:, None, None, None]
    return ImageSet(images.astype(np.uint8), labels, MEAN, DEVIATION, 2, "")


def pictures(image_set: ImageSet, settings: Settings = SMALL) -> tuple[Pictures, Pictures]:
    return plain_script.as_pictures(image_set, np.arange(40), np.arange(40, 60), settings)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_answers_help_from_anywhere(script: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(machine.ROOT)}
    command = [sys.executable, "-W", "ignore", str(script), "--help"]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert script.stem not in IN_MAKE_BENCH or "--quick" in done.stdout


def test_make_bench_runs_scripts_that_there_are() -> None:
    assert {"candidate_speed", "faults_peer"} <= set(IN_MAKE_BENCH)
    assert set(IN_MAKE_BENCH) <= {script.stem for script in SCRIPTS}


# `paddle.Model` itself copies what its `DataLoader` gives it.
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")
def test_the_plain_script_learns_dark_from_bright(image_set: ImageSet) -> None:
    network = Architecture(Backbone(width=0.0625, classes=2))
    trained = plain_script.train_one(network, SMALL, pictures(image_set))
    assert trained.accuracy > 0.8
    assert trained.params > 10_000
    assert trained.latency_ms > 0
    expected = 40 * SMALL.epochs / trained.train_seconds
    assert trained.images_per_second == pytest.approx(expected)


def test_its_batches_are_what_paddle_vision_makes_of_pictures(image_set: ImageSet) -> None:
    _, validation = pictures(image_set)
    from paddle.vision import transforms

    usual = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)])
    images, labels = next(iter(paddle.io.DataLoader(validation, batch_size=20)))
    expected = [usual(Image.fromarray(image)).numpy() for image in image_set.images[40:]]
    np.testing.assert_allclose(images.numpy(), np.stack(expected), atol=1e-6)
    np.testing.assert_array_equal(labels.numpy(), image_set.labels[40:])


def test_both_ways_of_normalising_are_the_same(image_set: ImageSet) -> None:
    _, arrays = pictures(image_set)
    _, tensors = pictures(image_set, Settings(image_size=8, to_tensor=True))
    np.testing.assert_allclose(arrays[3][0], tensors[3][0].numpy(), atol=1e-6)


def test_its_training_batches_are_shifted_and_mirrored_pictures(image_set: ImageSet) -> None:
    train, _ = pictures(image_set)
    padded = np.pad(image_set.images[5], ((4, 4), (4, 4), (0, 0)))
    crops = [padded[y : y + 8, x : x + 8] for y in range(9) for x in range(9)]
    allowed = np.stack([*crops, *(crop[:, ::-1] for crop in crops)]) / 255.0
    allowed = ((allowed - MEAN) / DEVIATION).transpose(0, 3, 1, 2)
    seen = set()
    for _ in range(40):
        distances = np.abs(allowed - train[5][0]).max(axis=(1, 2, 3))
        assert distances.min() < 1e-5
        seen.add(int(distances.argmin()))
    assert len(seen) > 20
    assert min(seen) < 81 <= max(seen)


def test_its_learning_rate_is_this_projects() -> None:
    factor = plain_script.triangle(SMALL, 10)
    for step in range(10):
        expected = learning_rate(SMALL.training, step, 10)
        assert SMALL.learning_rate * factor(step) == pytest.approx(expected)


def test_its_defaults_are_the_quickstarts() -> None:
    space = load_space(plain_script.QUICKSTART)
    assert plain_script.of_space(space) == Settings()
    assert Settings().data == space.file.data


def test_it_refuses_a_recipe_that_it_does_not_have() -> None:
    space = load_space(plain_script.QUICKSTART, ["training.schedule=cosine"])
    with pytest.raises(SystemExit, match="another recipe"):
        plain_script.of_space(space)


@pytest.mark.parametrize("width", [size.width for size in candidate_speed.FULL])
def test_the_compared_networks_are_legal(width: float) -> None:
    for name in candidate_speed.PLACED:
        check(candidate_speed.architecture(name, width), 32)


def test_instant_answers_are_a_workers() -> None:
    file = driver_overhead.a_space(3).file
    task = Task(Architecture(file.backbone), file.data, "images", file.training, file.latency, 0)
    built, measured, *epochs = driver_overhead.instant(task)
    assert isinstance(built, Built)
    assert isinstance(measured, Measured)
    assert all(isinstance(epoch, EpochResult) for epoch in epochs)
    assert len(epochs) == file.training.epochs


def test_the_driver_can_be_taken_apart() -> None:
    parts = driver_overhead.taken_apart(3)
    assert {len(values) for values in parts.values()} == {3}
    assert sum(parts["ledger: write"]) > 0
