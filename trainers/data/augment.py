"""Random changes to a whole batch of images at once, never image by image.

All functions take and give uint8 [N, H, W, C] and leave their input alone.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from trainers.config import Augmentation
from trainers.data.colour import brighten, change_contrast, saturate
from trainers.data.draws import Array, Changes, Chosen, Draws, apply
from trainers.data.facts import Pixels
from trainers.data.warp import warp

Positions = npt.NDArray[np.int64]


def augment(
    images: Pixels, draws: Draws[Array], settings: Augmentation, mean: Sequence[float]
) -> Pixels:
    """Change images as `draws`, made for these `settings`, say.

    `mean` [C] on a 0-1 scale fills the cutout. `trainers.data.on_device.augment` is its twin.
    """
    filled = partial(cutout, mean=mean)
    changes: Changes[Pixels, Array] = Changes(
        crop, warp, flip, brighten, change_contrast, saturate, filled
    )
    return apply(images, draws, settings, changes)


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
    result[inside_rows[:, :, None] & inside_columns[:, None, :]] = mean_colour(mean)
    return result


def mean_colour(mean: Sequence[float]) -> Pixels:
    """The mean [C] on a 0-1 scale as a pixel, uint8 [C]."""
    colour: Pixels = np.rint(np.asarray(mean) * 255).astype(np.uint8)
    return colour


def _within(places: Positions, centres: Positions, side: int) -> npt.NDArray[np.bool_]:
    first = centres[:, None] - side // 2
    return (places >= first) & (places < first + side)
