"""Batches on a device, here the CPU: the same training, without waiting, in its precision."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn
from trainings import (
    BACKBONE,
    CLASSES,
    SIDE,
    Brightness,
    curve,
    on_device,
    training,
    untimed,
    validation,
)

from models.architecture import Architecture
from models.build import build
from trainers.average import WeightAverage
from trainers.config import TrainingConfig
from trainers.quiet import Quiet
from trainers.train import _Trainer, as_input, evaluate, make_optimizer, train

EXTRAS = [
    {},
    {"mixup": 0.3, "average": 0.9},
    {"norm_bias_factor": 8.0, "label_smoothing": 0.0},
    {"optimizer": "adam", "learning_rate": 0.01},
]


@pytest.mark.parametrize("given", EXTRAS, ids=str)
def test_tensors_train_as_arrays_do(quiet: Quiet, given: dict[str, Any]) -> None:
    arrays, tensors = (curve(quiet, device=device, epochs=2, **given) for device in (False, True))
    assert untimed(arrays) == untimed(tensors)


def stepped(trainer: _Trainer, mixture: Any) -> paddle.Tensor:
    """The loss of one training step."""
    loss = trainer._losses(mixture)
    trainer._step()
    return loss


@pytest.mark.parametrize("given", EXTRAS, ids=str)
def test_no_step_waits_for_the_device(
    quiet: Quiet, given: dict[str, Any], forbid_transfers: Callable[[], None]
) -> None:
    config = TrainingConfig.model_validate({"epochs": 1} | given)
    network = build(Architecture(BACKBONE), SIDE, 0)
    optimizer, average = make_optimizer(network, config), WeightAverage(network, 0.9)
    batches, judges = on_device()
    trainer = _Trainer(network, batches, optimizer, config, SIDE, quiet, average, "float32")
    mixed = trainer._mixtures(1)
    stepped(trainer, next(mixed))  # the epoch's numbers are sent, the optimizer makes its own
    forbid_transfers()
    assert len([stepped(trainer, mixture) for mixture in mixed]) == 3
    larger, _ = next(iter(judges))
    assert as_input(larger, 2 * SIDE).shape == [20, 3, 2 * SIDE, 2 * SIDE]


def test_an_evaluation_waits_once(quiet: Quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    original = paddle.Tensor.numpy

    def numpy(self: paddle.Tensor, *given: Any) -> Any:
        reads.append(len(self))
        return original(self, *given)

    _, judges = on_device()
    network = Brightness(2.0)
    monkeypatch.setattr(paddle.Tensor, "numpy", numpy)
    monkeypatch.setattr(paddle, "to_tensor", lambda *_: pytest.fail("something is sent"))
    assert evaluate(network, judges, SIDE, quiet)[0] == 1.0
    images = sum(len(labels) for _, labels in judges)
    assert reads == [images, 2], "of hits and of losses, after all batches"


class Coarse(nn.Layer):
    """Logits in bfloat16, as autocasting leaves them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * SIDE * SIDE, CLASSES)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        return self.linear(images.flatten(1)).astype("bfloat16")


def test_the_loss_of_bfloat16_logits_is_float32(quiet: Quiet) -> None:
    config = TrainingConfig(epochs=1, learning_rate=0.1, momentum=0.0, nesterov=False)
    network = Coarse()
    before = network.linear.weight.numpy().copy()
    optimizer = make_optimizer(network, config)
    trainer = _Trainer(network, training(), optimizer, config, SIDE, quiet, None, "float32")
    pixels, labels = next(training().epoch(1))
    logits = network(as_input(pixels, SIDE)).astype("float32")
    expected = paddle.nn.functional.cross_entropy(
        logits, paddle.to_tensor(labels), label_smoothing=config.label_smoothing
    )
    loss = stepped(trainer, next(trainer._mixtures(1)))
    assert loss.dtype == paddle.float32
    assert float(loss) == float(expected)
    assert not np.array_equal(network.linear.weight.numpy(), before)
    assert network.linear.weight.dtype == paddle.float32


def test_training_is_in_its_precision_and_validation_in_float32(
    quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast: list[str] = []
    inside: list[tuple[bool, bool]] = []

    @contextlib.contextmanager
    def autocast(precision: str) -> Iterator[None]:
        cast.append(precision)
        yield
        cast.pop()

    class Watched(Brightness):
        def forward(self, images: paddle.Tensor) -> paddle.Tensor:
            inside.append((self.training, bool(cast)))
            return super().forward(images) + 0 * self.scale

    network = Watched(2.0)
    network.scale = network.create_parameter([1])
    monkeypatch.setattr("trainers.train.autocast", autocast)
    list(train(network, training(), validation(), TrainingConfig(epochs=1), image_size=SIDE,
               quiet=quiet))  # fmt: skip
    assert inside == [(True, True)] * 4 + [(False, False)] * 2
