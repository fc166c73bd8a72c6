"""Training on images a thin network learns in seconds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn
from trainings import (
    BACKBONE,
    CLASSES,
    IMAGES,
    SIDE,
    Brightness,
    curve,
    image_set,
    on_device,
    training,
    untimed,
    validation,
)

from models.architecture import Architecture
from models.build import build
from trainers.config import TrainingConfig
from trainers.data.batches import EvaluationBatches
from trainers.data.store import ImageSet
from trainers.mixup import Mixture
from trainers.quiet import Quiet
from trainers.schedule import learning_rate
from trainers.train import DivergedError, as_input, evaluate, make_optimizer, train


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_it_learns(quiet: Quiet, optimizer: str) -> None:
    rate = {"sgd": 0.05, "adam": 0.01}[optimizer]
    results = curve(quiet, optimizer=optimizer, learning_rate=rate, weight_decay=0.0)
    assert [result.epoch for result in results] == [1, 2, 3, 4]
    assert results[-1].train_loss < 0.6 * results[0].train_loss
    assert results[-1].val_accuracy == 1.0
    for result in results:
        assert result.train_seconds > 0
        assert result.validation_seconds > 0
        assert result.images_per_second == pytest.approx(32 / result.train_seconds)


def test_the_same_seed_gives_the_same_curve(quiet: Quiet) -> None:
    first, second, other = (untimed(curve(quiet, seed, epochs=2)) for seed in (0, 0, 1))
    assert first == second
    assert first != other


@pytest.mark.parametrize("device", [False, True])
def test_a_huge_learning_rate_diverges(quiet: Quiet, device: bool) -> None:
    wild: dict[str, Any] = {"learning_rate": 100.0, "schedule": "constant", "momentum": 0.99}
    with pytest.raises(DivergedError, match=r"diverged in epoch \d: training loss"):
        curve(quiet, device=device, epochs=30, **wild)


class Switched(nn.Layer):
    """Logits of a linear layer, times NaN in one training step alone."""

    def __init__(self, bad_step: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * SIDE * SIDE, CLASSES)
        self.bad_step, self.steps = bad_step, 0

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        logits = self.linear(images.flatten(1))
        self.steps += self.training
        if self.training and self.steps == self.bad_step:
            return logits.detach() * float("nan") + 0 * logits.detach()
        return logits


@pytest.mark.parametrize("device", [False, True])
def test_one_loss_that_is_no_number_is_found_at_the_end_of_its_epoch(
    quiet: Quiet, device: bool
) -> None:
    batches, judges = on_device() if device else (training(), validation())
    network = Switched(bad_step=6)  # of 4 steps an epoch
    config = TrainingConfig(epochs=3, learning_rate=1e-3)
    epochs = train(network, batches, judges, config, image_size=SIDE, quiet=quiet)
    assert next(epochs).epoch == 1
    with pytest.raises(DivergedError, match="diverged in epoch 2: training loss nan, validation"):
        next(epochs)


def test_label_smoothing_is_in_the_training_loss_alone(quiet: Quiet) -> None:
    plain = curve(quiet, epochs=1, learning_rate=1e-9, label_smoothing=0.0)
    smooth = curve(quiet, epochs=1, learning_rate=1e-9, label_smoothing=0.5)
    assert plain[0].val_loss == pytest.approx(smooth[0].val_loss, rel=1e-4)
    assert plain[0].train_loss != pytest.approx(smooth[0].train_loss, rel=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_each_label_has_its_share_of_the_loss(quiet: Quiet, share: float) -> None:
    """Where the other label is the true one, it alone counts at a share of 0."""
    still = {"epochs": 1, "learning_rate": 1e-9, "label_smoothing": 0.0}
    right, wrong = (curve(quiet, **still)[0].train_loss, _loss_of_wrong_labels(quiet, 1.0))
    assert right != pytest.approx(wrong, rel=1e-2)
    expected = share * wrong + (1 - share) * right
    assert _loss_of_wrong_labels(quiet, share) == pytest.approx(expected, rel=1e-4)


def _loss_of_wrong_labels(quiet: Quiet, share: float) -> float:
    """The training loss where that share of it is of the other class's label."""

    def mixtures(batches: Any, *_: object) -> Iterator[Mixture]:
        return (Mixture(pixels, 1 - labels, labels, share) for pixels, labels in batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainers.train.mixtures", mixtures)
        config = {"epochs": 1, "learning_rate": 1e-9, "label_smoothing": 0.0, "mixup": 1.0}
        return curve(quiet, **config)[0].train_loss


def test_the_same_seed_mixes_the_same(quiet: Quiet) -> None:
    first, second = (untimed(curve(quiet, epochs=2, mixup=0.5)) for _ in range(2))
    assert first == second
    assert first != untimed(curve(quiet, epochs=2))


def test_it_learns_from_mixtures(quiet: Quiet) -> None:
    assert curve(quiet, mixup=0.2, epochs=6)[-1].val_accuracy == 1.0


def test_the_average_is_validated_and_changes_no_training(quiet: Quiet) -> None:
    plain, averaged = curve(quiet, epochs=3), curve(quiet, epochs=3, average=0.9)
    assert [r.train_loss for r in plain] == [r.train_loss for r in averaged]
    assert all(a.val_loss != b.val_loss for a, b in zip(plain, averaged, strict=True))


def test_norm_shifts_learn_faster_and_decay_alike() -> None:
    """One step of plain descent: by the gradient of 1, and by the weight decay alone."""
    rate, decay, factor = 0.25, 0.5, 8.0
    for gradient in (1.0, 0.0):
        network = nn.Sequential(nn.Conv2D(3, 4, 1), nn.BatchNorm2D(4), nn.Linear(4, 2))
        before = _set_to_ones(network, gradient)
        config = TrainingConfig(
            learning_rate=1.0, momentum=0.0, nesterov=False, weight_decay=decay,
            norm_bias_factor=factor,
        )  # fmt: skip
        optimizer = make_optimizer(network, config)
        optimizer.set_lr(rate)  # as the schedule does at every step
        optimizer.step()
        for key in before:
            own = factor if key == "1.bias" else 1.0
            expected = 1.0 - rate * (own * gradient + decay)
            np.testing.assert_allclose(network.state_dict()[key].numpy(), expected, atol=1e-6)


def _set_to_ones(network: nn.Layer, gradient: float) -> list[str]:
    """Every trained value, and `gradient` in its gradient; their names."""
    trained = {key: p for key, p in network.named_parameters() if p.trainable}
    for parameter in trained.values():
        parameter.set_value(paddle.ones_like(parameter))
    sum(gradient * parameter.sum() for parameter in trained.values()).backward()
    return list(trained)


def test_closed_early_it_trains_no_further(quiet: Quiet) -> None:
    network = build(Architecture(BACKBONE), SIDE, 0)
    config = TrainingConfig(epochs=50)
    epochs = train(network, training(), validation(), config, image_size=SIDE, quiet=quiet)
    next(epochs)
    before = network.classifier.weight.numpy()
    epochs.close()  # type: ignore[attr-defined]
    assert list(epochs) == []
    assert np.array_equal(before, network.classifier.weight.numpy())


def test_every_step_has_its_learning_rate(quiet: Quiet, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    original = paddle.optimizer.Momentum.step

    def step(self: Any) -> None:
        seen.append(self.get_lr())
        original(self)

    monkeypatch.setattr(paddle.optimizer.Momentum, "step", step)
    curve(quiet, epochs=3)
    config = TrainingConfig(epochs=3, learning_rate=0.05)
    assert seen == pytest.approx([learning_rate(config, n, 12) for n in range(12)])


def test_evaluation_is_a_count(quiet: Quiet) -> None:
    images = image_set()
    labels = images.labels.copy()
    labels[:3] = 1 - labels[:3]  # three wrong ones
    wrong = ImageSet(images.images, labels, images.mean, images.deviation, CLASSES, "")
    batches = EvaluationBatches(wrong, np.arange(IMAGES), batch_size=7)
    network = Brightness(2.0)
    network.train()
    accuracy, loss = evaluate(network, batches, SIDE, quiet)
    assert accuracy == (IMAGES - 3) / IMAGES
    right = np.log1p(np.exp(-2.0))  # -log softmax of the right class
    assert loss == pytest.approx(((IMAGES - 3) * right + 3 * (right + 2.0)) / IMAGES, rel=1e-5)
    assert not network.seen_training


def test_images_of_the_right_size_pass_as_they_are() -> None:
    pixels = np.random.default_rng(0).normal(size=(2, 3, SIDE, SIDE)).astype(np.float32)
    assert np.array_equal(as_input(pixels, SIDE).numpy(), pixels)


@pytest.mark.parametrize("side", [4, 16])
def test_others_are_resized(side: int) -> None:
    pixels = np.full((2, 3, SIDE, SIDE), 0.25, np.float32)
    pixels[1] = -1.0
    resized = as_input(pixels, side).numpy()
    assert resized.shape == (2, 3, side, side)
    assert np.allclose(resized[0], 0.25)
    assert np.allclose(resized[1], -1.0)


def one_step(**given: Any) -> tuple[Any, np.ndarray]:
    """The optimizer, and what one step with gradient 1 does to a weight of 2."""
    layer = nn.Linear(1, 1, bias_attr=False)
    layer.weight.set_value(np.full((1, 1), 2.0, np.float32))
    optimizer = make_optimizer(layer, TrainingConfig.model_validate(given))
    layer(paddle.ones((1, 1))).sum().backward()
    optimizer.step()
    return optimizer, layer.weight.numpy() - 2.0


def test_optimizers() -> None:
    plain = {"learning_rate": 0.1, "weight_decay": 0.0}
    sgd, change = one_step(**plain, momentum=0.0, nesterov=False)
    assert isinstance(sgd, paddle.optimizer.Momentum)
    assert change == pytest.approx(-0.1, rel=1e-4)
    assert one_step(**plain, momentum=0.9, nesterov=True)[1] == pytest.approx(-0.19, rel=1e-4)
    adam, change = one_step(**plain, optimizer="adam")
    assert isinstance(adam, paddle.optimizer.Adam)
    assert change == pytest.approx(-0.1, rel=1e-3)


def test_weight_decay_is_added_to_the_gradient() -> None:
    _, change = one_step(learning_rate=0.1, weight_decay=0.5, momentum=0.0, nesterov=False)
    assert change == pytest.approx(-0.1 * (1 + 0.5 * 2), rel=1e-4)


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_micro_batches_add_up_to_the_batch(quiet: Quiet, device: bool, mixup: float) -> None:
    """Without batch norms they are the same training, whatever parts the batches are cut into."""
    found = []
    for parts in (1, 2, 3, 100):
        paddle.seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, CLASSES))
        config = TrainingConfig.model_validate({"epochs": 2, "learning_rate": 0.01, "mixup": mixup})
        batches, judges = on_device(0) if device else (training(0), validation())
        results = train(
            network, batches, judges, config, image_size=SIDE, quiet=quiet, micro_batches=parts
        )
        found.append([(r.train_loss, r.val_loss) for r in results])
    for losses in found[1:]:
        np.testing.assert_allclose(losses, found[0], rtol=1e-5)


def test_parts_are_of_like_size_and_none_is_empty() -> None:
    pixels, labels = np.arange(7.0).reshape(7, 1), np.arange(7)
    for many, sizes in ((1, [7]), (2, [3, 4]), (3, [2, 2, 3]), (7, [1] * 7), (100, [1] * 7)):
        parts = list(Mixture(pixels, labels, labels[::-1], 0.5).in_parts(many))
        assert [len(part.labels) for part in parts] == sizes
        assert np.concatenate([part.labels for part in parts]).tolist() == labels.tolist()
        assert np.concatenate([part.others for part in parts]).tolist() == labels[::-1].tolist()
        assert all((part.pixels[:, 0] == part.labels).all() for part in parts)
