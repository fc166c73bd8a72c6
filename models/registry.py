"""A folder as a registry: one file, one entry, and the file's name is the entry's name."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable
from typing import TypeVar

from models.errors import InputError
from models.options import did_you_mean

T = TypeVar("T")


class UnknownEntryError(InputError):
    """A name that no file of the folder bears."""


def entry_names(package_path: Iterable[str]) -> tuple[str, ...]:
    """The names of all entries, sorted. Imports nothing, so it costs no Paddle."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(list(package_path))))


def load_entry(package: str, package_path: Iterable[str], name: str, base: type[T]) -> type[T]:
    """The one subclass of `base` that the file `name` of `package` defines.

    Raises UnknownEntryError where there is no such file.
    """
    names = entry_names(package_path)
    if name not in names:
        hint = did_you_mean(name, names)
        raise UnknownEntryError(f"{name!r} is unknown; allowed: {', '.join(names)}{hint}")
    module = importlib.import_module(f"{package}.{name}")
    found = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise TypeError(f"{package}.{name} must define one {base.__name__}, not {len(found)}")
    return found[0]
