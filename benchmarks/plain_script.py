"""What a competent person would write today without this project: Optuna and `paddle.Model`.

One process, Paddle's defaults, pictures one by one through `paddle.vision.transforms`, every
candidate trained to the end. It is the other side of the benchmarks, and no worse than it must be:

- Pictures are decoded once and kept as PIL images, which Paddle's transforms take without OpenCV.
- `Normalize` and `Transpose` work on arrays, as in Paddle's own examples. The `ToTensor`,
  `Normalize` of PyTorch's examples costs Paddle four times as much (--to-tensor).
- Pictures are read in the training process: see `Settings.num_workers`.
"""

import argparse
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
import paddle
from paddle.vision import transforms
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import describe
from models.architecture import Architecture
from models.build import build
from search.candidates import choose
from search.space import Space, load_space
from trainers.config import DataConfig, TrainingConfig
from trainers.data.split import stratified_split
from trainers.data.store import ImageSet, open_train, prepare

QUICKSTART = Path(__file__).resolve().parents[1] / "spaces/quickstart.yaml"


@dataclass(frozen=True)
class Settings:
    """The recipe of `spaces/quickstart.yaml` and its images.

    `num_workers`: of the training `DataLoader`. 0 is better than 2 here: on 2 cores, reading
    processes take from the training, which uses all cores by itself, what they save it.
    """

    train_images: int = 3000
    validation_images: int = 2000
    split_seed: int = 0
    image_size: int = 32
    crop_padding: int = 0
    epochs: int = 4
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_fraction: float = 0.25
    label_smoothing: float = 0.1
    seed: int = 0
    num_workers: int = 0
    to_tensor: bool = False

    @property
    def data(self) -> DataConfig:
        """The same images in this project's words."""
        return DataConfig.model_validate(
            {
                "train_images": self.train_images,
                "validation_images": self.validation_images,
                "split_seed": self.split_seed,
                "image_size": self.image_size,
                "augmentation": {"crop_padding": self.crop_padding, "flip": True},
            }
        )

    @property
    def training(self) -> TrainingConfig:
        """The same recipe in this project's words."""
        same = ("epochs", "batch_size", "learning_rate", "momentum", "weight_decay")
        more = ("warmup_fraction", "label_smoothing")
        return TrainingConfig.model_validate({key: getattr(self, key) for key in (*same, *more)})


@dataclass(frozen=True)
class Trained:
    """What came of one candidate; seconds of training leave validation and latency out."""

    accuracy: float
    params: int
    latency_ms: float
    train_seconds: float
    validation_seconds: float
    images_per_second: float


class Pictures(paddle.io.Dataset):
    """Pictures in memory, transformed one by one as they are asked for."""

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int64],
        transform: transforms.Compose,
    ) -> None:
        super().__init__()
        self.images = [Image.fromarray(image) for image in images]
        self.labels = labels
        self.transform = transform

    def __getitem__(self, index: int) -> tuple[Any, np.int64]:
        return self.transform(self.images[index]), self.labels[index]

    def __len__(self) -> int:
        return len(self.images)


class Clock(paddle.callbacks.Callback):
    """Seconds spent training and validating, and the accuracy of every validation."""

    def __init__(self) -> None:
        super().__init__()
        self.train_seconds = self.validation_seconds = 0.0
        self.accuracies: list[float] = []
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Called by `fit`."""
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Called by `fit`, before the validation."""
        self.train_seconds += time.perf_counter() - self._began

    def on_eval_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Called by `fit`."""
        self._began = time.perf_counter()

    def on_eval_end(self, logs: Any = None) -> None:
        """Called by `fit`."""
        self.validation_seconds += time.perf_counter() - self._began
        self.accuracies.append(float(logs["acc"]))


def load_pictures(settings: Settings) -> tuple[Pictures, Pictures]:
    """Training and validation pictures of CIFAR-10: those that this project's candidates see."""
    image_set = open_train(prepare(settings.data))
    split = stratified_split(
        image_set.labels, settings.train_images, settings.validation_images, settings.split_seed
    )
    return as_pictures(image_set, split.train, split.validation, settings)


def as_pictures(
    image_set: ImageSet,
    train: npt.NDArray[np.int64],
    validation: npt.NDArray[np.int64],
    settings: Settings,
) -> tuple[Pictures, Pictures]:
    """The images at two lists of indices, the first augmented."""
    images, labels = np.asarray(image_set.images), np.asarray(image_set.labels)
    side = images.shape[1]
    crop = [transforms.RandomCrop(side, padding=settings.crop_padding)]
    augment = [*(crop if settings.crop_padding else ()), transforms.RandomHorizontalFlip()]
    last = _normalise(image_set, settings)
    return (
        Pictures(images[train], labels[train], transforms.Compose([*augment, *last])),
        Pictures(images[validation], labels[validation], transforms.Compose(last)),
    )


def _normalise(image_set: ImageSet, settings: Settings) -> list[Any]:
    mean, deviation = image_set.mean, image_set.deviation
    if settings.to_tensor:
        return [transforms.ToTensor(), transforms.Normalize(mean, deviation)]
    of_bytes = [[255 * value for value in values] for values in (mean, deviation)]
    return [transforms.Normalize(*of_bytes, data_format="HWC"), transforms.Transpose()]


