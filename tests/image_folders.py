"""Folders of images, generated: a class is a colour, so that networks can tell them apart."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (40, 200, 200))


def picture(
    colour: tuple[int, int, int] = COLOURS[0], seed: int = 0, size: tuple[int, int] = (24, 20)
) -> Image.Image:
    """Noise around a colour; `size` is width and height."""
    rng = np.random.default_rng([seed, *size])
    noise = rng.integers(-40, 41, (size[1], size[0], 3))
    return Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The image as a file of this kind."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def write_folder(folder: Path, classes: Mapping[str, int]) -> Path:
    """FOLDER/CLASS/IMAGE, so many different ones of each class."""
    for number, (name, images) in enumerate(classes.items()):
        inner = folder / name
        inner.mkdir(parents=True)
        for index in range(images):
            content = encoded(picture(COLOURS[number % len(COLOURS)], 1000 * number + index))
            (inner / f"{index:03}.png").write_bytes(content)
    return folder
