"""Rotating and resizing random parts of a whole batch of images at once: affine maps."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainers.data.facts import Pixels

Numbers = npt.NDArray[np.float64]

_PIXELS_AT_ONCE = 4096
"""Warped together: what they need besides stays in the cache, and is not given back and asked for
again from the system batch by batch, which takes twice as long as all the rest."""


@dataclass(frozen=True)
class Boxes:
    """A part of each image, in pixels from the upper left corner: [N] each."""

    left: Numbers
    top: Numbers
    width: Numbers
    height: Numbers


def rotations(degrees: Numbers, size: tuple[int, int]) -> Numbers:
    """Matrices [N, 2, 3] for `warp`: images of `size` (H, W) turned by `degrees` [N].

    Counter-clockwise about the centre; corners become black.
    """
    height, width = size
    angle = -np.deg2rad(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrices = np.zeros((len(degrees), 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine, sine
    matrices[:, 1, 0], matrices[:, 1, 1] = -sine, cosine
    centre = np.array([width / 2, height / 2])
    matrices[:, :, 2] = centre - matrices[:, :, :2] @ centre
    return matrices


def stretches(boxes: Boxes, size: tuple[int, int]) -> Numbers:
    """Matrices [N, 2, 3] for `warp`: a part of each image stretched to `size` (H, W).

    Bilinearly and without smoothing first.
    """
    height, width = size
    matrices = np.zeros((len(boxes.left), 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 2] = boxes.width / width, boxes.left
    matrices[:, 1, 1], matrices[:, 1, 2] = boxes.height / height, boxes.top
    return matrices


def random_boxes(
    count: int, size: tuple[int, int], least_area: float, rng: np.random.Generator
) -> Boxes:
    """Parts of `least_area` to all of images of `size` (H, W), 3:4 to 4:3 in shape, anywhere.

    Szegedy et al., arXiv:1409.4842. Deviation: a part that would be wider or higher than the image
    is cut to it, where others draw again.
    """
    height, width = size
    area = rng.uniform(least_area, 1.0, count) * height * width
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), count))
    wide, high = np.minimum(np.sqrt(area * ratio), width), np.minimum(np.sqrt(area / ratio), height)
    left, top = rng.random(count) * (width - wide), rng.random(count) * (height - high)
    return Boxes(left, top, wide, high)


def warp(images: Pixels, matrices: Numbers) -> Pixels:
    """The value of each pixel taken from where its matrix [N, 2, 3] says, bilinearly.

    Takes and gives uint8 [N, H, W, C] and leaves its input alone.
    A matrix maps the centre (x + ½, y + ½, 1) of a pixel of the result to a point (x, y) of the
    image, whose pixels are the unit squares from (0, 0). Points outside it are black.
    """
    result = np.empty_like(images)
    at_once = max(1, _PIXELS_AT_ONCE // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), at_once):
        part = slice(start, start + at_once)
        result[part] = _warp(images[part], matrices[part])
    return result


def _warp(images: Pixels, matrices: Numbers) -> Pixels:
    height, width = images.shape[1:3]
    y, x = np.mgrid[0.5:height, 0.5:width]
    centres = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])  # [3, H·W]
    points = matrices @ centres  # [N, 2, H·W]
    inside = ((points >= 0) & (points < np.array([[width], [height]]))).all(axis=1)  # [N, H·W]
    first_x, last_x, share_x = _neighbours(points[:, 0] - 0.5, width)
    first_y, last_y, share_y = _neighbours(points[:, 1] - 0.5, height)
    upper, lower = inside * (1 - share_y), inside * share_y
    starts = (np.arange(len(images)) * height * width)[:, None]
    corners = (
        (starts + first_y * width + first_x, upper * (1 - share_x)),
        (starts + first_y * width + last_x, upper * share_x),
        (starts + last_y * width + first_x, lower * (1 - share_x)),
        (starts + last_y * width + last_x, lower * share_x),
    )
    result = np.empty_like(images)
    for channel in range(images.shape[3]):  # plane by plane: twice as fast as pixel by pixel
        plane = images[..., channel].ravel()
        value = sum(plane.take(index) * weight for index, weight in corners)
        result[..., channel] = np.rint(value).reshape(images.shape[:3])
    return result


def _neighbours(
    places: Numbers, size: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The pixels before and behind each place along an axis, and the share of the one behind.

    Places are in pixels from the centre of the first; the pixels of the edge go on beyond it.
    """
    before = np.floor(places)
    share = (places - before).astype(np.float32)
    first = before.astype(np.int64)
    return np.clip(first, 0, size - 1), np.clip(first + 1, 0, size - 1), share
