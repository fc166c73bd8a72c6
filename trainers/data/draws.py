"""What chance decides for the images of a batch, drawn apart from what is then done to them.

So that the same numbers can be applied to arrays (`augment.py`) and to tensors on a device
(`on_device.py`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from trainers.config import Augmentation
from trainers.data.warp import random_boxes, rotations, stretches

Array = npt.NDArray[Any]
Chosen = npt.NDArray[np.bool_]

T = TypeVar("T")
U = TypeVar("U")
Images = TypeVar("Images")


@dataclass(frozen=True)
class Draws(Generic[T]):
    """The numbers behind the random changes of n images; `None` for a change that is off.

    `top`, `left` int64 [n]: upper left corner of the crop in the padded image, in pixels.
    `parts`, `turns` float64 [n, 2, 3]: `warp`'s matrices of the resized crop and of the rotation.
    `mirrored` bool [n]: whether it is flipped.
    `brightness`, `contrast`, `saturation` float64 [n]: factors, see `trainers.data.colour`.
    `rows`, `columns` int64 [n]: the centre of the cutout, in pixels.
    """

    top: T | None = None
    left: T | None = None
    parts: T | None = None
    mirrored: T | None = None
    turns: T | None = None
    brightness: T | None = None
    contrast: T | None = None
    saturation: T | None = None
    rows: T | None = None
    columns: T | None = None

    def each(self, change: Callable[[T], U]) -> "Draws[U]":
        """The same with every array changed."""
        return Draws(**{name: change(value) for name, value in self.given()})

    def given(self) -> Iterator[tuple[str, T]]:
        """The changes that are on, by their names."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                yield field.name, value


def draw(
    count: int,
    size: tuple[int, int],
    settings: Augmentation,
    rng: np.random.Generator,
    mirrored: Chosen | None = None,
) -> Draws[Array]:
    """The changes of `count` images of `size` (H, W) as `settings` say, with numbers from `rng`.

    `mirrored` [count] are the images to flip, where that is not left to chance. The order of the
    draws decides what a seed means: a change of it changes every training.
    """
    height, width = size
    drawn: dict[str, Array] = {}
    if settings.crop_padding:
        places = 2 * settings.crop_padding + 1
        drawn["top"], drawn["left"] = (rng.integers(0, places, count) for _ in range(2))
    if settings.resized_crop:
        drawn["parts"] = stretches(random_boxes(count, size, settings.resized_crop, rng), size)
    if settings.flip:
        drawn["mirrored"] = rng.random(count) < 0.5 if mirrored is None else mirrored
    if settings.rotation:
        degrees = rng.uniform(-settings.rotation, settings.rotation, count)
        drawn["turns"] = rotations(degrees, size)
    for name in ("brightness", "contrast", "saturation"):
        spread = getattr(settings, name)
        if spread:
            drawn[name] = rng.uniform(1 - spread, 1 + spread, count)
    if settings.cutout:
        drawn["rows"] = rng.integers(0, height, count)
        drawn["columns"] = rng.integers(0, width, count)
    return Draws(**drawn)


@dataclass(frozen=True)
class Changes(Generic[Images, T]):
    """How each change is made to images of one kind; what it is given are fields of `Draws`.

    `crop` is given `top`, `left` and the padding in pixels as well, `cutout` the centres and the
    side of the square in pixels.
    """

    crop: Callable[[Images, T, T, int], Images]
    warp: Callable[[Images, T], Images]
    flip: Callable[[Images, T], Images]
    brighten: Callable[[Images, T], Images]
    change_contrast: Callable[[Images, T], Images]
    saturate: Callable[[Images, T], Images]
    cutout: Callable[[Images, T, T, int], Images]


def apply(
    images: Images, draws: Draws[T], settings: Augmentation, by: Changes[Images, T]
) -> Images:
    """Changes images as `draws`, made for these `settings`, say, in the order of the fields."""
    if draws.top is not None and draws.left is not None:
        images = by.crop(images, draws.top, draws.left, settings.crop_padding)
    for change, drawn in (
        (by.warp, draws.parts),
        (by.flip, draws.mirrored),
        (by.warp, draws.turns),
        (by.brighten, draws.brightness),
        (by.change_contrast, draws.contrast),
        (by.saturate, draws.saturation),
    ):
        if drawn is not None:
            images = change(images, drawn)
    if draws.rows is not None and draws.columns is not None:
        images = by.cutout(images, draws.rows, draws.columns, settings.cutout)
    return images


def joined(batches: Sequence[Draws[Array]]) -> Draws[Array]:
    """The draws of several batches, which have the same changes, as those of one."""
    names = [name for name, _ in batches[0].given()]
    return Draws(**{name: np.concatenate([getattr(b, name) for b in batches]) for name in names})
