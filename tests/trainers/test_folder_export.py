"""Somebody's own images: their class names come through training and export to the labels."""

import json
from pathlib import Path
from typing import Any

import pytest
from image_folders import COLOURS, picture, write_folder

from models.interruption import Interruption
from trainers import onnx_model, publication
from trainers.__main__ import main
from trainers.speed import SpeedError

RECIPE = """\
recipe: 1
backbone: {width: 0.0625, classes: 2}
placements: {}
data: {name: folder, path: PATH, image_size: 8, augmentation: {crop_padding: 1}}
training: {epochs: 8, batch_size: 8, learning_rate: 0.05, average: 0.5}
"""


def _no_speed(*_: object) -> None:
    raise SpeedError("not now")


def test_class_names_come_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # no other training's locks
    monkeypatch.setattr(Interruption, "install", lambda _: None)
    monkeypatch.setattr(publication, "measure_speed", _no_speed)
    monkeypatch.setattr(onnx_model, "missing", lambda: "not here")
    images = write_folder(tmp_path / "photos", {"hiver": 30, "été": 30})
    folder = tmp_path / "pick"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE.replace("PATH", str(images)), "utf-8")
    assert main([str(folder)]) == 0
    card = json.loads((folder / "card.json").read_text("utf-8"))
    assert card["class_names"] == ["hiver", "été"]
    assert card["results"]["test_images"] == 12
    assert card["data"]["title"] in (folder / "card.md").read_text("utf-8")
    assert str(images) not in (folder / "card.json").read_text("utf-8")
    files = []
    for number in range(4):
        files.append(str(tmp_path / f"new{number}.jpg"))
        picture(COLOURS[number % 2], 777 + number, (90, 60)).save(files[-1], quality=95)
    capsys.readouterr()
    assert main([str(folder), "--json", "--predict", *files]) == 0
    labels = [each["label"] for each in json.loads(capsys.readouterr().out)]
    assert labels == ["hiver", "été", "hiver", "été"]

    assert main([str(folder), "-o", "backbone.classes=3"]) == 2
    assert "backbone.classes: 3 is not allowed" in capsys.readouterr().err
    (images / "hiver" / "000.png").write_bytes(b"no picture")
    assert main([str(folder)]) == 2
    assert "data.unusable=skip" in capsys.readouterr().err
