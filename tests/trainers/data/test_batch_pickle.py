import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malicious_pickle import Payload

from models.errors import InputError
from trainers.data.batch_pickle import read_batch

SHAPE = (2, 3, 4, 4)


def text(value: bytes) -> bytes:
    """A Python 2 `str` in protocol 2."""
    if len(value) < 256:
        return b"U" + bytes([len(value)]) + value
    return b"T" + struct.pack("<i", len(value)) + value


def python2_batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """What Python 2 and the NumPy of 2009 wrote, opcode by opcode, as in the published files."""
    shape = b"".join(b"J" + struct.pack("<i", side) for side in pixels.shape) + b"\x86"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b")
        + b"\x87R(K\x01" + shape + b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03"
        + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + text(pixels.tobytes())
        + b"tb"
    )  # fmt: skip
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return (
        b"\x80\x02}(" + text(b"data") + array + text(b"labels") + numbers
        + text(b"batch_label") + text(b"training batch 1 of 5") + b"u."
    )  # fmt: skip


def pixels() -> np.ndarray:
    return np.arange(96, dtype=np.uint8).reshape(2, 48)


def test_reads_what_python_2_wrote() -> None:
    images, labels = read_batch(python2_batch(pixels(), [7, 3]), "batch", SHAPE)
    assert np.array_equal(images, pixels().reshape(SHAPE))
    assert labels.tolist() == [7, 3]
    assert np.dtype(np.uint8) == np.dtype("u1") and np.dtype("u1").itemsize == 1


@pytest.mark.parametrize("protocol", [3, 4])
def test_reads_what_python_3_writes(protocol: int) -> None:
    data = pickle.dumps({"data": pixels(), "labels": [0, 9]}, protocol)
    images, labels = read_batch(data, "batch", SHAPE)
    assert np.array_equal(images, pixels().reshape(SHAPE))
    assert labels.tolist() == [0, 9]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_payload_does_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    data = pickle.dumps({"data": Payload(os.system, f"touch {mark}")}, protocol)
    with pytest.raises(InputError, match=r"evil: refused .*names \w+\.system"):
        read_batch(data, "evil", SHAPE)
    assert not mark.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins\neval",
        "builtins\ngetattr",
        "numpy\nload",
        "numpy\nfromfile",
        "numpy.core.multiarray\nfromfile",
        "numpy\nndarray.tofile",
        "numpy\ncore.multiarray._reconstruct",
        "NumPy\ndtype",
        "copyreg\n_reconstructor",
        "_codecs\nencode",
    ],
)
def test_only_exact_names_are_allowed(name: str) -> None:
    with pytest.raises(InputError, match="which no array needs"):
        read_batch(b"c" + name.encode() + b"\n.", "evil", SHAPE)
    # Protocol 4 splits dotted names and would walk into attributes.
    module, attribute = (b"\x8c" + bytes([len(p)]) + p for p in name.encode().split(b"\n"))
    with pytest.raises(InputError, match="which no array needs"):
        read_batch(b"\x80\x04" + module + attribute + b"\x93.", "evil", SHAPE)


HUGE = b"\x8a\x06" + (10**13).to_bytes(6, "little")


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy\nndarray\n" + HUGE + b"\x85R.",
        b"cnumpy\nndarray\n" + HUGE + b"\x85\x81.",
        b"\x80\x04\x8e" + (2**50).to_bytes(8, "little") + b"x.",
        b"Nr\xff\xff\xff\x7f.",
        b"cnumpy\ndtype\nU\x01O\x85R.",
    ],
    ids=["call ndarray", "new ndarray", "announced bytes", "memo index", "objects"],
)
def test_a_few_bytes_cannot_take_the_memory(data: bytes) -> None:
    with pytest.raises(InputError):
        read_batch(data, "evil", SHAPE)


@given(st.binary(max_size=60), st.integers(0, 10**6))
def test_damage_ends_in_an_input_error_or_a_batch(junk: bytes, place: int) -> None:
    whole = python2_batch(pixels(), [7, 3])
    place %= len(whole)
    for data in (junk, whole[:place], whole[:place] + junk + whole[place + len(junk) :]):
        try:
            images, labels = read_batch(data, "batch", SHAPE)
        except InputError as error:
            assert str(error).startswith("batch: ")
        else:
            assert images.shape == SHAPE
            assert labels.shape == (2,)


@pytest.mark.parametrize(
    "batch",
    [
        [],
        {},
        {"data": pixels()},
        {"data": pixels(), "labels": [1]},
        {"data": pixels(), "labels": [1, "2"]},
        {"data": pixels(), "labels": [1, 256]},
        {"data": pixels()[:1], "labels": [1, 2]},
        {"data": b"x" * 96, "labels": [1, 2]},
    ],
)
def test_other_contents_are_refused(batch: object) -> None:
    with pytest.raises(InputError, match=r"^batch: "):
        read_batch(pickle.dumps(batch, 4), "batch", SHAPE)
