"""A prepared folder as training reads it, and what can be told of it before."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_folders import encoded, write_folder
from PIL import Image

from models.errors import InputError
from trainers.config import DataConfig, TrainingConfig
from trainers.data.folder.picture import decode
from trainers.data.held_out import held_out_batches
from trainers.data.search_split import list_split, search_batches
from trainers.data.store import facts_of, foresee, open_test, open_train, prepare

Of = Callable[..., DataConfig]


def fail(_line: str) -> None:
    pytest.fail(f"nothing is to be said: {_line}")


def test_a_search_sees_training_and_validation_images_alone(
    of: Of, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = of(validation_images=4)
    folder = prepare(data)
    for path in folder.glob("test_*"):
        path.unlink()
    batches, validation = search_batches(data, TrainingConfig(batch_size=4), folder, 0)
    assert sum(batches.sizes) == 12
    labels = np.concatenate([labels for _, labels in validation])
    assert np.bincount(labels).tolist() == [2, 2]
    with pytest.raises(InputError, match=r"test_images\.npy"):
        held_out_batches(data, folder)


def test_every_file_has_a_part_in_the_study(of: Of) -> None:
    data = of(validation_images=4, train_images=8)
    folder = prepare(data)
    listed = list_split(data, folder)
    parts = [row.part for row in listed]
    assert {part: parts.count(part) for part in parts} == {
        "train": 8, "validation": 4, "unused": 4, "test": 4,
    }  # fmt: skip
    images = open_train(folder, "folder")
    judged = [decode((Path(str(data.path)) / r.file).read_bytes(), 8) for r in listed
              if r.part == "validation"]  # fmt: skip
    _, validation = search_batches(data, TrainingConfig(batch_size=4), folder, 0)
    pixels = np.concatenate([pixels for pixels, _ in validation]).transpose(0, 2, 3, 1)
    expected = (np.stack(judged) / 255 - images.mean) / images.deviation
    assert np.allclose(pixels, expected, atol=1e-4)
    assert list_split(DataConfig(), folder) == []


@pytest.mark.parametrize("counts", [(3, 3), (3, 40), (10, 11)])
def test_what_is_foreseen_is_what_comes(
    tmp_path: Path, cache_home: Path, counts: tuple[int, int]
) -> None:
    write_folder(tmp_path / "x", dict(zip("ab", counts, strict=True)))
    for share in (0.1, 0.2, 0.5, 0.9):
        path = str(tmp_path / "x")
        data = DataConfig(name="folder", path=path, image_size=8, test_share=share)
        assert foresee(data) == facts_of("folder", prepare(data)).foreseen


def test_more_than_256_classes(tmp_path: Path, cache_home: Path) -> None:
    for n in range(300):
        (tmp_path / "x" / f"{n:03}").mkdir(parents=True)
        for k in range(3):
            content = encoded(Image.new("L", (8, 8), k), "BMP") + f"{n}".encode()
            (tmp_path / "x" / f"{n:03}" / f"{k}.bmp").write_bytes(content)
    data = DataConfig(name="folder", path=str(tmp_path / "x"), image_size=8)
    folder = prepare(data)
    assert open_test(folder, "folder").labels.tolist() == list(range(300))
    assert prepare(data, fail) == folder
