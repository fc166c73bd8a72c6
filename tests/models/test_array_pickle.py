"""Arrays out of pickles that could be anything: what is read, and what is not run."""

import contextlib
import os
import pickle
import struct
import sys
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malicious_pickle import Payload

from models import array_pickle
from models.array_pickle import ArrayUnpickler

F4, U1 = frozenset({"f4"}), frozenset({"u1"})
random_input = settings(deadline=None, derandomize=True, database=None)


def load(
    data: bytes,
    codes: frozenset[str] = F4,
    more: Mapping[tuple[str, str], Any] | None = None,
    **options: str,
) -> Any:
    return ArrayUnpickler(data, codes, more, **options).load()


def floats() -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(2, 3) - 1.5


def written(code: bytes = b"f4", order: bytes = b"<", data: bytes | None = None) -> bytes:
    """`floats()` in protocol 2, opcode by opcode, with bytes as Python 2 wrote them."""
    content = floats().tobytes() if data is None else data
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nU" + bytes([len(code)]) + code + b"K\x00K\x01\x87R"
        b"(K\x03U" + bytes([len(order)]) + order + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U" + bytes([len(content)]) + content + b"tb."
    )  # fmt: skip


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize(
    "array",
    [
        floats(),
        np.asfortranarray(floats()),
        floats()[::2, ::-1],
        np.array(2.5, np.float32),
        np.zeros((0, 3), np.float32),
    ],
    ids=["plain", "fortran", "view", "scalar", "empty"],
)
def test_reads_what_numpy_writes(array: np.ndarray, protocol: int) -> None:
    read = load(pickle.dumps({"a": [array, 3, "text"]}, protocol))["a"]
    assert np.array_equal(read[0], array)
    assert (read[0].dtype, read[0].shape) == (np.float32, array.shape)
    assert read[1:] == [3, "text"]


def test_reads_bytes_of_python_2() -> None:
    assert np.array_equal(load(written(), encoding="bytes"), floats())


def test_each_reader_has_its_own_data_types() -> None:
    bytes_ = np.arange(3, dtype=np.uint8)
    assert np.array_equal(load(pickle.dumps(bytes_, 4), U1), bytes_)
    assert np.array_equal(load(pickle.dumps(bytes_, 4), U1 | F4), bytes_)
    with pytest.raises(pickle.UnpicklingError, match="array of 'u1', expected f4"):
        load(pickle.dumps(bytes_, 4), F4)
    with pytest.raises(pickle.UnpicklingError, match="array of 'f4', expected u1"):
        load(pickle.dumps(floats(), 4), U1)


@pytest.mark.parametrize(
    "array",
    [
        np.array([None]),
        np.array(["a"]),
        np.array([b"a"]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]),
        np.zeros(2, np.float64),
        np.zeros(2, np.float16),
        np.zeros(2, np.int64),
        np.zeros(2, np.bool_),
        np.zeros(2, np.complex64),
        np.zeros(2, "M8[s]"),
        np.zeros(2, "V4"),
    ],
    ids=lambda array: array.dtype.str,
)
def test_other_data_types_are_refused(array: np.ndarray) -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"array of '.*', expected f4"):
        load(pickle.dumps(array, 4))


@pytest.mark.parametrize("code", [b"O", b"O8", b"<f4", b"f", b"float32", b"F4", b"", b"\xff"])
def test_data_types_go_by_their_exact_code(code: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError, match="expected f4"):
        load(written(code), encoding="bytes")


FOREIGN = {"little": ">", "big": "<"}[sys.byteorder]
NATIVE = {"little": "<", "big": ">"}[sys.byteorder]


@pytest.mark.parametrize("protocol", [3, 4])
def test_numbers_of_the_other_byte_order_are_not_misread(protocol: int) -> None:
    foreign = floats().astype(f"{FOREIGN}f4")
    with pytest.raises(pickle.UnpicklingError, match="numbers of another byte order"):
        load(pickle.dumps(foreign, protocol))


@pytest.mark.parametrize("order", [FOREIGN, "!", "", "<>", "\xff"])
@pytest.mark.parametrize("encoding", ["bytes", "latin1"])
def test_other_orders_of_bytes_are_refused(order: str, encoding: str) -> None:
    data = written(order=order.encode("latin1"))
    with pytest.raises(pickle.UnpicklingError, match="numbers of another byte order"):
        load(data, encoding=encoding)


