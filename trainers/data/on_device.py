"""The changes of `augment.py`, `warp.py` and `colour.py` by Paddle's operations, on any device.

Images are float32 [N, H, W, C] of whole grey levels from 0 to 255: several of the operations do
not exist for bytes on a GPU. Draws are the same numbers as there, as tensors on the same device.
Results are the arrays' bit for bit, but that warps and colours may differ by one grey level where
a device rounds otherwise. Nothing here waits for the device or sends it anything: indices are made
where they are used, and sizes are Python's numbers.
"""

from functools import partial

import paddle

from trainers.config import Augmentation
from trainers.data.draws import Changes, Draws, apply


def augment(
    images: paddle.Tensor,
    draws: Draws[paddle.Tensor],
    settings: Augmentation,
    fill: paddle.Tensor,
) -> paddle.Tensor:
    """Change images as `draws`, made for these `settings`, say: `trainers.data.augment.augment`.

    `fill` float32 [C] in grey levels fills the cutout.
    """
    filled = partial(cutout, fill=fill)
    changes = Changes(crop, warp, flip, brighten, change_contrast, saturate, filled)
    return apply(images, draws, settings, changes)


def crop(
    images: paddle.Tensor, top: paddle.Tensor, left: paddle.Tensor, padding: int
) -> paddle.Tensor:
    """Cut [H, W] at (`top`, `left`) [N] out of each image with `padding` zeros on every side."""
    _, height, width, _ = images.shape
    rows = top.unsqueeze(1) + paddle.arange(height) - padding  # [N, H]
    columns = left.unsqueeze(1) + paddle.arange(width) - padding  # [N, W]
    inside = _crossed(_within(rows, 0, height), _within(columns, 0, width))  # [N, H, W]
    picked = _picked(images, rows.unsqueeze(2), columns.unsqueeze(1))
    return picked * inside.unsqueeze(3).astype("float32")


def flip(images: paddle.Tensor, chosen: paddle.Tensor) -> paddle.Tensor:
    """Mirror the images `chosen` [N] left to right."""
    return paddle.where(chosen.reshape([-1, 1, 1, 1]), paddle.flip(images, axis=[2]), images)


def cutout(
    images: paddle.Tensor,
    rows: paddle.Tensor,
    columns: paddle.Tensor,
    side: int,
    fill: paddle.Tensor,
) -> paddle.Tensor:
    """Fill a square of `side` pixels around (`rows`, `columns`) [N] with `fill` [C]."""
    _, height, width, _ = images.shape
    from_rows = paddle.arange(height) - rows.unsqueeze(1)  # [N, H]
    from_columns = paddle.arange(width) - columns.unsqueeze(1)  # [N, W]
    first, end = -(side // 2), side - side // 2
    inside = _crossed(_within(from_rows, first, end), _within(from_columns, first, end))
    return paddle.where(inside.unsqueeze(3), fill, images)


def warp(images: paddle.Tensor, matrices: paddle.Tensor) -> paddle.Tensor:
    """The value of each pixel from where its matrix [N, 2, 3] says; see `trainers.data.warp.warp`.

    Not by `grid_sample`: at the edges it blends with black, which Pillow and the arrays do not.
    Points are float64 as there, since rounding decides on which side of an edge one falls.
    """
    _, height, width, _ = images.shape
    x, y = _points(matrices, height, width)  # [N, H, W] each
    inside = paddle.logical_and(_within(x, 0, width), _within(y, 0, height))
    first_x, share_x = _before(x)
    first_y, share_y = _before(y)
    weight = inside.astype("float32")
    upper, lower = weight * (1 - share_y), weight * share_y
    corners = (
        (first_y, first_x, upper * (1 - share_x)),
        (first_y, first_x + 1, upper * share_x),
        (first_y + 1, first_x, lower * (1 - share_x)),
        (first_y + 1, first_x + 1, lower * share_x),
    )
    parts = (_picked(images, *places) * part.unsqueeze(3) for *places, part in corners)
    return paddle.round(sum(parts))


def brighten(images: paddle.Tensor, factors: paddle.Tensor) -> paddle.Tensor:
    """Multiply each image by its factor [N]: 0 is black."""
    return _away_from(0.0, images, factors)


def change_contrast(images: paddle.Tensor, factors: paddle.Tensor) -> paddle.Tensor:
    """Move each image away from its mean grey by its factor [N]: 0 is that grey everywhere."""
    means = _grey(images).astype("float64").mean(axis=[1, 2, 3], keepdim=True)
    return _away_from(paddle.floor(means + 0.5).astype("float32"), images, factors)


def saturate(images: paddle.Tensor, factors: paddle.Tensor) -> paddle.Tensor:
    """Move each pixel away from its grey by its image's factor [N]: 0 is a grey image."""
    return _away_from(_grey(images), images, factors)


def _grey(images: paddle.Tensor) -> paddle.Tensor:
    """Luma [N, H, W, 1] as in ITU-R 601-2; below 2**24, where float32 is exact for integers."""
    red, green, blue = (images[:, :, :, n : n + 1] for n in range(3))
    return paddle.floor((red * 19595 + green * 38470 + blue * 7471 + 0x8000) / 65536)


def _away_from(
    origin: paddle.Tensor | float, images: paddle.Tensor, factors: paddle.Tensor
) -> paddle.Tensor:
    """`origin + factor·(image − origin)`, cut to 0–255 and to whole grey levels."""
    scaled = factors.astype("float32").reshape([-1, 1, 1, 1]) * (images - origin)
    return paddle.floor(paddle.clip(scaled + origin, 0, 255))


def _points(
    matrices: paddle.Tensor, height: int, width: int
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Where the centre of each pixel comes from: x and y in pixels, float64 [N, H, W]."""
    x = paddle.arange(width, dtype="float64") + 0.5
    y = (paddle.arange(height, dtype="float64") + 0.5).unsqueeze(1)
    of = matrices.unsqueeze([3, 4])  # [N, 2, 3, 1, 1]
    across, down = ((of[:, n, 0] * x + of[:, n, 1] * y + of[:, n, 2]) for n in range(2))
    return across, down


def _before(points: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
    """The pixels before points along an axis, int64, and the share of those behind, float32."""
    places = points - 0.5  # from the centre of the first pixel
    before = paddle.floor(places)
    return before.astype("int64"), (places - before).astype("float32")


def _within(places: paddle.Tensor, first: int, end: int) -> paddle.Tensor:
    return paddle.logical_and(places >= first, places < end)


def _crossed(rows: paddle.Tensor, columns: paddle.Tensor) -> paddle.Tensor:
    """Where both are true: [N, H] and [N, W] to [N, H, W]."""
    return paddle.logical_and(rows.unsqueeze(2), columns.unsqueeze(1))


def _picked(images: paddle.Tensor, rows: paddle.Tensor, columns: paddle.Tensor) -> paddle.Tensor:
    """The pixels [N, H, W, C] at these rows and columns, [N, H, W] or what broadcasts to it.

    Places outside an image are taken from its edge.
    """
    count, height, width, channels = images.shape
    starts = paddle.arange(count).reshape([-1, 1, 1]) * (height * width)
    row, column = rows.clip(0, height - 1), columns.clip(0, width - 1)
    index = starts + row * width + column
    return paddle.gather(images.reshape([-1, channels]), index.flatten()).reshape(images.shape)
