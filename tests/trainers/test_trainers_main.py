"""`python -m trainers RECIPE`: trained, exported, labelled, and refused with an exit code."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from small_disk import fill, small_file_system
from small_jobs import RECIPE, small_images

from models.interruption import Interrupted, Interruption
from trainers import full_job, onnx_model, publication
from trainers.__main__ import main
from trainers.card import TEXT
from trainers.console import PlainView
from trainers.data import store
from trainers.exported import FILES, ONNX_FILE, WEIGHTS
from trainers.speed import Speed, Speeds

Said = tuple[int, str, str]
SPEEDS = Speeds(
    tuple(Speed(form, batch, 2.0, 3.0) for form in ("Paddle", "Paddle Inference")
          for batch in (1, 8, 32)),
    ((1, 9), (8, 9), (32, 9)), True, "process",
)  # fmt: skip


@dataclass
class Program:
    """The command on a recipe in a folder of its own; `published` counts exports."""

    folder: Path
    images: Path
    capsys: pytest.CaptureFixture[str]
    published: int = 0

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.yaml"

    def __call__(self, *words: str) -> Said:
        code = main([str(self.recipe), *words])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    @property
    def card(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "card.json").read_text())
        return found


@pytest.fixture
def program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Program:
    folder, images = tmp_path / "pick", tmp_path / "images"
    folder.mkdir(), images.mkdir()
    small_images(images, monkeypatch)
    monkeypatch.setattr(full_job, "prepare", lambda *_: images)
    monkeypatch.setattr(Interruption, "install", lambda _: None)
    monkeypatch.setattr(publication, "measure_speed", lambda *_: SPEEDS)
    monkeypatch.setattr(onnx_model, "missing", lambda: "onnxruntime not installed: pip …")
    (folder / "recipe.yaml").write_text(RECIPE)
    made = Program(folder, images, capsys)
    real = full_job.publish

    def publish(*given: Any) -> None:
        made.published += 1
        real(*given)

    monkeypatch.setattr(full_job, "publish", publish)
    return made


def test_trained_judged_and_exported(program: Program) -> None:
    code, out, err = program()
    assert (code, err) == (0, "")
    assert "seed 0 epoch 3/3" in out
    assert out.count("judged on the test split") == 1
    assert out.splitlines()[-1] == f"Model card: {program.folder / TEXT}"
    there = {path.name for path in program.folder.iterdir()}
    assert there == {"recipe.yaml", "training", "card.json", TEXT, *FILES} - {ONNX_FILE}
    card = program.card
    assert card["class_names"] == ["dark", "light"]
    assert card["input"]["size"] == 8
    assert card["results"]["test_images"] == 20
    assert card["files"][WEIGHTS]["bytes"] == (program.folder / WEIGHTS).stat().st_size
    assert "path" not in card["recipe"]["data"]
    text = (program.folder / TEXT).read_text()
    assert "There is no ONNX model: onnxruntime not installed: pip" in text
    assert "se: Squeeze" in text


def test_the_same_command_again_does_nothing(program: Program) -> None:
    program()
    before = (program.folder / "card.json").read_bytes()
    code, out, _ = program()
    assert code == 0
    assert "nothing left to do" in out
    assert "epoch 1/3" not in out
    assert program.published == 1
    assert (program.folder / "card.json").read_bytes() == before


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    ["model.pdiparams", *(pytest.param(n, marks=SLOW) for n in (WEIGHTS, "card.json", TEXT))],
)
def test_what_is_missing_or_changed_is_exported_anew(program: Program, name: str) -> None:
    program()
    (program.folder / name).write_bytes(b"x")
    if name == TEXT:
        (program.folder / name).unlink()
    code, out, _ = program()
    assert (code, program.published) == (0, 2)
    assert "epoch 1/3" not in out, "nothing is trained again"
    assert program()[0] == 0
    assert program.published == 2


def test_once_onnx_is_installed_it_is_exported_too(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program()
    monkeypatch.setattr(onnx_model, "missing", lambda: None)
    monkeypatch.setattr(onnx_model, "convert", _refuse)
    program()
    assert program.published == 2
    assert "knows no such operation" in program.card["no_onnx"]


def _refuse(*_: object) -> None:
    raise onnx_model.ConversionError("knows no such operation")


def test_more_seeds_train_only_what_is_new_and_validation_chooses(program: Program) -> None:
    program()
    code, out, _ = program("--seeds", "3")
    assert code == 0
    assert [f"seed {n} begins" in out for n in range(3)] == [False, True, True]
    results = program.card["results"]
    assert [seed["seed"] for seed in results["seeds"]] == [0, 1, 2]
    best = max(results["seeds"], key=lambda seed: seed["val_accuracy"])
    assert results["exported_seed"] == best["seed"]
    over = results["over_seeds"]
    tests = [seed["test_accuracy"] for seed in results["seeds"]]
    assert over["mean"] == pytest.approx(np.mean(tests))
    assert over["deviation"] == pytest.approx(np.std(tests, ddof=1))
    low, high = over["interval"]
    half = 4.302653 * over["deviation"] / 3**0.5
    assert low == pytest.approx(max(0, over["mean"] - half), abs=1e-6)
    assert high == pytest.approx(min(1, over["mean"] + half), abs=1e-6)


@pytest.mark.slow
def test_another_recipe_loses_nothing_of_the_first(program: Program) -> None:
    program()
    program("-o", "training.epochs=1")
    assert program.card["recipe"]["training"]["epochs"] == 1
    code, out, _ = program()
    assert code == 0
    assert "epoch 1/3" not in out
    assert program.card["recipe"]["training"]["epochs"] == 3


def test_other_images_at_the_same_place_are_another_training(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program()
    facts = store.DATA_SETS["cifar10"]
    changed = replace(facts, train=replace(facts.train, images_sha256="other"))
    monkeypatch.setitem(store.DATA_SETS, "cifar10", changed)
    code, out, _ = program()
    assert code == 0
    assert "epoch 1/3" in out


def test_interrupted_it_goes_on(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    real = PlainView.advanced

    def interrupt(self: PlainView, epoch: Any) -> None:
        real(self, epoch)
        if epoch.epoch == 2:
            raise Interrupted(2)

    with monkeypatch.context() as patched:
        patched.setattr(PlainView, "advanced", interrupt)
        code, _, err = program()
    assert code == 130
    assert "The same command continues this training" in err
    code, out, _ = program()
    assert code == 0
    assert "seed 0 goes on behind epoch 2" in out
    assert "epoch 1/3" not in out


def test_a_second_one_is_sent_away(program: Program) -> None:
    lock = program.folder / "training" / "lock"
    lock.parent.mkdir()
    with FileLock(lock):
        (lock.parent / "lock.holder").write_text("process 7 on \x1b[2Jhere")
        code, _, err = program()
    assert code == 5
    assert r"in use by process 7 on \x1b[2Jhere" in err


@pytest.mark.parametrize("place", ["training", "training/lock", "training/lock.holder"])
def test_links_in_a_folder_from_somebody_else_are_refused(
    program: Program, tmp_path: Path, place: str
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    path = program.folder / place
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(mine)
    code, _, err = program()
    assert code == 2
    assert f"{path} is a symbolic link" in err
    assert list(mine.iterdir()) == []


def test_two_recipes_do_not_share_a_folder(program: Program) -> None:
    program()
    (program.folder / "other.yaml").write_text(RECIPE)
    code = main([str(program.folder / "other.yaml")])
    assert code == 2
    err = program.capsys.readouterr().err
    assert "holds the model of recipe.yaml already: put other.yaml into a folder" in err


def test_a_class_count_that_does_not_match(program: Program) -> None:
    code, _, err = program("-o", "backbone.classes=7")
    assert code == 2
    assert err == (
        "error: -o backbone.classes=7: backbone.classes: 7 is not allowed: Lights has 2 classes\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0"], "--seeds: 0 is not allowed"),
        (["--threads", "101"], "--threads: 101 is not allowed"),
        (["--json"], "give --predict"),
        (["-o", "data.train_images=500"], "data.train_images: 500 given; allowed are 1 to 40"),
        (["-o", "training.batch_size=64"], "training.batch_size: 64 given"),
        (["-o", "training.start=nosuch.safetensors"], "training.start: "),
        (["-o", "trainin.epochs=1"], 'did you mean "training"?'),
        (["--device", "gpu"], "--device gpu: "),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(
    program: Program, words: list[str], message: str
) -> None:
    import paddle

    if "--device" in words and paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle has GPUs")
    code, out, err = program(*words)
    assert code == 2
    assert message in err
    assert "epoch" not in out


def test_a_full_disk_is_said_and_gone_on_from(program: Program, tmp_path: Path) -> None:
    """The recipe lies on a disk with room for a checkpoint or two."""
    with small_file_system(tmp_path / "small") as small:
        (small / "recipe.yaml").write_text(RECIPE)
        filler = fill(small)
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - 200_000)
        code = main([str(small / "recipe.yaml")])
        err = program.capsys.readouterr().err
        assert code == 3
        assert "is the disk full?" in err
        assert not (small / "card.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("room", [250_000, 500_000, 650_000])
def test_a_disk_that_fills_at_the_export_leaves_the_trained_weights(
    program: Program, tmp_path: Path, room: int
) -> None:
    with small_file_system(tmp_path / "small") as small:
        folder = small / "pick"
        shutil.copytree(program.folder, folder)
        shutil.copytree(_only_trained(program), folder / "training", dirs_exist_ok=True)
        filler = fill(small)
        with filler.open("r+b") as file:
            file.truncate(max(0, filler.stat().st_size - room))
        code = main([str(folder)])
        out, err = program.capsys.readouterr()
        if code:
            assert (code, "epoch 1/3" in out) == (3, False)
            assert "is the disk full?" in err or "are left on the disk" in err
            assert not (folder / "card.json").exists()
        assert list(folder.rglob("seed-0/weights.safetensors"))
        assert not list(folder.rglob(".export-*"))
        filler.unlink()
        assert main([str(folder)]) == 0


def _only_trained(program: Program) -> Path:
    assert program()[0] == 0
    return program.folder / "training"
