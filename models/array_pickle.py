"""Reads pickles of plain arrays without letting them name any code.

Data sets and weights of other programs come as pickles, which can run anything. This unpickler
knows a handful of names, exactly those that arrays need, and answers even these with replacements:
what is read can describe arrays, numbers, texts and containers of these, and nothing else.
"""

import io
import pickle
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

_NATIVE = ("|", "=", "<" if sys.byteorder == "little" else ">")


class _Whole(io.BytesIO):
    """Raises EOFError where less is left than is asked for, so that what is cut short is known."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is not None and len(data) < size:
            raise EOFError("it ends too early")
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise EOFError("it ends too early")
        return line


class _ArrayName:
    """Stands for the class `numpy.ndarray`; cannot be called, so it cannot allocate."""


def _reconstruct(_kind: Any, _shape: Any, _typecode: Any) -> npt.NDArray[Any]:
    return np.ndarray((0,), np.uint8)  # the pickle's state then fills it and is checked by NumPy


# Pickle's Python form, not the C one: that allocates what a few hostile bytes merely announce.
class ArrayUnpickler(pickle._Unpickler):
    """Allows exact (module, name) pairs only, and arrays of the data types `codes` (`u1`, `f4`).

    `more` are further pairs and what stands in for them. Data that end before the pickle does raise
    EOFError, wherever they end.
    """

    def __init__(
        self,
        data: bytes,
        codes: frozenset[str],
        more: Mapping[tuple[str, str], Any] | None = None,
        *,
        encoding: str = "ASCII",
    ) -> None:
        super().__init__(_Whole(data), encoding=encoding)
        self._allowed: Mapping[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
            ("numpy", "ndarray"): _ArrayName(),
            ("numpy", "dtype"): self._dtype,
            **(more or {}),
        }
        self._codes = codes

    def find_class(self, module: str, name: str, /) -> Any:
        """The replacement of an allowed name; `UnpicklingError` for every other."""
        if (module, name) not in self._allowed:
            shown = repr(f"{module}.{name}")[1:-1]  # in one line, whatever the name
            raise pickle.UnpicklingError(f"it names {shown}, which no array needs")
        return self._allowed[module, name]

    def _build(self: Any) -> None:
        """BUILD fills arrays; of anything else it would set attributes."""
        *_, built, state = self.stack
        if isinstance(built, np.dtype):  # NumPy would pass over a foreign order of bytes
            order = state[1].decode("ascii", "replace") if isinstance(state[1], bytes) else state[1]
            if order not in _NATIVE:
                raise pickle.UnpicklingError("numbers of another byte order")
        elif not isinstance(built, np.ndarray):
            raise pickle.UnpicklingError("it changes something that is no array")
        self.load_build()

    def _refuse_bytearray(self: Any) -> None:
        raise pickle.UnpicklingError("it holds a bytearray, which no array needs")

    dispatch: ClassVar[Any] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: _build,
        pickle.BYTEARRAY8[0]: _refuse_bytearray,
    }

    def _dtype(self, code: Any, *_flags: Any) -> np.dtype[Any]:
        text = code.decode("ascii", "replace") if isinstance(code, bytes) else code
        if text not in self._codes:
            wanted = ", ".join(sorted(self._codes))
            raise pickle.UnpicklingError(f"array of {text!r}, expected {wanted}")
        return np.dtype(text)
