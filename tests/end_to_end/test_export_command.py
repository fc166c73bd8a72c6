"""From a search to labels: its picks, a full training, the exported model."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainers import onnx_model
from trainers.data.store import cache_folder

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("-o", "training.epochs=1", "-o", "data.train_images=500")

pytestmark = pytest.mark.slow


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trainers", *words],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def run(*words: str) -> subprocess.CompletedProcess[str]:
    process = start(*words)
    out, err = process.communicate(timeout=300)
    assert "Traceback" not in out + err
    return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The most accurate pick of a search of three trials, or what there is."""
    runs = tmp_path_factory.mktemp("runs")
    words = ["--space", "spaces/smoke.yaml", "--runs", str(runs), "--no-estimate"]
    words += ["-o", "search.trials=3", "-o", "training.epochs=1"]
    done = subprocess.run(
        [sys.executable, "run_search.py", *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    export = runs / "smoke" / "export"
    assert (export / "baseline/recipe.yaml").is_file()
    found = export / "most-accurate/recipe.yaml"
    return found if found.is_file() else export / "baseline/recipe.yaml"


def test_from_search_to_labels(recipe: Path, tmp_path: Path) -> None:
    first = run(str(recipe), *SHORT)
    assert first.returncode == 0, first.stderr
    assert "judged on the test split, once" in first.stdout
    folder = recipe.parent
    card = json.loads((folder / "card.json").read_text())
    assert card["results"]["test_images"] == 10_000
    assert card["data"]["train_images"] == 500
    forms = {each["form"] for each in card["speed"]["forms"]}
    expected = {"Paddle", "Paddle Inference", "ONNX Runtime"}
    assert forms == (expected if onnx_model.missing() is None else expected - {"ONNX Runtime"})
    assert all(each["median_ms"] > 0 for each in card["speed"]["forms"])
    assert all(off <= 1e-4 for off in card["parity"]["found"].values())
    assert "nothing left to do" in run(str(recipe), *SHORT).stdout

    images = np.load(cache_folder("cifar10") / "test_images.npy", mmap_mode="r")
    files = [str(tmp_path / f"{number}.png") for number in range(3)]
    for number, file in enumerate(files):
        Image.fromarray(images[number]).resize((90, 120)).save(file)
    labelled = run(str(folder), "--json", "--predict", *files, "README.md")
    assert labelled.returncode == 2
    *found, bad = json.loads(labelled.stdout)
    assert {each["label"] for each in found} <= set(card["class_names"])
    assert "no picture" in bad["error"]


def test_killed_it_goes_on(recipe: Path) -> None:
    """kill -9 after the first epoch."""
    words = (str(recipe), "-o", "training.epochs=4", "-o", "data.train_images=2000")
    process = start(*words)
    assert process.stdout is not None
    for line in process.stdout:
        if "epoch 1/4" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert "goes on behind epoch" in done.stdout
    assert "epoch 1/4" not in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_a_line(recipe: Path, number: int) -> None:
    process = start(str(recipe), "-o", "training.epochs=50", "-o", f"data.split_seed={number}")
    assert process.stdout is not None
    for line in process.stdout:
        if "begins" in line:
            break
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "The same command continues this training." in err
    assert "Traceback" not in err
