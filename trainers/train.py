"""Training one network: an iterator of epochs, so that its driver can stop at any of them."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn
from paddle.nn import functional as F

from trainers.average import WeightAverage
from trainers.config import TrainingConfig
from trainers.data.batches import EvaluationBatches, TrainingBatches
from trainers.messages import EpochResult
from trainers.mixup import Mixture, mix, unmixed
from trainers.quiet import Quiet
from trainers.schedule import learning_rate

_MIXTURES = 0x6D6978
"""Sets the draws of mixup apart from those of batches."""

Array = npt.NDArray[Any]


class DivergedError(Exception):
    """The loss is no finite number any more."""


def train(
    network: nn.Layer,
    batches: TrainingBatches,
    validation: EvaluationBatches,
    config: TrainingConfig,
    *,
    image_size: int,
    quiet: Quiet,
) -> Iterator[EpochResult]:
    """Trains `network` in place and yields after every epoch, validated.

    Steps and evaluation batches wait while a latency is measured on this machine.
    Raises DivergedError when a loss is not finite.
    """
    optimizer = make_optimizer(network, config)
    average = WeightAverage(network, config.average) if config.average else None
    trainer = _Trainer(network, batches, optimizer, config, image_size, quiet, average)
    for epoch in range(1, config.epochs + 1):
        began = time.perf_counter()
        train_loss, images = trainer.epoch(epoch)
        trained = time.perf_counter()
        with average.applied() if average else contextlib.nullcontext():
            val_accuracy, val_loss = evaluate(network, validation, image_size, quiet)
        if not math.isfinite(train_loss) or not math.isfinite(val_loss):
            raise DivergedError(
                f"diverged in epoch {epoch}: training loss {train_loss}, validation loss {val_loss}"
            )
        yield EpochResult(
            epoch=epoch,
            val_accuracy=val_accuracy,
            val_loss=val_loss,
            train_loss=train_loss,
            train_seconds=trained - began,
            validation_seconds=time.perf_counter() - trained,
            images_per_second=images / (trained - began),
        )


def make_optimizer(network: nn.Layer, config: TrainingConfig) -> Any:
    """The configured optimizer over all parameters; weight decay is added to the gradient (L2)."""
    common: dict[str, Any] = {
        "learning_rate": config.learning_rate,
        "parameters": network.parameters(),
        "weight_decay": config.weight_decay,
    }
    if config.norm_bias_factor != 1:
        common["parameters"] = _groups(network, config)
    if config.optimizer == "adam":
        return paddle.optimizer.Adam(**common)
    return paddle.optimizer.Momentum(
        momentum=config.momentum, use_nesterov=config.nesterov, **common
    )


def _groups(network: nn.Layer, config: TrainingConfig) -> list[dict[str, Any]]:
    """The batch norms' shifts apart; a group's learning rate is a factor on the optimizer's."""
    kinds = (nn.BatchNorm1D, nn.BatchNorm2D)
    norms = [layer for layer in network.sublayers() if isinstance(layer, kinds)]
    shifts = [norm.bias for norm in norms if norm.bias is not None]
    apart = {id(shift) for shift in shifts}
    factor = config.norm_bias_factor
    return [
        {"params": [p for p in network.parameters() if id(p) not in apart]},
        {"params": shifts, "learning_rate": factor, "weight_decay": config.weight_decay / factor},
    ]


@dataclass(frozen=True)
class _Trainer:
    network: nn.Layer
    batches: TrainingBatches
    optimizer: Any
    config: TrainingConfig
    image_size: int
    quiet: Quiet
    average: WeightAverage | None

    def epoch(self, number: int) -> tuple[float, int]:
        """Trains one epoch, counted from 1: the mean loss of its images, and how many they were."""
        self.network.train()
        total, images = 0.0, 0
        steps = len(self.batches)
        rng = np.random.default_rng([self.batches.seed, number, _MIXTURES])
        for step, (pixels, labels) in enumerate(self.batches.epoch(number), (number - 1) * steps):
            self.optimizer.set_lr(learning_rate(self.config, step, steps * self.config.epochs))
            alpha = self.config.mixup
            mixture = mix(pixels, labels, alpha, rng) if alpha else unmixed(pixels, labels)
            with self.quiet.training():
                total += self._step(mixture) * len(labels)
            images += len(labels)
        return total / images, images

    def _step(self, mixture: Mixture) -> float:
        logits = self.network(as_input(mixture.pixels, self.image_size))
        loss = self._loss(logits, mixture.labels)
        if mixture.share < 1:
            others = self._loss(logits, mixture.others)
            loss = mixture.share * loss + (1 - mixture.share) * others
        loss.backward()
        self.optimizer.step()
        self.optimizer.clear_grad()
        if self.average is not None:
            self.average.update()
        return float(loss)

    def _loss(self, logits: paddle.Tensor, labels: Array) -> paddle.Tensor:
        smoothing = self.config.label_smoothing
        return F.cross_entropy(logits, paddle.to_tensor(labels), label_smoothing=smoothing)


@paddle.no_grad()
def evaluate(
    network: nn.Layer, batches: EvaluationBatches, image_size: int, quiet: Quiet
) -> tuple[float, float]:
    """Accuracy (a fraction) and mean cross-entropy of `network`, left in eval mode."""
    network.eval()
    correct, total, images = 0, 0.0, 0
    for pixels, labels in batches:
        with quiet.training():
            logits = network(as_input(pixels, image_size))
            loss = F.cross_entropy(logits, paddle.to_tensor(labels), reduction="sum")
        correct += int(np.sum(logits.numpy().argmax(axis=1) == labels))
        total += float(loss)
        images += len(labels)
    return correct / images, total / images


def as_input(pixels: Array, image_size: int) -> paddle.Tensor:
    """`[n, 3, H, W]` as a tensor, resized bilinearly if it is not `image_size` pixels a side."""
    images = paddle.to_tensor(pixels)
    if pixels.shape[-1] == image_size:
        return images
    return F.interpolate(images, size=(image_size, image_size), mode="bilinear")
