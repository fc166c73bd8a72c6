"""Architecture files: a backbone and its placements, written out.

Three keys: `backbone`, as in a space file; `image_size`, pixels a side; and `placements`, which
maps slots to blocks: `stage3.block2.before_add: {gc: {ratio: 0.25, fusion: add}}`.
"""

from typing import Annotated, Any

from pydantic import Field

from models import build
from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import make_block
from models.errors import InputError
from models.options import OptionError
from models.registry import UnknownEntryError
from models.sections import Section
from models.yaml_input import Document, validate


class ArchitectureFile(Section):
    """An architecture file as it is written; `placements` maps a slot to one block."""

    backbone: Backbone = Backbone()
    image_size: Annotated[int, Field(ge=8, le=1024)] = 32
    placements: dict[str, dict[str, dict[str, Any] | None]]


def read_architecture(document: Document) -> tuple[Architecture, int]:
    """The checked architecture and its image size. Raises InputError with file, line and key."""
    file = validate(document, ArchitectureFile)
    placements = tuple(
        _placement(document, slot, blocks) for slot, blocks in file.placements.items()
    )
    architecture = Architecture(file.backbone, placements)
    try:
        build.check(architecture, file.image_size)
    except InputError as error:
        raise InputError(f"{document.place(('placements',))}: {error}") from None
    return architecture, file.image_size


def _placement(
    document: Document, slot: str, blocks: dict[str, dict[str, Any] | None]
) -> Placement:
    path = ("placements", slot)
    if len(blocks) != 1:
        raise InputError(document.problem(path, f"one block sits in a slot, not {len(blocks)}"))
    ((name, options),) = blocks.items()
    try:
        return Placement(Slot.parse(slot), make_block(name, options or {}))
    except OptionError as error:
        message = error.message
        raise InputError(document.problem((*path, name, error.option), message)) from None
    except (UnknownEntryError, ValueError) as error:
        raise InputError(document.problem((*path, name), str(error))) from None
