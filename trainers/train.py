"""Training one network: an iterator of epochs, so that its driver can stop at any of them."""

import contextlib
import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import paddle
from paddle import nn
from paddle.nn import functional as F

from models.insertion import fade_in
from trainers.average import WeightAverage
from trainers.checkpoint import Checkpoint, Checkpoints
from trainers.config import TrainingConfig
from trainers.data.batches import Evaluation, Training
from trainers.messages import EpochResult
from trainers.mixup import Mixture, mixtures, unmixed
from trainers.precision import autocast, resolve
from trainers.quiet import Quiet
from trainers.schedule import learning_rate
from trainers.training_state import TrainingState, refuse_misfit

Hits = npt.NDArray[np.bool_]

FADE_SHARE = 0.5
"""Share of a training with inherited weights after which blocks that were faded in act wholly."""

_MIXTURES, _DROPOUT = 0x6D6978, 0x64726F
"""Set the draws of mixup and of dropout apart from those of batches."""


class DivergedError(Exception):
    """The loss is no finite number any more."""


def train(
    network: nn.Layer,
    batches: Training,
    validation: Evaluation,
    config: TrainingConfig,
    *,
    image_size: int,
    quiet: Quiet,
    inherited: bool = False,
    checkpoints: Checkpoints | None = None,
    begun: Checkpoint | None = None,
    micro_batches: int = 1,
) -> Iterator[EpochResult]:
    """Trains `network` in place and yields after every epoch, validated.

    `checkpoints`: where its state is kept after every epoch, before that is yielded; `begun`: the
    one to go on from, by which the remaining epochs turn out as if there had been no interruption.
    `micro_batches`: parts that every batch is computed in, one after another, to take less memory;
    gradients are those of the whole batch, but batch norms see the part.

    In the end its values are those that were validated last. `inherited`: it began with trained
    weights (`models.insertion`), so blocks that cannot learn to act are faded in.

    Forward and backward passes wait while a latency is measured on this machine. With batches on a
    device the host waits for it twice an epoch, when it reads the losses of training and
    validation, and otherwise only hands it work; what is still queued when a measurement begins
    runs on beside it.
    Raises DivergedError when a loss is not finite, after the epoch in which that happens, and
    InputError for a precision that the device does not have, StorageError for a checkpoint that
    cannot be written, ValueError, before anything is changed, for one to go on from that is of
    another training.
    """
    optimizer = make_optimizer(network, config)
    average = WeightAverage(network, config.average) if config.average else None
    precision = resolve(config.precision)
    trainer = _Trainer(
        network,
        batches,
        optimizer,
        config,
        image_size,
        quiet,
        average,
        precision,
        inherited,
        micro_batches,
    )
    state, curve = TrainingState(network, optimizer, average), list(begun.curve if begun else ())
    if begun is not None:
        refuse_misfit(begun.arrays, network, config)
        state.restore(begun.arrays)
    for epoch in range(len(curve) + 1, config.epochs + 1):
        began = time.perf_counter()
        train_loss, images = trainer.epoch(epoch)
        trained = time.perf_counter()
        last = epoch == config.epochs
        with _validated(average, for_good=last):
            if inherited and last:
                fade_in(network, 1.0)  # an average of shares would be a little less
            val_accuracy, val_loss = evaluate(network, validation, image_size, quiet)
        if not math.isfinite(train_loss) or not math.isfinite(val_loss):
            raise DivergedError(
                f"diverged in epoch {epoch}: training loss {train_loss}, validation loss {val_loss}"
            )
        result = EpochResult(
            epoch=epoch,
            val_accuracy=val_accuracy,
            val_loss=val_loss,
            train_loss=train_loss,
            train_seconds=trained - began,
            validation_seconds=time.perf_counter() - trained,
            images_per_second=images / (trained - began),
        )
        curve.append(result)
        if checkpoints is not None:
            checkpoints.save(state.arrays(), curve)
        yield result


def _seed_of_dropout(seed: int, epoch: int) -> int:
    """So that what is dropped does not depend on what else this process has trained before."""
    return int(np.random.SeedSequence([seed, epoch, _DROPOUT]).generate_state(1)[0])


