"""`python -m trainers RECIPE --predict IMAGE…`: labels from the exported folder alone."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_jobs import RECIPE, small_images

from models.interruption import Interruption
from trainers import full_job, onnx_model, publication
from trainers.__main__ import main
from trainers.exported import WEIGHTS
from trainers.speed import SpeedError


def _no_speed(*_: object) -> None:
    raise SpeedError("not now")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a recipe that was trained and exported; not to be changed."""
    with pytest.MonkeyPatch.context() as patched:
        folder, images = (tmp_path_factory.mktemp(name) for name in ("pick", "images"))
        small_images(images, patched)
        patched.setattr(full_job, "prepare", lambda *_: images)
        patched.setattr(Interruption, "install", lambda _: None)
        patched.setattr(publication, "measure_speed", _no_speed)
        patched.setattr(onnx_model, "missing", lambda: "not here")
        (folder / "recipe.yaml").write_text(RECIPE)
        assert main([str(folder)]) == 0
    yield folder


@pytest.fixture
def export(trained: Path, tmp_path: Path) -> Path:
    """A copy of `trained` without its trainings and its data set."""
    return Path(shutil.copytree(trained, tmp_path / "copy", ignore=lambda *_: ["training"]))


def picture(path: Path, grey: int, size: tuple[int, int] = (40, 30)) -> str:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 160, (size[1], size[0], 3)) + grey
    Image.fromarray(noise.astype(np.uint8)).save(path)
    return str(path)


def test_a_folder_of_a_recipe_may_be_given(trained: Path, capsys: Any) -> None:
    assert main([str(trained), "--predict", "/nosuch.png"]) == 2
    assert "/nosuch.png: there is no such file" in capsys.readouterr().err


def test_pictures_are_labelled_from_the_exported_folder_alone(
    export: Path, tmp_path: Path, capsys: Any
) -> None:
    """No data set, no trainings, not even the recipe: two dark and two bright ones."""
    (export / "recipe.yaml").unlink()
    files = [picture(tmp_path / f"{n}.png", grey) for n, grey in enumerate((0, 90, 95, 2))]
    assert main([str(export / "recipe.yaml"), "--predict", *files]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == files
    assert [row[1] for row in rows] == ["dark", "light", "light", "dark"]
    assert rows[0][3].startswith("light ")


def test_labels_as_json_add_up(export: Path, tmp_path: Path, capsys: Any) -> None:
    given = [picture(tmp_path / "a.png", 90), str(tmp_path / "nosuch.png")]
    assert main([str(export), "--json", "--predict", *given]) == 2
    out, err = capsys.readouterr()
    found, missing = json.loads(out)
    assert found["label"] == "light"
    assert found["probability"] == max(found["probabilities"].values())
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    assert missing == {"file": given[1], "error": f"{given[1]}: there is no such file"}
    assert "1 of 2 files could not be labelled" in err


def test_more_pictures_than_a_batch_keep_their_order(
    export: Path, tmp_path: Path, capsys: Any
) -> None:
    files = [picture(tmp_path / f"{n}.png", 90 * (n % 2), (8, 8)) for n in range(40)]
    files.insert(33, str(export))
    assert main([str(export), "--predict", *files, "--json"]) == 2
    answers = json.loads(capsys.readouterr().out)
    labels = [each.get("label", "?") for each in answers]
    assert labels == [*["dark", "light"] * 16, "dark", "?", *["light", "dark"] * 3, "light"]


def edit(**values: Any) -> Callable[[Path], None]:
    def edited(folder: Path) -> None:
        path = folder / "card.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return edited


def flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)


def no_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def no_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def deep(folder: Path) -> None:
    (folder / "card.json").write_text('{"a":' * 100_000)


def large(folder: Path) -> None:
    (folder / "card.json").write_text("[" + " " * (5 << 20) + "]")


def no_mapping(folder: Path) -> None:
    (folder / "card.json").write_text("[]")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_card, "nothing was exported here yet: train it first"),
        (no_weights, "weights.safetensors is missing"),
        (flip_a_bit, "its SHA-256 is not the one in card.json"),
        (edit(class_names=["a", "b", "c"]), "names 3 classes, and the network has 2"),
        (edit(class_names=["a"]), "class_names: "),
        (edit(class_names=[1, 2]), "class_names.0: "),
        (edit(card=9), "is a card of version 9; this program reads 1"),
        (edit(architecture={}), "architecture: is no architecture"),
        (edit(input={"size": 8}), "input.network_size: "),
        (edit(input={"size": 10**9, "network_size": 8, "mean": [0.0] * 3, "deviation": [1.0] * 3}),
         "input.size: "),
        (edit(input={"size": 8, "network_size": 8, "mean": [0.0] * 3, "deviation": [0.0] * 3}),
         "input.deviation: must be above 0"),
        (edit(recipe_file="other.yaml"), "is of 'other.yaml'"),
        (edit(files={}), "its SHA-256 is not the one"),
        (no_mapping, "holds no card"), (deep, "card.json: "), (large, "bytes are no card"),
    ],
)  # fmt: skip
def test_a_damaged_export_is_refused(
    export: Path, tmp_path: Path, capsys: Any, damage: Any, message: str
) -> None:
    damage(export)
    code = main([str(export / "recipe.yaml"), "--predict", picture(tmp_path / "a.png", 0)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_hostile_class_names_do_not_steer_the_terminal(
    export: Path, tmp_path: Path, capsys: Any
) -> None:
    edit(class_names=["\x1b[2Jdark", "light\n"])(export)
    assert main([str(export), "--predict", picture(tmp_path / "a.png", 0)]) == 0
    assert r"\x1b[2Jdark" in capsys.readouterr().out


def test_a_weights_file_of_another_network_is_refused(
    export: Path, tmp_path: Path, capsys: Any
) -> None:
    """Although its checksum is the card's."""
    architecture = json.loads((export / "card.json").read_text())["architecture"]
    edit(architecture=architecture | {"placements": []})(export)
    assert main([str(export), "--predict", picture(tmp_path / "a.png", 0)]) == 2
    assert "weights.safetensors" in capsys.readouterr().err
