"""Changing the colours of a whole batch of images at once.

All functions take and give uint8 [N, H, W, 3] and leave their input alone. `factors` [N] of 1
leave an image as it is.
"""

import numpy as np
import numpy.typing as npt

from trainers.data.facts import Pixels

Factors = npt.NDArray[np.float64]


def brighten(images: Pixels, factors: Factors) -> Pixels:
    """Multiply each image by its factor: 0 is black."""
    return _away_from(np.zeros_like(images), images, factors)


def change_contrast(images: Pixels, factors: Factors) -> Pixels:
    """Move each image away from its mean grey by its factor: 0 is that grey everywhere."""
    means = np.floor(_grey(images).mean(axis=(1, 2), keepdims=True) + 0.5)  # [N, 1, 1]
    return _away_from(means[..., None], images, factors)


def saturate(images: Pixels, factors: Factors) -> Pixels:
    """Move each pixel away from its grey by its image's factor: 0 is a grey image."""
    return _away_from(_grey(images)[..., None], images, factors)


def _grey(images: Pixels) -> npt.NDArray[np.int32]:
    """Luma [N, H, W] as in ITU-R 601-2, in 16-bit fixed point."""
    weights = np.array([19595, 38470, 7471], np.int32)
    grey: npt.NDArray[np.int32] = (images.astype(np.int32) @ weights + 0x8000) >> 16
    return grey


def _away_from(origin: npt.ArrayLike, images: Pixels, factors: Factors) -> Pixels:
    """`origin + factor·(image − origin)`, cut to 0–255."""
    start = np.asarray(origin, np.float32)
    moved = start + factors.astype(np.float32)[:, None, None, None] * (images - start)
    result: Pixels = np.clip(moved, 0, 255).astype(np.uint8)
    return result
