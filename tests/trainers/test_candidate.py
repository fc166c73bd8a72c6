"""One candidate as a stream of answers: whatever goes wrong is the last of them."""

import json
import shutil
from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import safetensors.numpy

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import block_class, make_block
from models.checksum import sha256
from trainers.candidate import run_candidate
from trainers.config import DataConfig, LatencyConfig, TrainingConfig
from trainers.data import search_split, store
from trainers.data.cifar10 import FACTS
from trainers.messages import (
    Answer,
    Built,
    Cause,
    EpochResult,
    Failed,
    Judged,
    Measured,
    Resumed,
    Saved,
    Start,
    Task,
    packed,
)

State = dict[str, np.ndarray[Any, Any]]

SIDE, IMAGES = 8, 60
SE = Placement(Slot(4, 2, "before_add"), make_block("se", {"reduction": 4}))


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Task]:
    """A task over small images of two classes, in a folder that holds no test images."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # no other training's locks
    train = replace(FACTS.train, class_counts=(30, 30))
    facts = replace(FACTS, class_names=("dark", "light"), image_size=SIDE, train=train)
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
            latency=LatencyConfig(seconds=0.02),
            seed=0,
        )

    return make


def last(answers: list[Answer]) -> Failed:
    *before, failed = answers
    assert isinstance(failed, Failed)
    assert not any(isinstance(answer, Failed) for answer in before)
    return failed


def test_measured_then_every_epoch(task: Callable[..., Task]) -> None:
    built, measured, *epochs = run_candidate(task(SE))
    assert isinstance(built, Built)
    assert isinstance(measured, Measured)
    assert measured.latency.median_ms > 0
    assert (measured.latency.batch, measured.latency.image_size) == (1, SIDE)
    assert built.worker.device == "cpu"
    assert all(isinstance(epoch, EpochResult) for epoch in epochs)
    assert [epoch.epoch for epoch in epochs] == [1, 2]


def test_what_was_begun_goes_on(task: Callable[..., Task], tmp_path: Path) -> None:
    """As if it had not been interrupted."""
    kept = replace(task(SE, epochs=3), checkpoints=str(tmp_path / "trial-00000"))
    whole = curve(run_candidate(replace(kept, checkpoints=None)))
    answers = run_candidate(kept)
    begun = [next(answers) for _ in range(4)][2:]
    answers.close()
    built, resumed, *rest = run_candidate(replace(kept, measure_first=False))
    assert isinstance(built, Built)
    assert resumed == Resumed(tuple(begun))
    assert [epoch.train_loss for epoch in (*resumed.curve, *rest[:1])] == whole
    assert isinstance(rest[1], Measured), "it has the weights that were trained"


def without_slash(arrays: State) -> State:
    return {name.replace("/stem.0", "-stem.0"): array for name, array in arrays.items()}


def of_another_shape(arrays: State) -> State:
    last = [name for name in arrays if name.startswith("network/")][-1]
    return arrays | {last: arrays[last].repeat(2)}


def optimizers_of_another_shape(arrays: State) -> State:
    return {k: array[:1] if k.startswith("optimizer/") else array for k, array in arrays.items()}


@pytest.mark.parametrize("how", [without_slash, of_another_shape, optimizers_of_another_shape])
@pytest.mark.parametrize("many", [1, 2])
def test_a_checkpoint_that_does_not_fit_is_passed_over(
    task: Callable[..., Task], tmp_path: Path, how: Callable[[State], State], many: int
) -> None:
    """The one before it is taken; where that is none either, fresh values."""
    folder = tmp_path / "trial-00000"
    kept = replace(task(SE, epochs=3), checkpoints=str(folder), measure_first=False)
    whole = curve(run_candidate(kept))
    for epoch in (3, 2)[:many]:
        weights = folder / f"epoch-{epoch:05d}.safetensors"
        weights.write_bytes(safetensors.numpy.save(how(safetensors.numpy.load_file(weights))))
        sign(weights.with_suffix(""))
    _, resumed, *rest, measured = run_candidate(kept)
    assert isinstance(resumed, Resumed)
    assert len(resumed.damaged) == many
    assert len(resumed.curve) == {1: 2, 2: 0}[many]
    assert [epoch.train_loss for epoch in (*resumed.curve, *rest)] == whole
    assert isinstance(measured, Measured)


def test_a_checkpoint_of_more_epochs_than_there_are_is_passed_over(
    task: Callable[..., Task], tmp_path: Path
) -> None:
    folder = tmp_path / "trial-00000"
    kept = replace(task(SE, epochs=2), checkpoints=str(folder), measure_first=False)
    list(run_candidate(kept))
    later = json.loads((folder / "epoch-00002.json").read_text())
    later["curve"].append(later["curve"][-1] | {"epoch": 3})
    (folder / "epoch-00003.json").write_text(json.dumps(later))
    shutil.copy(folder / "epoch-00002.safetensors", folder / "epoch-00003.safetensors")
    sign(folder / "epoch-00003")
    _, resumed, _ = run_candidate(kept)
    assert "it has 3 of 2 epochs" in resumed.damaged[0]
    assert len(resumed.curve) == 2


def sign(checkpoint: Path) -> None:
    """Writes the checksums that its files have."""
    parts = [checkpoint.with_suffix(suffix) for suffix in (".safetensors", ".json")]
    lines = [f"{sha256(part)}  {part.name}\n" for part in parts]
    checkpoint.with_suffix(".sha256").write_text("".join(lines))


def test_another_recipe_does_not_go_on_from_it(task: Callable[..., Task], tmp_path: Path) -> None:
    kept = replace(task(SE, epochs=1), checkpoints=str(tmp_path / "trial-00000"))
    list(run_candidate(kept))
    other = replace(task(SE, epochs=1, learning_rate=0.3), checkpoints=kept.checkpoints)
    _, _, resumed, epoch = run_candidate(other)
    assert resumed.curve == ()
    assert "another training" in resumed.damaged[0]
    assert epoch.epoch == 1


def test_a_checkpoint_that_cannot_be_written_is_no_fault_of_the_candidate(
    task: Callable[..., Task], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    failed = last(list(run_candidate(replace(task(SE), checkpoints=str(tmp_path / "file/trial")))))
    assert failed.cause is Cause.STORAGE
    assert "a checkpoint cannot be written" in failed.reason


def test_out_of_memory_has_its_own_cause(
    task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Paddle says it, which truly has not so much to give."""

    def huge(*_: object) -> paddle.Tensor:
        return paddle.zeros([10**6, 10**7])

    monkeypatch.setattr("trainers.train.as_input", huge)
    failed = last(list(run_candidate(task(SE))))
    assert failed.cause is Cause.MEMORY
    assert failed.reason.startswith("out of memory: (ResourceExhausted) Fail to alloc")
    assert "\n" not in failed.reason
    assert "Traceback" in failed.details


