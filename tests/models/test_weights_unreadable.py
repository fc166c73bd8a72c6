"""Files that hold no weights: hostile, damaged, cut short or something else altogether."""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import pytest
from malicious_pickle import Payload
from weight_files import Arrays, pickled, plain, refusal, saved, thin_weights

from models import weights
from models.errors import InputError
from models.weights import read_weights

# Pickles that are more than arrays.


@pytest.mark.parametrize(
    "built", [b"c_codecs\nencode\n", b"cbuiltins\ntuple\n", b"ccollections\nOrderedDict\n", b"}"]
)
def test_a_file_cannot_change_this_program(tmp_path: Path, built: bytes) -> None:
    path = tmp_path / "weights.pdparams"
    path.write_bytes(b"\x80\x02" + built + b"N}U\x0c__defaults__K\x01\x85s\x86b.")
    with pytest.raises(InputError, match=r"cannot be read: .* it changes something"):
        read_weights(path)
    assert weights._encode.__defaults__ == ("utf-8",)
    assert weights._as_tuple.__defaults__ == ((),)


@pytest.mark.parametrize(
    ("protocol", "reason"),
    [
        (0, "it begins with b'"),
        (2, "UnpicklingError: it names "),
        (4, "UnpicklingError: it names "),
    ],
)
def test_a_payload_does_not_run(tmp_path: Path, protocol: int, reason: str) -> None:
    mark = tmp_path / "ran"
    payload = Payload(os.system, f"touch {mark}")
    for content in (
        payload,
        {"conv1.weight": payload},
        {**thin_weights(), "more": ("name", payload)},
    ):
        message = refusal(plain(), pickled(tmp_path, content, protocol))
        assert f"cannot be read: {reason}" in message
    assert not mark.exists()


def objects(thin: Arrays) -> object:
    return {**thin, "conv1.weight": np.array([None])}


def without_a_name(thin: Arrays) -> object:
    return {3: thin["bn1.bias"]}


HOSTILE: dict[str, tuple[Callable[[Arrays], object], str]] = {
    "objects": (objects, "array of 'O8', expected f4"),
    "doubles": (lambda thin: {**thin, "bn1.bias": np.zeros(4)}, "array of 'f8', expected f4"),
    "bytes as numbers": (lambda thin: {"a": np.zeros(4, np.uint8)}, "array of 'u1', expected f4"),
    "a class of Paddle": (lambda thin: {"a": paddle.CPUPlace}, "it names "),
    "a function": (lambda thin: {"a": os.getcwd}, "it names "),
    "a scalar of NumPy": (lambda thin: {"a": np.float32(1)}, "it names "),
    "a set": (lambda thin: {"a": frozenset([1])}, "it names|is no array"),
    "list": (list, "holds no mapping of names to arrays"),
    "nothing": (lambda thin: None, "holds no mapping of names to arrays"),
    "an array": (lambda thin: thin["bn1.bias"], "holds no mapping of names to arrays"),
    "nested": (lambda thin: {"state_dict": dict(thin)}, "'state_dict' is no array"),
    "a number": (lambda thin: {**thin, "epoch": 3}, "'epoch' is no array"),
    "bytes for a name": (lambda thin: {b"conv1.weight": thin["conv1.weight"]}, "is no array"),
    "a number for a name": (without_a_name, "3 is no array"),
    "a tuple of three": (lambda thin: {"a": ("a", thin["bn1.bias"], 0)}, "'a' is no array"),
    "no arrays": (lambda thin: {}, "not in the weights: stem.0.weight, stem.1.weight, .* and"),
}


@pytest.mark.parametrize(("content", "words"), HOSTILE.values(), ids=HOSTILE.keys())
def test_other_contents_are_refused(
    tmp_path: Path, content: Callable[[Arrays], object], words: str
) -> None:
    path = pickled(tmp_path, content(thin_weights()))
    message = refusal(plain(), path)
    assert re.search(words, message)
    assert message.startswith(f"{path}: ")


HOSTILE_NAMES = ["a\nb", "a\x1b[2J", "a\r", "\u202ea"]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_what_is_said_of_hostile_names_is_one_line(tmp_path: Path, name: str) -> None:
    """They could write over the terminal."""
    layer = "bn1.bias"
    of_code = b"\x80\x04\x8c\x02os\x8c" + bytes([len(name.encode())]) + name.encode() + b"\x93."
    path = tmp_path / "weights.pdparams"
    path.write_bytes(of_code)
    shown = repr(name)[1:-1]
    assert refusal(plain(), path).endswith(f": it names os.{shown}, which no array needs")
    path = pickled(tmp_path, {**thin_weights(), name: thin_weights()[layer]})
    assert refusal(plain(), path) == f"{path}: {name!r} is no layer's name"
    path = saved(tmp_path, plain(), **{name: thin_weights()[layer]})
    assert refusal(plain(), path).isprintable()


