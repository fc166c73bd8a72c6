"""The catalogue of attention blocks. This folder is the registry: one file is one block."""

from collections.abc import Mapping
from functools import cache

from models.architecture import Block
from models.block import AttentionBlock
from models.options import complete
from models.registry import entry_names, load_entry


def block_names() -> tuple[str, ...]:
    """The names of all blocks, controls included, sorted."""
    return entry_names(__path__)


@cache
def block_class(name: str) -> type[AttentionBlock]:
    """The layer class of a block; UnknownEntryError (an InputError) for an unknown name."""
    return load_entry(__name__, __path__, name, AttentionBlock)  # type: ignore[type-abstract]


def make_block(name: str, given: Mapping[str, object]) -> Block:
    """The canonical value of a block with the options `given`.

    Raises UnknownEntryError for the name and `models.options.OptionError` for an option.
    """
    return Block(name, complete(block_class(name).options, given))
