"""Training on images a thin network learns in seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from models.architecture import Architecture, Backbone
from models.build import build
from trainers.config import Augmentation, TrainingConfig
from trainers.data.batches import EvaluationBatches, TrainingBatches
from trainers.data.store import ImageSet
from trainers.messages import EpochResult
from trainers.mixup import Mixture
from trainers.quiet import Quiet
from trainers.schedule import learning_rate
from trainers.train import DivergedError, as_input, evaluate, make_optimizer, train

SIDE, IMAGES, CLASSES = 8, 64, 2
BACKBONE = Backbone(width=0.0625, classes=CLASSES)
HALF = np.arange(IMAGES // 2)


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Quiet]:
    locks = Quiet(tmp_path)
    yield locks
    locks.close()


def image_set() -> ImageSet:
    """Dark and bright images; the label says which."""
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    noise = rng.integers(0, 60, (IMAGES, SIDE, SIDE, 3))
    images = (noise + 150 * labels[:, None, None, None]).astype(np.uint8)
    return ImageSet(images, labels, (0.5,) * 3, (0.25,) * 3, CLASSES, "")


def training(seed: int = 0) -> TrainingBatches:
    return TrainingBatches(
        image_set(),
        HALF,
        batch_size=8,
        augmentation=Augmentation(crop_padding=1, flip=True),
        seed=seed,
    )


def validation() -> EvaluationBatches:
    return EvaluationBatches(image_set(), HALF + IMAGES // 2, batch_size=20)


def curve(quiet: Quiet, seed: int = 0, **given: Any) -> list[EpochResult]:
    config = TrainingConfig.model_validate({"epochs": 4, "learning_rate": 0.05} | given)
    network = build(Architecture(BACKBONE), SIDE, seed)
    return list(train(network, training(seed), validation(), config, image_size=SIDE, quiet=quiet))


def untimed(results: list[EpochResult]) -> list[tuple[int, float, float, float]]:
    return [(r.epoch, r.val_accuracy, r.val_loss, r.train_loss) for r in results]


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


def test_a_huge_learning_rate_diverges(quiet: Quiet) -> None:
    with pytest.raises(DivergedError, match=r"diverged in epoch \d: training loss"):
        curve(quiet, learning_rate=100.0, schedule="constant", momentum=0.99, epochs=30)


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

    def mixture(pixels: Any, labels: Any, *_: object) -> Mixture:
        return Mixture(pixels, 1 - labels, labels, share)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainers.train.mix", mixture)
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


class Brightness(nn.Layer):
    """Says 1 for images brighter than the mean, with logits ±`certainty`."""

    def __init__(self, certainty: float) -> None:
        super().__init__()
        self.certainty = certainty

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        self.seen_training = self.training
        bright = images.mean(axis=(1, 2, 3)) > 0
        second = self.certainty * bright.astype("float32")
        return paddle.stack([self.certainty - second, second], axis=1)


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
