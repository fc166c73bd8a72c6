"""Architectures that are written out: which block sits in which slot.

A mapping from slots to blocks: `stage3.block2.before_add: {gc: {ratio: 0.25, fusion: add}}`, or
`stage3.last.before_add: se` for a block with its defaults, several slots at once as
`models.shorthand` reads them. `none` leaves a slot empty. A slot that is written out with its
numbers overrides what a pattern puts there; two patterns must not meet.

An architecture file has three keys: `backbone`, as in a space file; `image_size`, pixels a side;
and `placements`, such a mapping. In a space file, `candidates` maps names to such mappings.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field

from models import build
from models.architecture import Architecture, Backbone, Block, Placement, Slot
from models.attention import make_block
from models.backbone import Plan
from models.errors import InputError
from models.options import OptionError
from models.registry import UnknownEntryError
from models.sections import Section
from models.shorthand import is_pattern, slots_named
from models.written import Candidates, Placements
from models.yaml_input import Document, KeyPath, validate

NONE = "none"
"""Written for a block, it says that the slot stays empty."""


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,39}")


class ArchitectureFile(Section):
    """An architecture file as it is written."""

    backbone: Backbone = Backbone()
    image_size: Annotated[int, Field(ge=8, le=1024)] = 32
    placements: Placements


def read_architecture(document: Document) -> tuple[Architecture, int]:
    """The checked architecture and its image size. Raises InputError with file, line and key."""
    file = validate(document, ArchitectureFile)
    plan = read_plan(document, file.backbone, file.image_size)
    placements = read_placements(document, ("placements",), file.placements, plan)
    return Architecture(file.backbone, placements), file.image_size


def read_plan(document: Document, backbone: Backbone, image_size: int) -> Plan:
    """The plan of a backbone that stands in `document`; InputError, with file and line, if none."""
    try:
        return build.plan(Architecture(backbone), image_size)
    except UnknownEntryError as error:
        raise InputError(document.problem(("backbone", "name"), str(error))) from None
    except InputError as error:
        raise InputError(f"{document.place(('backbone',))}: {error}") from None


def read_candidates(
    document: Document, given: Candidates, backbone: Backbone, plan: Plan
) -> dict[str, Architecture]:
    """The checked architectures of `candidates`, in the order they are written, by their names.

    Raises InputError as `read_placements` does, and for two names of the same network.
    """
    found: dict[str, Architecture] = {}
    names: dict[Architecture, str] = {}
    for name, written in given.items():
        path = ("candidates", name)
        if not _NAME.fullmatch(name):
            message = (
                f"{name!r} is not allowed: 1 to 40 letters, digits, spaces and . _ + -, "
                "a letter or digit first"
            )
            raise InputError(document.problem(path, message))
        architecture = Architecture(backbone, read_placements(document, path, written, plan))
        if architecture in names:
            message = f"is the same network as {names[architecture]}"
            raise InputError(document.problem(path, message))
        found[name], names[architecture] = architecture, name
    return found


def read_placements(
    document: Document, path: KeyPath, given: Placements, plan: Plan
) -> tuple[Placement, ...]:
    """The checked placements of a mapping that stands at `path` of `document`.

    Raises InputError, with file, line and key, for slots or blocks that do not exist, for two
    patterns in one slot, and for a block that cannot sit where it is put.
    """
    blocks = {key: _block(document, (*path, key), written) for key, written in given.items()}
    placements = []
    for slot, key in _keys_by_slot(document, path, given, plan).items():
        block = blocks[key]
        if block is None:
            continue
        refused = build.refuse_at(slot, block, plan)
        if refused is not None:
            raise InputError(document.problem((*path, key), refused))
        placements.append(Placement(slot, block))
    return tuple(placements)


def _keys_by_slot(
    document: Document, path: KeyPath, keys: Iterable[str], plan: Plan
) -> dict[Slot, str]:
    """Which key decides each slot: patterns give way to slots that are written out."""
    found: dict[Slot, str] = {}
    for key in sorted(keys, key=is_pattern):
        try:
            slots = slots_named(key, plan)
        except InputError as error:
            raise InputError(document.problem((*path, key), str(error))) from None
        for slot in slots:
            other = found.setdefault(slot, key)
            if other != key and is_pattern(other) == is_pattern(key):
                message = f"{slot} is given already, by {other}"
                if is_pattern(key):
                    message += "; a line for that slot alone would override both"
                raise InputError(document.problem((*path, key), message))
    return found


def _block(
    document: Document, path: KeyPath, written: Mapping[str, Mapping[str, Any] | None]
) -> Block | None:
    if len(written) != 1:
        message = f"one block sits in a slot, not {len(written)}"
        raise InputError(document.problem(path, message))
    ((name, options),) = written.items()
    if name == NONE:
        if options:
            message = f"{NONE} leaves the slot empty and has no options; write {NONE} alone"
            raise InputError(document.problem((*path, name), message))
        return None
    try:
        block = make_block(name, options or {})
    except OptionError as error:
        raise InputError(document.problem((*path, name, error.option), error.message)) from None
    except UnknownEntryError as error:
        raise InputError(document.problem((*path, name), str(error))) from None
    idle = [option for option in options or {} if option not in dict(block.options)]
    if idle:
        message = "has no effect beside the block's other options; leave it out"
        raise InputError(document.problem((*path, name, idle[0]), message))
    return block
