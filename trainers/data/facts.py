"""What a data set is known to contain, and the check that arrays really contain it."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import InputError

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Notify = Callable[[str], None]
Told = Callable[[int, int], None]
"""Is told how many images are done, of how many."""


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """One split: how many images of each class, and the checksums of its arrays.

    `images_sha256` is over the uint8 array [N, H, W, 3], `labels_sha256` over the labels as bytes.
    `label_prefix`: the first labels, where they are known beforehand: they tell a wrong order.
    """

    name: str
    class_counts: tuple[int, ...]
    images_sha256: str
    labels_sha256: str
    label_prefix: tuple[int, ...] = ()

    @property
    def images(self) -> int:
        """How many there are."""
        return sum(self.class_counts)


@dataclass(frozen=True, kw_only=True)
class DataSetFacts:
    """A data set of square colour images; `mean` and `deviation` are on a 0-1 scale.

    `name` is that of `DataConfig`, `title` what people call it; `class_names`: in the order of the
    labels.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    image_size: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    train: SplitFacts
    test: SplitFacts

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.class_names)

    @property
    def foreseen(self) -> "Foreseen":
        """As much of it as is known of data sets that are not prepared yet."""
        return Foreseen(self.title, self.classes, self.train.images, self.image_size)

    @property
    def checksum(self) -> str:
        """SHA-256 of everything a network can learn or be judged by: names, images, labels."""
        sums = [(part.images_sha256, part.labels_sha256) for part in (self.train, self.test)]
        return hashlib.sha256(json.dumps([self.class_names, sums]).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class PublishedSplit(SplitFacts):
    """A split that is published, and the archive members that hold it."""

    python_members: tuple[str, ...]
    npm_images: tuple[str, ...]
    npm_labels: str


@dataclass(frozen=True, kw_only=True)
class PublishedFacts(DataSetFacts):
    """A data set that is published: all of it is known before it is fetched.

    The archive checksums only explain a damaged file: what decides is the check of the arrays, so
    a repacked archive with the same images is welcome.
    """

    train: PublishedSplit
    test: PublishedSplit
    python_sha256: str
    npm_sha256: str


@dataclass(frozen=True)
class Foreseen:
    """What is known of a data set before it is prepared.

    `images`: how many its training split has at most.
    """

    title: str
    classes: int
    images: int
    image_size: int


@dataclass(frozen=True)
class LabelledImages:
    """`images` uint8 [N, H, W, 3] and `labels` int64 [N], as read and perhaps not yet verified."""

    images: Pixels
    labels: Labels


@dataclass(frozen=True)
class DecodedSet:
    """Both published splits in memory."""

    train: LabelledImages
    test: LabelledImages


def verify(
    part: LabelledImages,
    facts: DataSetFacts,
    split: SplitFacts,
    *,
    files: tuple[str, str],
    fix: str,
) -> None:
    """Check shape, label prefix, class counts and SHA-256 of one split.

    `files` names what the images and what the labels were read from, `fix` says what to do.

    Raises:
        InputError: naming the file, what was expected and what was found.
    """
    images_file, labels_file = files
    shape = (split.images, facts.image_size, facts.image_size, 3)
    # Not bincount: one flipped high bit in a label would make it allocate terabytes.
    counts = [int(np.count_nonzero(part.labels == label)) for label in range(facts.classes)]
    checks: list[tuple[str, str, object, object]] = [
        (images_file, "type", "uint8", str(part.images.dtype)),
        (images_file, "shape", shape, part.images.shape),
        (labels_file, "shape", (split.images,), part.labels.shape),
        (
            labels_file,
            "first labels",
            list(split.label_prefix),
            part.labels[: len(split.label_prefix)].tolist(),
        ),
        (labels_file, "images per class", list(split.class_counts), counts),
        (images_file, "SHA-256 of the images", split.images_sha256, images_checksum(part.images)),
        (labels_file, "SHA-256 of the labels", split.labels_sha256, labels_checksum(part.labels)),
    ]
    for file, what, expected, found in checks:
        if expected != found:
            raise InputError(
                f"{file}: not the {split.name} split of {facts.title}: {what}: "
                f"expected {expected}, found {found}. {fix}"
            )


def images_checksum(images: Pixels) -> str:
    """SHA-256 of the bytes in [N, H, W, 3] order."""
    return hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()


def labels_checksum(labels: Labels) -> str:
    """SHA-256 of the labels, so that it does not depend on the byte order.

    One byte each; four where that is too few.
    """
    small = not len(labels) or 0 <= int(labels.min()) <= int(labels.max()) < 256
    return hashlib.sha256(labels.astype(np.uint8 if small else "<u4").data).hexdigest()
