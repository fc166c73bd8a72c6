"""`python -m models FILE`: the slots of a space, or the totals of an architecture."""

import argparse
import sys
from pathlib import Path

from models import build
from models.architecture import Architecture, Backbone
from models.attention import block_class, block_names
from models.cost import Cost
from models.errors import InputError, ProgramError
from models.explicit import read_architecture
from models.yaml_input import Document, read_yaml, validate


def main(arguments: list[str] | None = None) -> int:
    """Prints the description; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    parser.add_argument("file", type=Path, help="a space file, or a file that lists placements")
    given = parser.parse_args(arguments)
    try:
        print("\n".join(_describe(read_yaml(given.file))))
    except ProgramError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _describe(document: Document) -> list[str]:
    if "placements" in document.values:
        return describe_architecture(*read_architecture(document))
    backbone = Backbone()
    if "backbone" in document.values:
        backbone = validate(document, Backbone, ("backbone",))
    data = document.values.get("data")
    image_size = data.get("image_size", 32) if isinstance(data, dict) else 32
    if type(image_size) is not int or not 8 <= image_size <= 1024:
        message = f"{image_size!r} is not allowed: must be an integer from 8 to 1024"
        raise InputError(document.problem(("data", "image_size"), message))
    return describe_backbone(backbone, image_size)


def describe_backbone(backbone: Backbone, image_size: int) -> list[str]:
    """Lines: the backbone's totals, its slots, and the blocks there are for them."""
    planned = build.plan(Architecture(backbone), image_size)
    lines = [_title(backbone, image_size), _totals(planned.cost), "", "slots, in order:"]
    for slot, shape in planned.slots.items():
        seen = f"  earlier maps: {', '.join(map(str, shape.bridged))}" if shape.bridged else ""
        size = f"{shape.channels} × {shape.height} × {shape.width}"
        lines.append(f"  {slot!s:<28}{size:<18}{seen}".rstrip())
    lines += ["", "attention blocks:"]
    for name in block_names():
        block = block_class(name)
        options = "; ".join(f"{option.name}: {option.allowed}" for option in block.options)
        lines.append(f"  {name:<10} {block.title}, {block.paper}")
        if options:
            lines.append(f"  {'':<10} {options}")
    return lines


def describe_architecture(architecture: Architecture, image_size: int) -> list[str]:
    """Lines: the architecture's totals, and what each placement adds."""
    planned = build.plan(architecture, image_size)
    total = build.cost(architecture, image_size)
    lines = [_title(architecture.backbone, image_size), "", "placements:"]
    for placement in architecture.placements:
        added = build.block_cost(placement.block, planned.slots[placement.slot])
        lines.append(f"  {placement.slot}: {placement.block}")
        lines.append(f"    adds {added.params:,} parameters, {added.macs:,} MACs")
    lines += ["", _totals(total), f"architecture id {architecture.architecture_id}"]
    return lines


def _title(backbone: Backbone, image_size: int) -> str:
    return (
        f"{backbone.name}, {backbone.stem} stem, width {backbone.width:g}, "
        f"{backbone.classes} classes, images {image_size} × {image_size}"
    )


def _totals(cost: Cost) -> str:
    return (
        f"{cost.params:,} trained parameters ({cost.summary_params:,} in paddle.summary's way, "
        f"batch-norm statistics included), {cost.macs:,} MACs an image"
    )


if __name__ == "__main__":
    sys.exit(main())
