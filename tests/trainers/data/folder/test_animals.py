"""Real photographs: 320 of Animals-10, of many sizes, which lie beside the checkout."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainers.config import DataConfig
from trainers.data.facts import DataSetFacts
from trainers.data.folder.parts import read_rows
from trainers.data.store import facts_of, open_test, open_train, prepare

ANIMALS = Path(__file__).parents[5] / "shared" / "data" / "animals10-mini"
CLASSES = (
    *("cane", "cavallo", "elefante", "farfalla", "gallina"),
    *("gatto", "mucca", "pecora", "ragno", "scoiattolo"),
)
pytestmark = pytest.mark.skipif(
    not ANIMALS.is_dir(), reason=f"{ANIMALS} is missing: photographs for this test"
)


@pytest.fixture
def prepared(cache_home: Path) -> tuple[Path, DataSetFacts]:
    folder = prepare(DataConfig(name="folder", path=str(ANIMALS), image_size=48))
    return folder, facts_of("folder", folder)


def test_all_of_them_are_used(prepared: tuple[Path, DataSetFacts]) -> None:
    folder, facts = prepared
    assert facts.class_names == CLASSES
    assert facts.train.class_counts == (26,) * 10
    assert facts.test.class_counts == (6,) * 10
    rows = read_rows(folder / "split.csv")
    assert {row.file for row in rows} == {
        str(path.relative_to(ANIMALS)) for path in ANIMALS.glob("*/*.*")
    }
    assert len({row.sha256 for row in rows}) == len(rows)


def test_they_are_the_photographs_made_small(prepared: tuple[Path, DataSetFacts]) -> None:
    """Against the middle of each photograph, decoded in full and resized in one step."""
    folder, facts = prepared
    rows = read_rows(folder / "split.csv")
    for images, part in (
        (open_train(folder, "folder"), "train"),
        (open_test(folder, "folder"), "test"),
    ):
        mine = [row for row in rows if row.part == part]
        for index in range(0, len(mine), 13):
            with Image.open(ANIMALS / mine[index].file) as file:
                photo = file.convert("RGB")
            left, top = ((side - min(photo.size)) / 2 for side in photo.size)
            middle = (left, top, photo.width - left, photo.height - top)
            small = photo.resize((48, 48), Image.Resampling.BICUBIC, box=middle)
            off = np.abs(images.images[index].astype(int) - np.asarray(small).astype(int))
            assert off.mean() < 4, mine[index].file
            assert images.labels[index] == facts.class_names.index(mine[index].class_name)
