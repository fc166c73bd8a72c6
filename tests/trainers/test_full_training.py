"""A full training: ended, resumed, judged once on the test split, and kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from small_jobs import KilledError, Listener, losses, small_images, small_job

from models.build import build
from models.errors import InputError
from models.weights import load_weights
from trainers import full_training
from trainers.config import DataConfig
from trainers.data.held_out import held_out_batches
from trainers.data.search_split import search_batches
from trainers.full_training import RESULT, WEIGHTS, FullTrainingError, SeedTraining, best_epoch
from trainers.messages import EpochResult
from trainers.quiet import Quiet
from trainers.train import evaluate

Run = Callable[..., Any]


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    small_images(folder, monkeypatch)
    return folder


@pytest.fixture
def training(images: Path, tmp_path: Path) -> Callable[..., SeedTraining]:
    def make(
        *overrides: str, seed: int = 0, name: str = "seed", listener: Listener | None = None
    ) -> SeedTraining:
        job = small_job(images, *overrides)
        return SeedTraining(job, seed, tmp_path / name, listener or Listener())

    return make


def made_curve(*accuracies: float) -> list[EpochResult]:
    return [EpochResult(n, a, 1.0, 1.0, 1.0, 1.0, 1.0) for n, a in enumerate(accuracies, 1)]


def test_the_result_is_what_its_weights_are_worth(
    training: Callable[..., SeedTraining], images: Path, quiet: Quiet
) -> None:
    run = training()
    result = run.run(quiet)
    job = small_job(images)
    network = build(job.architecture, 8, seed=5)
    load_weights(network, run.weights)
    accuracy, loss = evaluate(network, held_out_batches(DataConfig(), images), 8, quiet)
    assert (result.test_accuracy, result.test_loss) == (accuracy, loss)
    assert result.test_images == 20
    _, validation = search_batches(job.recipe.data, job.recipe.training, images, 0)
    assert evaluate(network, validation, 8, quiet)[0] == result.val_accuracy
    assert len(result.curve) == 3
    assert not result.early


def test_what_is_done_is_not_done_again(
    training: Callable[..., SeedTraining], quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = training().run(quiet)
    monkeypatch.setattr(full_training, "train", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(full_training, "evaluate", lambda *_: pytest.fail("tested again"))
    assert training().run(quiet) == first


def test_when_it_is_done_the_checkpoints_are_gone(
    training: Callable[..., SeedTraining], tmp_path: Path, quiet: Quiet
) -> None:
    training().run(quiet)
    names = {path.name for path in (tmp_path / "seed").iterdir()}
    assert names == {RESULT, WEIGHTS, WEIGHTS + ".sha256"}


@pytest.mark.parametrize("stop_after", [1, 2, 3])
@pytest.mark.parametrize("given", [(), ("training.average=0.5", "full_training.keep=last")])
def test_an_interrupted_training_ends_as_one_left_in_peace(
    training: Callable[..., SeedTraining], quiet: Quiet, stop_after: int, given: tuple[str, ...]
) -> None:
    whole = training(*given, name="whole")
    expected = whole.run(quiet)
    with pytest.raises(KilledError):
        training(*given, listener=Listener(stop_after)).run(quiet)
    listener = Listener()
    again = training(*given, listener=listener)
    found = again.run(quiet)
    assert listener.known == stop_after
    assert losses(found.curve) == losses(expected.curve)
    assert found.kept_epoch == expected.kept_epoch
    assert found.test_loss == expected.test_loss
    assert again.weights.read_bytes() == whole.weights.read_bytes()


def test_the_best_epoch_is_kept_although_later_ones_are_worse(
    training: Callable[..., SeedTraining], quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter([0.6, 0.9, 0.5, 0.75])
    real = full_training.train

    def judged_as_told(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr("trainers.train.evaluate", lambda *_: (next(said), 1.0))
        return real(*given, **named)

    monkeypatch.setattr(full_training, "train", judged_as_told)
    listener = Listener()
    best = training("training.epochs=4", listener=listener)
    result = best.run(quiet)
    assert (result.kept_epoch, result.val_accuracy) == (2, 0.9)
    monkeypatch.undo()
    assert listener.notices[-1:] == ["seed 0: judged on the test split, once"]


def test_patience_ends_a_training(
    training: Callable[..., SeedTraining], quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter([0.6, 0.7, 0.5, 0.7, 0.9])
    monkeypatch.setattr("trainers.train.evaluate", lambda *_: (next(said), 1.0))
    result = training("training.epochs=9", "full_training.patience=2").run(quiet)
    assert [epoch.val_accuracy for epoch in result.curve] == [0.6, 0.7, 0.5, 0.7]
    assert result.early
    assert result.kept_epoch == 2


def test_an_ended_training_is_not_gone_on_with_after_a_kill(
    training: Callable[..., SeedTraining], quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was killed after the epoch that ended it, and before it was judged."""
    said = iter([0.6, 0.5, 0.4, 0.9])
    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr("trainers.train.evaluate", lambda *_: (next(said), 1.0))
        training("training.epochs=9", "full_training.patience=1", listener=Listener(2)).run(quiet)
    listener = Listener()
    result = training("training.epochs=9", "full_training.patience=1", listener=listener).run(quiet)
    assert (len(result.curve), result.kept_epoch, listener.epochs) == (2, 1, [])