@pytest.mark.parametrize("order", [NATIVE, "=", "|"])
@pytest.mark.parametrize("encoding", ["bytes", "latin1"])
def test_the_own_order_of_bytes_is_read(order: str, encoding: str) -> None:
    """By each of its names; Python 2 wrote bytes, Python 3 text. Arrays are bytes in the first."""
    data = written(order=order.encode())
    if encoding == "latin1":
        data = data.replace(b"\x89U\x18", b"\x89C\x18")  # the array itself, not its order
    assert np.array_equal(load(data, encoding=encoding), floats())


@pytest.mark.parametrize("order", [b"<", b">", b"=", b"|"])
def test_a_pickle_cannot_change_numpys_own_data_types(order: bytes) -> None:
    hostile = b"(K\x03U\x01" + order + b"NU\x01a\x85}U\x01aI1\nsJ\x10\x00\x00\x00K\x01K\x00tb"
    for code in (b"f4", b"u1"):
        data = b"\x80\x02cnumpy\ndtype\nU\x02" + code + b"K\x00K\x01\x87R" + hostile + b"."
        with contextlib.suppress(Exception):  # refused, or without effect
            load(data, F4 | U1, encoding="bytes")
        own = np.dtype(code.decode())
        assert (own.isnative, own.names, own.itemsize) == (True, None, int(code[1:]))
    assert np.array_equal(np.frombuffer(struct.pack("=f", 1.5), np.float32), [1.5])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_payload_does_not_run(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    data = pickle.dumps([floats(), Payload(os.system, f"touch {mark}")], protocol)
    with pytest.raises(pickle.UnpicklingError, match="which no array needs"):
        load(data)
    payload = pickle.dumps(Payload(os.system, f"touch {mark}"), protocol)
    with pytest.raises(pickle.UnpicklingError, match=r"it names \w+\.system, which no array"):
        load(payload)
    assert not mark.exists()


NAMES = [
    "builtins\neval",
    "builtins\ngetattr",
    "builtins\ntuple",
    "builtins\nbytearray",
    "os\nsystem",
    "numpy\nload",
    "numpy\nfromfile",
    "numpy.core.multiarray\nfromfile",
    "numpy\nndarray.tofile",
    "numpy\ncore.multiarray._reconstruct",
    "numpy.core\nmultiarray._reconstruct",
    "NumPy\ndtype",
    "copyreg\n_reconstructor",
    "_codecs\nencode",
    "collections\nOrderedDict",
    "paddle\nload",
    "models.array_pickle\n_reconstruct",
]


@pytest.mark.parametrize("name", NAMES)
def test_only_exact_names_are_allowed(name: str) -> None:
    shown = name.replace("\n", ".")
    with pytest.raises(pickle.UnpicklingError, match="which no array needs") as caught:
        load(b"c" + name.encode() + b"\n.")
    assert str(caught.value).startswith(f"it names {shown}, ")
    # Protocol 4 splits dotted names and would walk into attributes.
    module, attribute = (b"\x8c" + bytes([len(p)]) + p for p in name.encode().split(b"\n"))
    with pytest.raises(pickle.UnpicklingError, match="which no array needs"):
        load(b"\x80\x04" + module + attribute + b"\x93.")
    # Protocol 0's way to call a class.
    with pytest.raises(pickle.UnpicklingError, match="which no array needs"):
        load(b"(i" + name.encode() + b"\n.")


def test_more_names_are_what_stands_in_for_them_and_no_more() -> None:
    more = {("builtins", "tuple"): list}
    assert load(b"cbuiltins\ntuple\n(K\x01K\x02l\x85R.", more=more) == [1, 2]
    with pytest.raises(pickle.UnpicklingError, match=r"names builtins\.list"):
        load(b"cbuiltins\nlist\n.", more=more)
    with pytest.raises(pickle.UnpicklingError, match=r"names builtins\.tuple"):
        load(b"cbuiltins\ntuple\n.")  # of this reader only, not of the next


@pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"])
def test_registered_extensions_are_not_looked_up(opcode: bytes) -> None:
    with pytest.raises(Exception, match="unregistered extension code 1"):
        load(opcode + b".")


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "a\r", "\u202ea"], ids=ascii)
def test_refused_names_are_shown_in_one_line(name: str) -> None:
    encoded = name.encode()
    with pytest.raises(pickle.UnpicklingError) as caught:
        load(b"\x80\x04\x8c\x02os\x8c" + bytes([len(encoded)]) + encoded + b"\x93.")
    assert str(caught.value) == f"it names os.{repr(name)[1:-1]}, which no array needs"


