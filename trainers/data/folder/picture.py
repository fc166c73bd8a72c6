"""One file of a picture as square pixels, whatever its format, size and colours are."""

import io
import threading
from contextlib import nullcontext, suppress

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from trainers.data.facts import Pixels

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 100_000_000
LARGE_PIXELS = 16_000_000
_ONE_LARGE = threading.Lock()
"""Held while a large picture is in memory: some hundred megabytes, which is enough once."""


class NoPictureError(ValueError):
    """Why a file gives no picture, for the person whose file it is."""


def decode(content: bytes, side: int) -> Pixels:
    """The middle of a picture, its shorter side resized to `side` pixels: uint8 [side, side, 3].

    Of several frames the first. As its EXIF orientation says; what is transparent is white; 16 bits
    become 8. Colour profiles are not applied.

    Raises:
        NoPictureError: it is none of `FORMATS`, damaged, truncated or too large.
    """
    if not content:
        raise NoPictureError("is empty")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                most = f"at most {MAX_PIXELS // 10**6} million are read"
                raise NoPictureError(f"has {width:,} × {height:,} pixels; {most}")
            with _ONE_LARGE if width * height > LARGE_PIXELS else nullcontext():
                return _pixels(picture, side)
    except NoPictureError:
        raise
    except UnidentifiedImageError:
        raise NoPictureError(f"is no picture of a known format ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        most = f"at most {MAX_PIXELS // 10**6} million pixels are read"
        raise NoPictureError(f"is too large: {most}") from None
    except MemoryError:
        raise NoPictureError("does not fit into memory") from None
    except Exception as error:  # Pillow's readers raise nearly anything for a damaged file
        raise NoPictureError(f"is damaged: {type(error).__name__}: {error}") from error


def _pixels(picture: Image.Image, side: int) -> Pixels:
    """See `decode`."""
    # JPEGs are decoded at a half, a quarter, an eighth: twice as large as needed is enough.
    picture.draft(None, (2 * side, 2 * side))
    picture.load()
    with suppress(Exception):  # EXIF is often damaged where the picture is not
        ImageOps.exif_transpose(picture, in_place=True)
    coloured = _rgb(picture)
    width, height = coloured.size
    shorter = min(width, height)
    left, top = (width - shorter) / 2, (height - shorter) / 2
    square = coloured.resize(
        (side, side),
        Image.Resampling.BICUBIC,
        box=(left, top, left + shorter, top + shorter),
        reducing_gap=3.0,
    )
    return np.asarray(square, np.uint8)


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "F":
        raise NoPictureError("has floating-point pixels; save it with 8 or 16 bits")
    if picture.mode.startswith("I"):  # 16 bits; Pillow has them as 32 in some formats
        deep = np.clip(np.asarray(picture).astype(np.int64), 0, 65_535)
        return Image.fromarray(((deep + 128) // 257).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")