def curve(answers: Iterable[Answer]) -> list[float]:
    return [answer.train_loss for answer in answers if isinstance(answer, EpochResult)]


def test_images_are_resized_to_the_configured_size(task: Callable[..., Task]) -> None:
    _, measured, *epochs = run_candidate(task(SE, size=16, epochs=1))
    assert measured.latency.image_size == 16
    assert len(epochs) == 1
    assert isinstance(epochs[0], EpochResult)


def test_on_a_gpu_the_batches_are_tensors(
    task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the GPU is the CPU by another name, so the curve is the same too."""

    def losses(device: str) -> list[float]:
        _, _, *epochs = run_candidate(replace(task(SE), device=device))
        return [epoch.train_loss for epoch in epochs]

    expected = losses("cpu")
    made, set_to = [], []
    original = search_split.DeviceTrainingBatches
    monkeypatch.setattr(paddle, "set_device", set_to.append)
    monkeypatch.setattr(
        search_split, "DeviceTrainingBatches", lambda *given: made.append(1) or original(*given)
    )
    assert losses("gpu") == expected
    assert (made, set_to) == ([1], ["gpu"])


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
    assert len(answers) == 4, "and it works without the files"
    assert set(opened) == {"train_images.npy", "train_labels.npy"}


def test_the_same_task_gives_the_same_curve(task: Callable[..., Task]) -> None:
    def curve() -> list[tuple[float, float, float]]:
        _, _, *epochs = run_candidate(task(SE))
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
    assert len(answers) == (2 if when == "measured" else 3)


def test_an_architecture_that_cannot_be_built(task: Callable[..., Task]) -> None:
    nowhere = Placement(Slot(9, 1, "before_add"), SE.block)
    (failed,) = run_candidate(task(nowhere))
    assert isinstance(failed, Failed)
    assert "stage9.block1.before_add" in failed.reason
    assert failed.cause is Cause.ITSELF, "others may be built"


def test_missing_images(task: Callable[..., Task], tmp_path: Path) -> None:
    (tmp_path / "train_images.npy").unlink()
    failed = last(list(run_candidate(task())))
    assert "train_images.npy" in failed.reason
    assert failed.cause is Cause.INPUT


def test_more_images_than_there_are(task: Callable[..., Task]) -> None:
    failed = last(list(run_candidate(task(batch_size=100))))
    assert "training.batch_size" in failed.reason
    assert failed.cause is Cause.INPUT


def test_closed_early(task: Callable[..., Task]) -> None:
    answers = run_candidate(task(epochs=1000))
    assert isinstance(next(answers), Built)
    assert isinstance(next(answers), Measured)
    assert isinstance(next(answers), EpochResult)
    answers.close()
    assert list(answers) == []


def test_the_latency_can_come_last(task: Callable[..., Task]) -> None:
    answers = list(run_candidate(replace(task(SE), measure_first=False)))
    assert [type(answer) for answer in answers] == [Built, EpochResult, EpochResult, Measured]


def saved_baseline(task: Callable[..., Task], path: Path, **training: Any) -> Start:
    """Trains the plain backbone and returns where its weights are."""
    recipe = {"epochs": 16, "learning_rate": 0.02} | training
    origin = replace(task(**recipe), measure_first=False, save_to=str(path))
    *_, last_epoch, saved = run_candidate(origin)
    assert isinstance(saved, Saved)
    assert isinstance(last_epoch, EpochResult)
    assert last_epoch.val_accuracy == 1.0, "two classes that are easily told apart"
    return saved.start


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_candidate_begins_where_the_baseline_ended(
    task: Callable[..., Task], tmp_path: Path, average: float
) -> None:
    """With next to no learning rate its first epoch is the baseline's last."""
    start = saved_baseline(task, tmp_path / "b.safetensors", average=average)
    for placements in ((), (SE,)):
        still = replace(task(*placements, epochs=1, learning_rate=1e-12), start=start)
        *_, epoch = run_candidate(still)
        assert isinstance(epoch, EpochResult)
        assert epoch.val_accuracy == 1.0
        assert epoch.val_loss < 0.5
    scratch = task(SE, epochs=1, learning_rate=1e-12)
    *_, epoch = run_candidate(scratch)
    assert epoch.val_loss > 0.6  # type: ignore[union-attr]


def test_blocks_that_cannot_learn_to_act_act_in_the_end(
    task: Callable[..., Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = saved_baseline(task, tmp_path / "b.safetensors")
    shares: list[float] = []
    simam = block_class("simam")
    fade = simam.fade_in
    monkeypatch.setattr(
        simam, "fade_in", lambda self, share: (shares.append(share), fade(self, share))[1]
    )
    placed = Placement(Slot(2, 2, "before_add"), make_block("simam", {}))
    *_, epoch = run_candidate(replace(task(placed, epochs=2), start=start))
    assert isinstance(epoch, EpochResult)
    steps = 2 * 5
    rising = [min(1.0, step / (steps / 2)) for step in range(1, steps + 1)]
    assert shares == pytest.approx([0.0, *rising, 1.0]), "left out when it was inserted"


def test_other_weights_than_the_studys_are_refused(
    task: Callable[..., Task], tmp_path: Path
) -> None:
    start = saved_baseline(task, tmp_path / "b.safetensors")
    path = Path(start.path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    failed = last(list(run_candidate(replace(task(SE), start=start))))
    assert "b.safetensors: its SHA-256 is not the one the study began with" in failed.reason
    path.unlink()
    failed = last(list(run_candidate(replace(task(SE), start=start))))
    assert "are gone" in failed.reason
    assert failed.cause is Cause.INPUT


def test_a_final_task_is_judged_by_the_test_split(
    task: Callable[..., Task], tmp_path: Path
) -> None:
    """And has no latency; its hits are those of the accuracy."""
    labels = np.arange(30) % 2
    images = np.zeros((30, SIDE, SIDE, 3)) + 150 * labels[:, None, None, None]
    images[:3] = 150 * (1 - labels[:3, None, None, None])  # which nobody can label right
    np.save(tmp_path / "test_images.npy", images.astype(np.uint8))
    np.save(tmp_path / "test_labels.npy", labels)
    facts = store.DATA_SETS["cifar10"]
    test = replace(facts.test, class_counts=(15, 15))
    store.DATA_SETS["cifar10"] = replace(facts, test=test)
    final = replace(task(SE, epochs=4), final=True, measure_first=False)
    *_, last_epoch, judged = run_candidate(final)
    assert isinstance(last_epoch, EpochResult)
    assert isinstance(judged, Judged)
    assert judged.unpacked() == [False] * 3 + [True] * 27
    assert (judged.accuracy, judged.images) == (0.9, 30)
    assert 0 < judged.loss < 5


def test_hits_are_packed_and_unpacked() -> None:
    for many in (1, 7, 8, 9, 30):
        hits = [number % 3 == 0 for number in range(many)]
        judged = Judged(sum(hits) / many, 0.5, many, packed(hits))
        assert judged.unpacked() == hits
        assert np.array_equal(np.packbits(hits), np.frombuffer(b64decode(judged.hits), np.uint8))


@pytest.mark.parametrize(
    ("accuracy", "images", "hits"),
    [
        (0.5, 8, "!!"),
        (0.5, 8, packed([True] * 16)),
        (0.5, 7, packed([True] * 8)),
        (0.5, 8, packed([True] * 8)),
        (0.0, 0, ""),
    ],
)
def test_hits_of_another_accuracy_are_refused(accuracy: float, images: int, hits: str) -> None:
    with pytest.raises(ValueError, match=r"hits|base64"):
        Judged(accuracy, 0.5, images, hits)
