"""The examples of docs/export.md, as they stand there, say what the program itself says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.interruption import Interruption
from trainers import full_job, onnx_model, publication
from trainers.__main__ import main
from trainers.speed import SpeedError

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs/export.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
LINES = 16

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder with a photo in it, and nothing that is not shipped."""
    sys.path.insert(0, str(ROOT / "tests/trainers"))
    from small_jobs import RECIPE, small_images

    if onnx_model.missing():
        pytest.skip("the extra onnx is not installed")
    folder, images = (tmp_path_factory.mktemp(name) for name in ("pick", "images"))
    with pytest.MonkeyPatch.context() as patched:
        small_images(images, patched)
        patched.setattr(full_job, "prepare", lambda *_: images)
        patched.setattr(Interruption, "install", lambda _: None)
        patched.setattr(publication, "measure_speed", _no_speed)
        (folder / "recipe.yaml").write_text(RECIPE)
        assert main([str(folder), "-o", "training.epochs=1"]) == 0
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (20, 31, 3), dtype=np.uint8)).save(folder / "photo.jpg")
    return folder


def _no_speed(*_: object) -> None:
    raise SpeedError("not now")


@pytest.mark.parametrize("example", EXAMPLES, ids=["onnxruntime", "paddle.inference"])
def test_the_examples_say_what_the_program_says(
    export: Path, example: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(example.splitlines()) <= LINES
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", example],
        cwd=export, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    label, probability = done.stdout.split()[-2:]
    capsys.readouterr()
    assert main([str(export), "--json", "--predict", str(export / "photo.jpg")]) == 0
    (ours,) = json.loads(capsys.readouterr().out)
    assert label == ours["label"]
    assert float(probability) == pytest.approx(ours["probability"], abs=2e-4)


def test_there_is_one_for_each_engine() -> None:
    assert [("onnxruntime" in each, "inference" in each) for each in EXAMPLES] == [
        (True, False), (False, True),
    ]  # fmt: skip
