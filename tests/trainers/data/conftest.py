"""A data set of the published layout, small enough to build anew in every test."""

import gzip
import io
import json
import pickle
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainers.data import store
from trainers.data.cifar10 import FACTS, FOLDER
from trainers.data.facts import (
    DecodedSet,
    LabelledImages,
    PublishedFacts,
    PublishedSplit,
    images_checksum,
    labels_checksum,
)

SIZE = 4


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@dataclass(frozen=True)
class SmallSet:
    """Facts and arrays of ten train and four test images of 4 × 4 pixels in two classes."""

    facts: PublishedFacts
    decoded: DecodedSet

    def batches(self) -> dict[str, bytes]:
        parts = ((self.decoded.train, self.facts.train), (self.decoded.test, self.facts.test))
        return {
            name: pickle.dumps(
                {b"data": rows(images), b"labels": labels.tolist(), b"batch_label": b"x"},
                protocol=4,
            )
            for part, split in parts
            for name, images, labels in zip(
                split.python_members,
                np.split(part.images, len(split.python_members)),
                np.split(part.labels, len(split.python_members)),
                strict=True,
            )
        }

    def python_members(self) -> dict[str, bytes]:
        return {f"{FOLDER}/{name}": data for name, data in self.batches().items()}

    def npm_members(self) -> dict[str, bytes]:
        members = {"package/package.json": b"{}"}
        for part, split in (
            (self.decoded.train, self.facts.train),
            (self.decoded.test, self.facts.test),
        ):
            pieces = np.split(part.images, len(split.npm_images))
            for name, images in zip(split.npm_images, pieces, strict=True):
                members[f"package/{name}"] = png(images.reshape(len(images), SIZE * SIZE, 3))
            members[f"package/{split.npm_labels}"] = json.dumps(part.labels.tolist()).encode()
        return members

    def python_archive(self, path: Path) -> Path:
        return write_tar(path, self.python_members())

    def npm_archive(self, path: Path) -> Path:
        return write_tar(path, self.npm_members())

    def extracted(self, parent: Path) -> Path:
        folder = parent / FOLDER
        folder.mkdir(parents=True)
        for name, data in self.batches().items():
            (folder / name).write_bytes(data)
        return folder


def rows(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _part(split: PublishedSplit, images: int, seed: int) -> tuple[LabelledImages, PublishedSplit]:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (images, SIZE, SIZE, 3), dtype=np.uint8)
    labels = rng.permutation(np.arange(images) % 2)
    facts = replace(
        split,
        class_counts=(images // 2,) * 2,
        label_prefix=tuple(labels[:3].tolist()),
        images_sha256=images_checksum(pixels),
        labels_sha256=labels_checksum(labels),
    )
    return LabelledImages(pixels, labels), facts


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> SmallSet:
    """The small set, registered as cifar10."""
    train, train_facts = _part(FACTS.train, 10, seed=1)
    test, test_facts = _part(FACTS.test, 4, seed=2)
    facts = replace(
        FACTS, class_names=("odd", "even"), image_size=SIZE, train=train_facts, test=test_facts
    )
    monkeypatch.setitem(store.DATA_SETS, "cifar10", facts)
    return SmallSet(facts, DecodedSet(train, test))


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache home: what a test keeps does not touch the user's."""
    home = tmp_path / "cache-home"
    home.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture
def tar_writer() -> Callable[[Path, Mapping[str, bytes]], Path]:
    return write_tar


@pytest.fixture
def rezip() -> Callable[[Path, bytes], Path]:
    def write(path: Path, tar: bytes) -> Path:
        path.write_bytes(gzip.compress(tar, 1))
        return path

    return write