def _validated(average: WeightAverage | None, *, for_good: bool) -> AbstractContextManager[None]:
    """The network with the values that are validated, afterwards with its own unless `for_good`."""
    if average is None:
        return contextlib.nullcontext()
    if not for_good:
        return average.applied()
    average.apply()
    return contextlib.nullcontext()


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
    batches: Training
    optimizer: Any
    config: TrainingConfig
    image_size: int
    quiet: Quiet
    average: WeightAverage | None
    precision: Literal["float32", "bfloat16"]
    inherited: bool = False
    micro_batches: int = 1

    def epoch(self, number: int) -> tuple[float, int]:
        """Trains one epoch, counted from 1: the mean loss of its images, and how many they were."""
        self.network.train()
        paddle.seed(_seed_of_dropout(self.batches.seed, number))
        sizes = self.batches.sizes
        losses = []
        for step, mixture in enumerate(self._mixtures(number), (number - 1) * len(sizes)):
            steps = len(sizes) * self.config.epochs
            self.optimizer.set_lr(learning_rate(self.config, step, steps))
            if self.inherited:
                fade_in(self.network, min(1.0, (step + 1) / (FADE_SHARE * steps)))
            losses.append(self._losses(mixture))
            with self.quiet.training():
                self._step()
        images = sum(sizes)
        total = sum(loss * size for loss, size in zip(_read(losses), sizes, strict=True))
        return total / images, images

    def _mixtures(self, number: int) -> Iterator[Mixture]:
        batches, alpha = self.batches.epoch(number), self.config.mixup
        if not alpha:
            return (unmixed(pixels, labels) for pixels, labels in batches)
        rng = np.random.default_rng([self.batches.seed, number, _MIXTURES])
        return mixtures(batches, self.batches.sizes, alpha, rng)

    def _losses(self, mixture: Mixture) -> paddle.Tensor:
        """The mean loss of a batch, whose gradients are added up part by part."""
        total: Any = 0.0
        for part in mixture.in_parts(self.micro_batches):
            with self.quiet.training():
                loss = self._forward(part) * (len(part.labels) / len(mixture.labels))
            with self.quiet.training():  # apart, so that who measures waits less
                loss.backward()
            total = total + loss.detach()
        return total

    def _forward(self, mixture: Mixture) -> paddle.Tensor:
        """Its loss, left on the device: to read it is to wait for all that was asked before."""
        images = as_input(mixture.pixels, self.image_size)
        with autocast(self.precision):
            logits = self.network(images)
        loss = self._loss(logits, mixture.labels)
        if mixture.share < 1:
            others = self._loss(logits, mixture.others)
            loss = mixture.share * loss + (1 - mixture.share) * others
        return loss

    def _step(self) -> None:
        self.optimizer.step()
        self.optimizer.clear_grad()
        if self.average is not None:
            self.average.update()

    def _loss(self, logits: paddle.Tensor, labels: Any) -> paddle.Tensor:
        if logits.dtype != paddle.float32:
            logits = logits.astype("float32")
        smoothing = self.config.label_smoothing
        return F.cross_entropy(logits, as_tensor(labels), label_smoothing=smoothing)


def evaluate(
    network: nn.Layer, batches: Evaluation, image_size: int, quiet: Quiet
) -> tuple[float, float]:
    """Accuracy (a fraction) and mean cross-entropy of `network`, left in eval mode."""
    hits, loss = judge(network, batches, image_size, quiet)
    return int(hits.sum()) / len(hits), loss


@paddle.no_grad()
def judge(
    network: nn.Layer, batches: Evaluation, image_size: int, quiet: Quiet
) -> tuple[Hits, float]:
    """Which images `network` labels right, bool [N], and the mean cross-entropy; in eval mode.

    In float32: bfloat16's logits, rounded to 8 bits, would tie.
    """
    network.eval()
    hits, losses = [], []
    for pixels, labels in batches:
        with quiet.training():
            logits = network(as_input(pixels, image_size))
            expected = as_tensor(labels)
            losses.append(F.cross_entropy(logits, expected, reduction="sum"))
            hits.append(logits.argmax(axis=1) == expected)
    found: Hits = paddle.concat(hits).numpy()
    return found, sum(_read(losses)) / len(found)


def as_input(pixels: Any, image_size: int) -> paddle.Tensor:
    """`[n, 3, H, W]` as a tensor, resized bilinearly if it is not `image_size` pixels a side."""
    images = as_tensor(pixels)
    if pixels.shape[-1] == image_size:
        return images
    return F.interpolate(images, size=(image_size, image_size), mode="bilinear")


def as_tensor(values: Any) -> paddle.Tensor:
    """An array on the current device; a tensor as it is."""
    return values if isinstance(values, paddle.Tensor) else paddle.to_tensor(values)


def _read(numbers: list[paddle.Tensor]) -> list[float]:
    """Numbers from the device, all at once."""
    read: list[float] = paddle.stack(numbers).tolist()
    return read
