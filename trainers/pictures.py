"""Any picture as a network is given it: upright, in colour, square, of the data set's size."""

import stat
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from models.errors import InputError
from models.printable import one_line
from trainers.data.facts import Pixels

_UNREADABLE = (
    OSError, ValueError, SyntaxError, struct.error, EOFError, TypeError, KeyError, IndexError,
    AttributeError, OverflowError, ZeroDivisionError, MemoryError, NotImplementedError,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
"""What Pillow raises on files that are no pictures, or damaged ones."""


def read_picture(path: Path, size: int) -> Pixels:
    """The picture in a file, uint8 [size, size, 3]: shorter side resized, centre cut out.

    Of a moving picture the first frame. Raises InputError for what is no picture, or none that can
    be read whole.
    """
    shown = one_line(str(path), 300)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe may never answer
            raise InputError(f"{shown}: is no file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return square(picture, size)
    except FileNotFoundError:
        message = "there is no such file"
    except UnidentifiedImageError:
        message = "is no picture of a format that can be read"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        message = f"has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels; make it smaller"
    except _UNREADABLE as error:
        message = f"is a damaged picture, or none: {one_line(str(error), 200)}"
    raise InputError(f"{shown}: {message}")


def square(picture: Image.Image, size: int) -> Pixels:
    """uint8 [size, size, 3]; what is transparent becomes white."""
    upright = ImageOps.exif_transpose(picture)
    coloured = _coloured(upright)
    width, height = coloured.size
    if (width, height) != (size, size):
        part = min(width, height)
        left, top = (width - part) / 2, (height - part) / 2
        box = (left, top, left + part, top + part)
        coloured = coloured.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(coloured, np.uint8)


def _coloured(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    if picture.mode.startswith("I") or picture.mode == "F":
        return _of_wide_values(picture)
    return picture.convert("RGB")


def _of_wide_values(picture: Image.Image) -> Image.Image:
    """Of 16 bits and more a pixel, which Pillow's `convert` would only cut off at 255."""
    values = np.asarray(picture, np.float64)
    top = 65535.0 if picture.mode.startswith("I") else max(1.0, float(values.max(initial=0)))
    if values.max(initial=0) <= 255:
        top = 255.0
    grey = np.clip(np.nan_to_num(values) * 255 / top, 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")
