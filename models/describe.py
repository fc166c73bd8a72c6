"""What `python -m models` says about backbones, architectures and blocks, as lines of text."""

import string
from collections.abc import Iterator

from models import build
from models.architecture import Architecture, Backbone, Block, Slot, option_text
from models.attention import block_class, block_names, make_block
from models.backbone import Plan
from models.backbones import backbone_class
from models.block import SlotShape
from models.cost import Cost
from models.diagram import draw


def describe_backbone(backbone: Backbone, image_size: int) -> list[str]:
    """The backbone, its totals, its slots, and which blocks can sit where."""
    plan = build.plan(Architecture(backbone), image_size)
    lines = [title(backbone, image_size), "", *draw(plan, image_size, {}), "", *totals(plan.cost)]
    lines += ["", "slots, in order:"]
    for slot, shape in plan.slots.items():
        seen = f"  earlier maps: {', '.join(map(str, shape.bridged))}" if shape.bridged else ""
        lines.append(f"  {slot!s:<28}{_size(shape):<20}{seen}".rstrip())
    for alias, position in plan.aliases.items():
        lines.append(f"  {alias} is another name of {position}")
    lines += ["", "attention blocks, with their defaults:"]
    for name in block_names():
        lines += _describe_block(name, plan)
    return lines


def describe_architecture(architecture: Architecture, image_size: int) -> list[str]:
    """The backbone with its placements drawn in it, what each of them adds, and the totals."""
    plan = build.plan(architecture, image_size)
    placed = {placement.slot: placement.block for placement in architecture.placements}
    letters = _letters(architecture, plan)
    lines = [title(architecture.backbone, image_size), "", *_drawn(architecture, plan, image_size)]
    for block, letter in letters.items():
        lines += ["", f"[{letter}] {block}: {block_class(block.name).title}"]
        slots = [slot for slot in plan.slots if placed.get(slot) == block]
        lines += [_placement(slot, block, plan.slots[slot]) for slot in slots]
    total = build.cost(architecture, image_size)
    lines += ["", *totals(total)]
    if architecture.placements:
        params, macs = total.params - plan.cost.params, total.macs - plan.cost.macs
        count = len(architecture.placements)
        lines += [
            f"attention adds {params:,} parameters ({params / plan.cost.params:.2%}) and "
            f"{macs:,} MACs ({macs / plan.cost.macs:.2%})",
            f"all {count} placements are legal at this image size"
            if count > 1
            else "the placement is legal at this image size",
        ]
    return [*lines, f"architecture id {architecture.architecture_id}"]


def draw_architecture(architecture: Architecture, image_size: int) -> list[str]:
    """The backbone with its placements drawn in it, and which block each of the letters is."""
    plan = build.plan(architecture, image_size)
    letters = _letters(architecture, plan)
    named = [f"  [{letter}] {block}" for block, letter in letters.items()]
    return [*_drawn(architecture, plan, image_size), *([""] if named else []), *named]


def title(backbone: Backbone, image_size: int) -> str:
    """One line: name, stem, width, classes, image size."""
    stem = f"{backbone.stem} stem, " if backbone_class(backbone.name).has_stems else ""
    return (
        f"{backbone.name}, {stem}width {backbone.width:g}, {backbone.classes} classes, "
        f"images {image_size} × {image_size}"
    )


def totals(cost: Cost) -> list[str]:
    """Lines: parameters in both ways of counting, and MACs."""
    return [
        f"{cost.params:,} trained parameters",
        f"{cost.summary_params:,} in paddle.summary's way, batch-norm statistics included",
        f"{cost.macs:,} MACs (multiply–adds) an image",
    ]


def _describe_block(name: str, plan: Plan) -> Iterator[str]:
    kind, block = block_class(name), make_block(name, {})
    yield f"  {name:<10} {kind.title}, {kind.paper}"
    for option in kind.options:
        yield f"  {'':<10} {option.name} = {option_text(option.default)}: {option.allowed}"
    refused = {slot: build.refuse(block, shape) for slot, shape in plan.slots.items()}
    reasons = {slot: reason for slot, reason in refused.items() if reason}
    if reasons:
        first, reason = next(iter(reasons.items()))
        legal = len(refused) - len(reasons)
        yield f"  {'':<10} fits {legal} of {len(refused)} slots; {first}: {reason}"


def _letters(architecture: Architecture, plan: Plan) -> dict[Block, str]:
    """A letter for each block, in the order in which the image meets them."""
    placed = {placement.slot: placement.block for placement in architecture.placements}
    blocks = dict.fromkeys(placed[slot] for slot in plan.slots if slot in placed)
    return dict(zip(blocks, _names(), strict=False))


def _drawn(architecture: Architecture, plan: Plan, image_size: int) -> list[str]:
    letters = _letters(architecture, plan)
    inside = [placement for placement in architecture.placements if placement.slot in plan.slots]
    marks = {placement.slot: f"[{letters[placement.block]}]" for placement in inside}
    return draw(plan, image_size, marks)


def _names() -> Iterator[str]:
    """A to Z, then A2 to Z2 and so on."""
    yield from string.ascii_uppercase
    number = 2
    while True:
        yield from (f"{letter}{number}" for letter in string.ascii_uppercase)
        number += 1


def _placement(slot: Slot, block: Block, shape: SlotShape) -> str:
    added = build.block_cost(block, shape)
    return f"  {slot!s:<28}{_size(shape):<20}adds {added.params:,} parameters, {added.macs:,} MACs"


def _size(shape: SlotShape) -> str:
    return f"{shape.channels} × {shape.height} × {shape.width}"
