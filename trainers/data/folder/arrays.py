"""The decoded pictures of a folder as the arrays of a cache, with what is known of them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.whole_file import flush
from trainers.data.cache import file_names, save
from trainers.data.facts import LabelledImages, Pixels, SplitFacts, labels_checksum

Three = tuple[float, float, float]
_AT_A_TIME = 512
_LEVELS = 256


def write_split(
    part: Path, name: str, pictures: LabelledImages, chosen: Sequence[int], classes: int
) -> SplitFacts:
    """Write those of the `pictures` at `chosen` as the split `name`; its facts."""
    images_file, labels_file = file_names(part, name)
    mine = pictures.labels[list(chosen)]
    save(labels_file, mine)
    shape = (len(chosen), *pictures.images.shape[1:])
    digest = hashlib.sha256()
    with images_file.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        for start in range(0, len(chosen), _AT_A_TIME):
            block = pictures.images[list(chosen[start : start + _AT_A_TIME])].tobytes()
            digest.update(block)
            file.write(block)
    flush(images_file)
    counts = np.bincount(mine, minlength=classes).tolist()
    return SplitFacts(
        name=name,
        class_counts=tuple(counts),
        images_sha256=digest.hexdigest(),
        labels_sha256=labels_checksum(mine),
    )


def colours(images: Pixels) -> tuple[Three, Three]:
    """Mean and deviation of the channels of images [N, S, S, 3], on a 0-1 scale, to six digits."""
    counts = np.zeros((3, _LEVELS), np.int64)
    for start in range(0, len(images), _AT_A_TIME):
        block = np.asarray(images[start : start + _AT_A_TIME]).reshape(-1, 3)
        counts += [np.bincount(block[:, channel], minlength=_LEVELS) for channel in range(3)]
    shares = counts / counts.sum(axis=1, keepdims=True)  # [3, 256]
    levels = np.arange(_LEVELS) / (_LEVELS - 1)
    mean = shares @ levels
    # What is black alone would else be divided by nothing.
    deviation = np.sqrt(np.maximum(shares @ levels**2 - mean**2, (_LEVELS - 1) ** -2))
    return _three(mean), _three(deviation)


def _three(values: npt.NDArray[np.float64]) -> Three:
    red, green, blue = (round(float(value), 6) for value in values)
    return red, green, blue