@pytest.mark.parametrize(
    ("curve", "best"), [((0.1,), 1), ((0.1, 0.3, 0.2), 2), ((0.3, 0.3), 1), ((0.1, 0.2, 0.3), 3)]
)
def test_the_first_of_equal_epochs_is_the_best(curve: tuple[float, ...], best: int) -> None:
    assert best_epoch(made_curve(*curve)) == best


def test_averaged_weights_are_what_is_kept(
    training: Callable[..., SeedTraining], quiet: Quiet
) -> None:
    """The kept weights have the validation accuracy that the averages had."""
    averaged, plain = (
        training(f"training.average={decay}", name=str(decay)) for decay in (0.9, 0.0)
    )
    averaged.run(quiet), plain.run(quiet)
    first, second = (safetensors.numpy.load_file(each.weights) for each in (averaged, plain))
    assert first.keys() == second.keys()
    assert any(not np.array_equal(first[key], second[key]) for key in first)


def damage_weights(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-4] + b"oops")


def remove_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def cut_result(folder: Path) -> None:
    path = folder / RESULT
    path.write_bytes(path.read_bytes()[:50])


def change(**values: Any) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        path = folder / RESULT
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return changed


@pytest.mark.parametrize(
    "damage",
    [
        damage_weights, remove_weights, cut_result, change(test_accuracy=2.0), change(curve=[]),
        change(kept_epoch=9), change(of="x"), change(test_loss=None), change(early="no"),
        change(more=1),
    ],
)  # fmt: skip
def test_a_damaged_result_is_trained_anew(
    training: Callable[..., SeedTraining], tmp_path: Path, quiet: Quiet, damage: Any
) -> None:
    first = training().run(quiet)
    damage(tmp_path / "seed")
    listener = Listener()
    again = training(listener=listener).run(quiet)
    assert losses(again.curve) == losses(first.curve)
    assert len(listener.epochs) == 3
    assert damage is remove_weights or "its result is damaged" in listener.notices[0]


def test_damaged_best_weights_are_told_and_the_last_are_kept(
    training: Callable[..., SeedTraining], tmp_path: Path, quiet: Quiet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    said = iter([0.9, 0.5, 0.5])
    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr("trainers.train.evaluate", lambda *_: (next(said), 1.0))
        training(listener=Listener(3)).run(quiet)
    for path in (tmp_path / "seed" / "best").glob("*.safetensors"):
        path.write_bytes(b"")
    listener = Listener()
    result = training(listener=listener).run(quiet)
    assert result.kept_epoch == 3
    assert any("best epoch's weights are damaged" in said for said in listener.notices)


def test_a_training_that_diverges_says_what_to_do(
    training: Callable[..., SeedTraining], quiet: Quiet
) -> None:
    with pytest.raises(FullTrainingError, match=r"seed 0 diverged in epoch .*learning_rate"):
        training("training.learning_rate=100.0", "training.schedule=constant",
                 "training.warmup_fraction=0.0", "training.epochs=60",
                 "training.weight_decay=1.0").run(quiet)  # fmt: skip


def test_a_missing_test_split_is_named_and_nothing_is_lost(
    training: Callable[..., SeedTraining], images: Path, quiet: Quiet
) -> None:
    kept = (images / "test_labels.npy").read_bytes()
    (images / "test_labels.npy").unlink()
    with pytest.raises(InputError, match=r"test_labels\.npy"):
        training().run(quiet)
    (images / "test_labels.npy").write_bytes(kept)
    listener = Listener()
    training(listener=listener).run(quiet)
    assert listener.epochs == []


def test_a_watcher_hears_of_every_image(
    training: Callable[..., SeedTraining], quiet: Quiet
) -> None:
    listener = Listener()
    training(listener=listener).run(quiet)
    assert listener.images == 3 * 40