def train_one(
    architecture: Architecture,
    settings: Settings,
    pictures: tuple[Pictures, Pictures] | None = None,
) -> Trained:
    """Builds, times and trains one network; `pictures` are loaded where they are not given."""
    train, validation = pictures or load_pictures(settings)
    random.seed(settings.seed)
    np.random.seed(settings.seed)  # what Paddle's samplers and transforms draw from
    network = build(architecture, settings.image_size, settings.seed)
    latency_ms = latency(network, settings.image_size)
    loader = train_loader(train, settings)
    model = paddle.Model(network)
    model.prepare(
        _optimizer(network, settings, len(loader)),
        paddle.nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing),
        paddle.metric.Accuracy(),
    )
    clock = Clock()
    model.fit(
        loader,
        paddle.io.DataLoader(validation, batch_size=250),
        epochs=settings.epochs,
        verbose=0,
        callbacks=[clock],
    )
    return Trained(
        accuracy=clock.accuracies[-1],
        params=sum(int(value.size) for value in network.parameters() if value.trainable),
        latency_ms=latency_ms,
        train_seconds=clock.train_seconds,
        validation_seconds=clock.validation_seconds,
        images_per_second=len(train) * settings.epochs / clock.train_seconds,
    )


def train_loader(train: Pictures, settings: Settings) -> paddle.io.DataLoader:
    """Shuffled batches."""
    return paddle.io.DataLoader(
        train,
        batch_size=settings.batch_size,
        shuffle=True,
        num_workers=settings.num_workers,
        persistent_workers=settings.num_workers > 0,
    )


def _optimizer(network: paddle.nn.Layer, settings: Settings, steps_per_epoch: int) -> Any:
    schedule = paddle.optimizer.lr.LambdaDecay(
        settings.learning_rate, triangle(settings, steps_per_epoch * settings.epochs)
    )
    return paddle.optimizer.Momentum(
        schedule,
        momentum=settings.momentum,
        parameters=network.parameters(),
        use_nesterov=True,
        weight_decay=settings.weight_decay,
    )


def triangle(settings: Settings, steps: int) -> Any:
    """The learning rate's factor by step: up to 1 and down to 0."""
    warmup = settings.warmup_fraction * steps

    def factor(step: int) -> float:
        return max(step / warmup, 0.01) if step < warmup else (steps - step) / (steps - warmup)

    return factor


def latency(network: paddle.nn.Layer, image_size: int) -> float:
    """Milliseconds of one image: the mean of 100 runs after 10 to warm up."""
    network.eval()
    image = paddle.zeros([1, 3, image_size, image_size])
    with paddle.no_grad():
        for _ in range(10):
            network(image)
        began = time.perf_counter()
        for _ in range(100):
            network(image)
    return 10 * (time.perf_counter() - began)


def search(
    space: Space, settings: Settings, trials: int, timeout_s: float | None = None
) -> optuna.Study:
    """Trains `trials` candidates of a space, or as many as `timeout_s` lets begin."""
    pictures = load_pictures(settings)

    def objective(trial: optuna.Trial) -> tuple[float, int, float]:
        done = train_one(choose(space, trial), settings, pictures)
        trial.set_user_attr("images_per_second", done.images_per_second)
        return done.accuracy, done.params, done.latency_ms

    study = optuna.create_study(
        directions=["maximize", "minimize", "minimize"],
        sampler=optuna.samplers.TPESampler(seed=settings.seed),
    )
    study.optimize(objective, n_trials=trials, timeout=timeout_s, n_jobs=1)
    return study


def of_space(space: Space) -> Settings:
    """The settings of a space file, which must be one that this script can follow."""
    data, training = space.file.data, space.file.training
    settings = Settings(
        train_images=data.train_images or 50_000 - data.judges,
        validation_images=data.judges,
        split_seed=data.split_seed,
        image_size=data.image_size,
        crop_padding=data.augmentation.crop_padding,
        epochs=training.epochs,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        warmup_fraction=training.warmup_fraction,
        label_smoothing=training.label_smoothing,
        seed=space.file.search.seed,
    )
    if training != settings.training:
        raise SystemExit(f"{space.source}: another recipe than SGD with a triangular schedule")
    return settings


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", type=Path, default=QUICKSTART, metavar="FILE")
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--trials", type=int, help="the space's search.trials")
    parser.add_argument("--minutes", type=float, help="begin no trial after this time")
    parser.add_argument("--num-workers", type=int, default=Settings.num_workers)
    parser.add_argument("--to-tensor", action="store_true", help="ToTensor, Normalize: slower")
    parser.add_argument("--quick", action="store_true", help="3 trials, fewer images")
    return parser.parse_args(arguments)


def main() -> None:
    """Searches, prints every trial and the front, and how fast it was."""
    given = parse_arguments()
    space = load_space(given.space, given.overrides)
    settings = replace(of_space(space), num_workers=given.num_workers, to_tensor=given.to_tensor)
    trials = given.trials or space.trials
    if given.quick:
        settings, trials = replace(settings, train_images=1000, epochs=2), 3
    print(describe())
    print(f"{trials} trials of {space.source}, {settings}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began = time.perf_counter()
    study = search(space, settings, trials, given.minutes and 60 * given.minutes)
    _show(study, time.perf_counter() - began)


def _show(study: optuna.Study, seconds: float) -> None:
    best = {trial.number for trial in study.best_trials}
    print("trial  accuracy    params  latency_ms  images/s")
    for trial in study.trials:
        accuracy, params, latency_ms = trial.values
        print(
            f"{trial.number:5}  {100 * accuracy:6.2f} %  {int(params):8,}  {latency_ms:10.2f}  "
            f"{trial.user_attrs['images_per_second']:8.0f}{'  front' * (trial.number in best)}"
        )
    count = len(study.trials)
    print(f"{count} trials in {seconds:.1f} s: {seconds / count:.1f} s a trial")


if __name__ == "__main__":
    main()
