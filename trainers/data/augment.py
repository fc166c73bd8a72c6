"""Random changes to a whole batch of images at once, never image by image.

All functions take and give uint8 [N, H, W, C] and leave their input alone.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from trainers.config import Augmentation
from trainers.data.colour import brighten, change_contrast, saturate
from trainers.data.facts import Pixels
from trainers.data.warp import random_boxes, resize_parts, rotate

Positions = npt.NDArray[np.int64]
Chosen = npt.NDArray[np.bool_]

_JITTER = (("brightness", brighten), ("contrast", change_contrast), ("saturation", saturate))


def augment(
    images: Pixels,
    settings: Augmentation,
    mean: Sequence[float],
    rng: np.random.Generator,
    mirrored: Chosen | None = None,
) -> Pixels:
    """Change images as `settings` say, in their order, with numbers from `rng`.

    `mean` [C] on a 0-1 scale fills the cutout; `mirrored` [N] are the images to flip, where that is
    not left to chance.
    """
    count = len(images)
    height, width = images.shape[1:3]
    if settings.crop_padding:
        places = 2 * settings.crop_padding + 1
        top, left = rng.integers(0, places, count), rng.integers(0, places, count)
        images = crop(images, top, left, settings.crop_padding)
    if settings.resized_crop:
        boxes = random_boxes(count, (height, width), settings.resized_crop, rng)
        images = resize_parts(images, boxes)
    if settings.flip:
        images = flip(images, rng.random(count) < 0.5 if mirrored is None else mirrored)
    if settings.rotation:
        images = rotate(images, rng.uniform(-settings.rotation, settings.rotation, count))
    for name, change in _JITTER:
        spread = getattr(settings, name)
        if spread:
            images = change(images, rng.uniform(1 - spread, 1 + spread, count))
    if settings.cutout:
        rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
        images = cutout(images, rows, columns, settings.cutout, mean)
    return images


def crop(images: Pixels, top: Positions, left: Positions, padding: int) -> Pixels:
    """Cut [H, W] at (`top`, `left`) [N] out of each image with `padding` zeros on every side."""
    count, height, width, channels = images.shape
    padded = np.zeros((count, height + 2 * padding, width + 2 * padding, channels), np.uint8)
    padded[:, padding : padding + height, padding : padding + width] = images
    # A row of the result is W*C neighbouring bytes: copied whole, 4 times faster than by pixel.
    lines = padded.reshape(count, height + 2 * padding, -1)
    windows = sliding_window_view(lines, width * channels, axis=2)
    rows = top[:, None] + np.arange(height)
    chosen = windows[np.arange(count)[:, None], rows, (left * channels)[:, None]]  # [N, H, W*C]
    result: Pixels = chosen.reshape(images.shape)
    return result


def flip(images: Pixels, chosen: Chosen) -> Pixels:
    """Mirror the images `chosen` [N] left to right."""
    result = images.copy()
    result[chosen] = images[chosen][:, :, ::-1]
    return result


def cutout(
    images: Pixels, rows: Positions, columns: Positions, side: int, mean: Sequence[float]
) -> Pixels:
    """Fill a square of `side` pixels around (`rows`, `columns`) [N] with the channel mean.

    DeVries and Taylor, arXiv 1708.04552: the centre is any pixel, so the square may hang over the
    edge. Deviation: filled with the mean before normalising, which is their zero after it.
    """
    _, height, width, _ = images.shape
    inside_rows = _within(np.arange(height), rows, side)  # [N, H]
    inside_columns = _within(np.arange(width), columns, side)  # [N, W]
    result = images.copy()
    fill = np.rint(np.asarray(mean) * 255).astype(np.uint8)
    result[inside_rows[:, :, None] & inside_columns[:, None, :]] = fill
    return result


def _within(places: Positions, centres: Positions, side: int) -> npt.NDArray[np.bool_]:
    first = centres[:, None] - side // 2
    return (places >= first) & (places < first + side)