CUT = [pickle.dumps([floats(), 3, "text", 2**40, b"b"], protocol) for protocol in (3, 4)]


@pytest.mark.parametrize("whole", [written(), *CUT], ids=["2", "3", "4"])
def test_what_is_cut_short_ends_too_early(whole: bytes) -> None:
    for length in range(len(whole)):
        with pytest.raises(EOFError, match=r"^it ends too early$"):
            load(whole[:length], encoding="bytes")
    load(whole, encoding="bytes")


def test_persistent_names_are_refused() -> None:
    with pytest.raises(pickle.UnpicklingError, match="persistent"):
        load(b"Pname\n.")


HUGE = b"\x8a\x06" + (10**13).to_bytes(6, "little")
MUCH = (2**27).to_bytes(8, "little")
ERRORS = (
    pickle.UnpicklingError, TypeError, ValueError, EOFError, KeyError, AttributeError,
)  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"cnumpy\nndarray\n" + HUGE + b"\x85R.", id="call"),
        pytest.param(b"cnumpy\nndarray\n" + HUGE + b"\x85\x81.", id="new"),
        pytest.param(b"(" + HUGE + b"inumpy\nndarray\n.", id="inst"),
        pytest.param(b"\x80\x04\x8e" + MUCH + b"x.", id="bytes"),
        pytest.param(b"\x80\x04\x8d" + MUCH + b"x.", id="text"),
        pytest.param(b"\x8b\xff\xff\xff\x07x.", id="number"),
        pytest.param(b"\x80\x05\x96" + MUCH + b"x.", id="bytearray"),
        pytest.param(b"\x80\x04\x95" + MUCH + b"x.", id="frame"),
        pytest.param(written().replace(b"K\x02K\x03\x86", HUGE + b"K\x03\x86"), id="shape"),
    ],
)
def test_a_few_bytes_cannot_take_the_memory(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ERRORS):
            load(data, encoding="bytes")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**22


@pytest.mark.parametrize("data", [b"", b"12345", floats().tobytes() + b"x"])
def test_a_shape_must_be_filled_exactly(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"shape|buffer|size"):
        load(written(data=data), encoding="bytes")


def test_a_bytearray_is_refused_however_short() -> None:
    with pytest.raises(pickle.UnpicklingError, match="it holds a bytearray"):
        load(pickle.dumps({"a": bytearray(b"abc")}, 5))


def test_a_pickle_cannot_change_this_program(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = array_pickle._reconstruct
    monkeypatch.setattr(stand_in, "__defaults__", None)  # put back as it was
    data = b"cnumpy.core.multiarray\n_reconstruct\nN}U\x0c__defaults__K\x01\x85s\x86b."
    with pytest.raises(pickle.UnpicklingError, match="it changes something that is no array"):
        load(data)
    assert stand_in.__defaults__ is None


@pytest.mark.parametrize(
    "built",
    [
        b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"ccollections\nOrderedDict\n", b"}", b"]", b")",
        b"N", b"K\x01", b"U\x01a", b"ccollections\nOrderedDict\n)R",
    ],
)  # fmt: skip
@pytest.mark.parametrize("state", [b"}", b"}U\x01aK\x01s", b"N}U\x01aK\x01s\x86", b"N", b"K\x01"])
def test_only_arrays_and_their_data_types_are_built(built: bytes, state: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError, match="it changes something that is no array"):
        load(b"\x80\x02" + built + state + b"b.", more={("collections", "OrderedDict"): dict})


@random_input
@given(st.binary(max_size=60), st.integers(0, 10**6))
def test_damage_ends_in_an_error_or_in_plain_values(junk: bytes, place: int) -> None:
    whole = written()
    place %= len(whole)
    for data in (junk, whole[:place], whole[:place] + junk + whole[place + len(junk) :]):
        try:
            read = load(data, encoding="bytes")
        except Exception as error:  # the readers turn it into an InputError
            assert not isinstance(error, MemoryError)
        else:
            assert not isinstance(read, np.ndarray) or read.dtype in (np.float32, np.uint8)