def test_only_what_paddle_writes_may_be_encoded(tmp_path: Path) -> None:
    """`_codecs.encode` is known for the bytes of arrays in protocol 2, and for nothing else."""
    path = tmp_path / "weights.pdparams"
    for encoding in (b"rot13", b"zlib", b"utf-8"):
        call = b"c_codecs\nencode\nU\x01aU" + bytes([len(encoding)]) + encoding + b"\x86R."
        path.write_bytes(b"\x80\x02" + call)
        with pytest.raises(InputError, match="encodes something that is no array's bytes"):
            read_weights(path)


def test_numbers_in_the_other_order_of_bytes_are_refused(tmp_path: Path) -> None:
    foreign = thin_weights()["bn1.bias"].astype(thin_weights()["bn1.bias"].dtype.newbyteorder())
    message = refusal(plain(), pickled(tmp_path, {**thin_weights(), "bn1.bias": foreign}))
    assert message.endswith("cannot be read: UnpicklingError: numbers of another byte order")


# Damaged files.

CUT = "it ends too early, so it was cut short: copy or fetch it again"
DAMAGED = "; it is damaged, cut short or no file of weights"


@pytest.mark.parametrize("protocol", [2, 4])
def test_cut_off_anywhere(tmp_path: Path, protocol: int) -> None:
    """A dictionary with one array, cut after every byte."""
    whole = pickle.dumps({"conv1.weight": np.ones((2, 3), np.float32)}, protocol)
    path = tmp_path / "weights.pdparams"
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            read_weights(path)
        assert str(caught.value) == f"{path}: cannot be read: {CUT}"
    path.write_bytes(whole)
    assert list(read_weights(path)) == ["conv1.weight"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x01",
        (2**40).to_bytes(8, "little") + b"{}",
        b"\x02" + bytes(7) + b"{}x",
        b"\x02" + bytes(7) + b"[]",
        b"not at all such a file, but longer than a header",
    ],
)
def test_damaged_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    assert is_damaged(refusal(plain(), path), path)


def is_damaged(message: str, path: Path) -> bool:
    return (
        message.startswith(f"{path}: cannot be read: ")
        and message.endswith(DAMAGED)
        and message.isprintable()
    )


def test_safetensors_cut_off_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, plain())
    whole = path.read_bytes()
    for length in (4, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert is_damaged(refusal(plain(), path), path)


@pytest.mark.parametrize("protocol", [2, 4])
def test_paddles_files_cut_off_are_refused(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "weights.pdparams"
    paddle.save(plain().state_dict(), str(path), protocol=protocol)
    whole = path.read_bytes()
    for length in (1, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert refusal(plain(), path) == f"{path}: cannot be read: {CUT}"


def test_a_damaged_pickle_is_refused(tmp_path: Path) -> None:
    whole = pickle.dumps(dict(thin_weights()), 4)
    path = tmp_path / "weights.pdparams"
    path.write_bytes(whole[:11] + b"\xff" + whole[12:])  # no operation of pickles
    assert is_damaged(refusal(plain(), path), path)


# Other files.


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.pdparams", "there is no such file"),
        ("none.safetensors", "there is no such file"),
        ("", "is a folder, not a file of weights"),
        ("folder.pdparams", "is a folder, not a file of weights"),
        ("folder.safetensors", "is a folder, not a file of weights"),
        ("empty.pdparams", "the file is empty"),
        ("empty.safetensors", "the file is empty"),
        ("weights.npz", "weights are read from .safetensors and .pdparams files"),
        ("weights", "weights are read from .safetensors and .pdparams files"),
    ],
)
def test_files_that_are_not_read(tmp_path: Path, name: str, words: str) -> None:
    for folder in ("folder.pdparams", "folder.safetensors"):
        (tmp_path / folder).mkdir()
    for file, content in (
        ("weights.npz", "x"),
        ("weights", "x"),
        ("empty.pdparams", ""),
        ("empty.safetensors", ""),
    ):
        (tmp_path / file).write_text(content)
    assert refusal(plain(), tmp_path / name) == f"{tmp_path / name}: {words}"


@pytest.mark.parametrize("content", [b"a text\n", b"<!DOCTYPE html>", b"PK\x03\x04zip", b"\n"])
def test_files_of_other_kinds_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pdparams"
    path.write_bytes(content)
    begin = f"it begins with {content[:8]!r}, not as Paddle's weights do"
    wanted = f"{path}: cannot be read: {begin}: it is another kind of file"
    assert refusal(plain(), path) == wanted
    path = path.with_suffix(".safetensors")
    path.write_bytes(content)
    assert is_damaged(refusal(plain(), path), path)


def test_a_path_that_cannot_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 300}.pdparams"
    assert refusal(plain(), path).startswith(f"{path}: cannot be read: OSError: ")
