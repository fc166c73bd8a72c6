"""What a data set is, in the words of cards and predictions.

Everything that is exported carries these facts with it, so that a prediction needs no data set.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers.config import DataConfig
from trainers.data.search_split import describe_split
from trainers.data.store import facts_of


@dataclass(frozen=True)
class Subject:
    """`class_names` in the order of the labels; `image_size`: pixels a side as images are kept.

    `data` is the configuration with a settled number of validation images. `mean` and `deviation`
    of the channels on a 0-1 scale, by which images are normalised; `split`: sizes and checksums of
    what was trained on and validated with; `test_images` and their checksum.
    """

    data: DataConfig
    title: str
    class_names: tuple[str, ...]
    image_size: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    split: dict[str, Any]
    test_images: int
    test_checksum: str


def subject_of(data: DataConfig, folder: Path) -> Subject:
    """The facts of the images of `data`; `folder` is what `store.prepare` returned.

    Raises InputError as `describe_split`.
    """
    facts = facts_of(data.name, folder)
    settled = data.settled(facts.train.images)
    return Subject(
        data=settled,
        title=facts.title,
        class_names=tuple(facts.class_names),
        image_size=facts.image_size,
        mean=facts.mean,
        deviation=facts.deviation,
        split=describe_split(settled, folder),
        test_images=facts.test.images,
        test_checksum=facts.test.images_sha256,
    )
