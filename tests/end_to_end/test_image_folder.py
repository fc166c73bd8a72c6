"""A search on somebody's own images: one option is all."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from image_folders import COLOURS, encoded, picture, write_folder

from search.ledger import Ledger
from trainers.data.folder.parts import read_rows

pytestmark = pytest.mark.slow

ANIMALS = Path(__file__).parents[3] / "shared" / "data" / "animals10-mini"
SPACE = "spaces/folder.yaml"
QUICK = ("-o", "search.trials=3", "-o", "training.epochs=1", "-o", "search.workers=2")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.skipif(not ANIMALS.is_dir(), reason=f"{ANIMALS} is missing: photographs for this test")
def test_photographs(program):
    done = program.run("-o", f"data.path={ANIMALS}", *QUICK, space=SPACE)
    assert done.returncode == 0, done.stderr
    assert "decoding 320 files" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    folder = program.runs / "folder"
    trials = pd.read_csv(folder / "report" / "trials.csv", keep_default_na=False)
    assert list(trials["state"]) == ["complete"] * 3
    rows = read_rows(folder / "split.csv")
    parts = [row.part for row in rows]
    assert {part: parts.count(part) for part in parts} == {
        "train": 208,
        "validation": 52,
        "test": 60,
    }
    ledger = Ledger.read(folder)
    assert ledger.space["backbone"]["classes"] == 10
    assert ledger.space["data"]["validation_images"] == 52
    assert ledger.facts("data")["class_names"][0] == "cane"
    report = (folder / "report" / "report.md").read_text()
    assert "52 validation images" in report
    assert "cane" in report

    again = program.run("-o", f"data.path={ANIMALS}", *QUICK, space=SPACE)
    assert again.returncode == 0, again.stderr
    assert "decoding" not in again.stdout


def test_colours_are_learnt_and_changes_noticed(program, tmp_path):
    pets = write_folder(tmp_path / "my pets", {"red 猫": 60, "=green": 60, "blue": 60})
    given = (
        "-o",
        f"data.path={pets}",
        "-o",
        "data.image_size=64",
        *QUICK,
        "-o",
        "training.epochs=4",
    )
    done = program.run(*given, space=SPACE)
    assert done.returncode == 0, done.stderr
    trials = pd.read_csv(program.runs / "folder" / "report" / "trials.csv", keep_default_na=False)
    assert trials["val_accuracy"].max() > 0.6, "three colours; by chance it is a third"
    assert "=green" in Ledger.read(program.runs / "folder").facts("data")["class_names"]

    (pets / "blue" / "000.png").write_bytes(encoded(picture(COLOURS[2], 4242)))
    more = program.run(*given, "-o", "search.trials=4", space=SPACE)
    assert more.returncode == 2
    assert "other images now: blue/000.png" in more.stderr
    assert "Traceback" not in more.stderr

    (pets / "blue" / "001.png").write_bytes(b"x")
    broken = program.run(*given, "--study", "other", space=SPACE)
    assert broken.returncode == 2
    assert "blue/001.png is no picture of a known format" in broken.stderr
    shutil.rmtree(pets)
    gone = program.run(*given, "--study", "other", space=SPACE)
    assert gone.returncode == 2
    assert "does not exist" in gone.stderr
