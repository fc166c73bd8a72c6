"""Placements drawn on the backbone: a row for each stage, a box for each of its blocks.

What the backbone looks like is what the search noted (`slots`); a study without that is drawn with
the slots that its trials use.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from models.architecture import Architecture, Placement, Slot
from reports.marks import block_names
from reports.palette import BLOCKS
from reports.study import Study
from reports.wording import shortened

WIDTH, NARROWEST = 320.0, 180.0
LABEL = 72.0  # for the stage's name and the shape of its maps
CELLS = (22.0, 16.0, 12.0, 9.0, 7.0)  # widths of a slot, the widest that leaves a stage on one line
HIGH, GAP, LINE = 14.0, 8.0, 22.0
WIDE_ENOUGH = 9.0  # for a letter
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SYMBOL = "backbone"
MOST_BLOCKS = 500  # that are drawn where it is not known which there are
ORDER = {"before_add": 100, "after_add": 101, "after_block": 102}

Outline = Mapping[int, Mapping[int, Sequence[str]]]
"""The positions of each block of each stage."""


@dataclass(frozen=True)
class Backbone:
    """Where each slot lies in the drawing of a backbone, and that drawing."""

    places: Mapping[Slot, tuple[float, float, float]]  # left, top, width
    size: tuple[float, float]
    symbol: Markup
    colours: Mapping[str, str]

    def drawn(self, architecture: Architecture) -> Markup:
        """The backbone with an architecture's placements, as an `<svg>`; its words for all others.

        Needs `symbol` in the same page.
        """
        marks = Markup("")
        for letter, placement in self.lettered(architecture):
            place = self.places.get(placement.slot)
            if place is None:
                continue
            x, y, width = place
            marks += Markup(
                '<rect class="at {}" x="{}" y="{}" width="{}" height="{}" rx="2"/>'
            ).format(self.colour(placement.block.name), x - 1, y - 2, width + 2, HIGH + 4)
            if width >= WIDE_ENOUGH:
                marks += Markup('<text class="letter" x="{}" y="{}">{}</text>').format(
                    x + width / 2, y + HIGH / 2 + 3.2, letter
                )
        return Markup(
            '<svg class="backbone" viewBox="0 0 {} {}" role="img" aria-label="{}">'
            '<use href="#{}"/>{}</svg>'
        ).format(f"{self.size[0]:g}", f"{self.size[1]:g}", _words(architecture), SYMBOL, marks)

    def lettered(self, architecture: Architecture) -> list[tuple[str, Placement]]:
        """Each placement with the letter of its block."""
        kinds = list(dict.fromkeys(str(p.block) for p in architecture.placements))
        letters = {kind: LETTERS[at % len(LETTERS)] for at, kind in enumerate(kinds)}
        return [(letters[str(p.block)], p) for p in architecture.placements]

    def colour(self, name: str) -> str:
        """The class of a kind of attention."""
        return f"of-{self.colours.get(name, 'grey')}"


def backbone(study: Study) -> Backbone:
    """How the study's backbone is drawn."""
    outline = _outline(study)
    places: dict[Slot, tuple[float, float, float]] = {}
    boxes = Markup("")
    top = 4.0
    for stage, blocks in outline.items():
        boxes += _label(stage, _shape(study, stage), top)
        top = _stage(stage, blocks, top, places)
    for slot, (x, y, width) in places.items():
        first, last = _ends(slot, outline)
        boxes += _cell(x, y, width, first=first, last=last)
    right = max((x + width for x, _, width in places.values()), default=0.0)
    size = (max(right, NARROWEST) + 2, top + 2)
    symbol = Markup('<symbol id="{}" viewBox="0 0 {} {}">{}</symbol>').format(
        SYMBOL, f"{size[0]:g}", f"{size[1]:g}", boxes
    )
    names = block_names(study)
    colours = {name: BLOCKS[at % len(BLOCKS)] for at, name in enumerate(names)}
    return Backbone(places, size, symbol, colours | {"residual": "grey"})


def _words(architecture: Architecture) -> str:
    if not architecture.placements:
        return "The plain backbone."
    return shortened(f"Attention at {architecture.describe()}.", 300)


def _outline(study: Study) -> Outline:
    slots = list(study.slots) or _used(study)
    found: dict[int, dict[int, list[str]]] = {}
    for slot in slots:
        found.setdefault(slot.stage, {}).setdefault(slot.block, []).append(slot.position)
    return {stage: dict(sorted(blocks.items())) for stage, blocks in sorted(found.items())}


def _used(study: Study) -> list[Slot]:
    """Every block up to the last that any trial uses, with all positions that any uses."""
    seen = [p.slot for t in study.trials for p in t.architecture.placements]
    positions = sorted({s.position for s in seen}, key=lambda name: (ORDER.get(name, 0), name))
    deepest: dict[int, int] = {}
    for slot in seen:
        deepest[slot.stage] = max(deepest.get(slot.stage, 0), slot.block)
    if sum(deepest.values()) + max(deepest, default=0) > MOST_BLOCKS:
        return sorted(set(seen))
    return [
        Slot(stage, block, position)
        for stage in range(1, max(deepest, default=0) + 1)
        for block in range(1, deepest.get(stage, 1) + 1)
        for position in positions
    ]


def _shape(study: Study, stage: int) -> str:
    """`64 × 8 × 8`: that of the last map of a stage, where it is known."""
    shapes = [shape for slot, shape in study.slots.items() if slot.stage == stage]
    return " × ".join(map(str, shapes[-1])) if shapes else ""


def _label(stage: int, shape: str, top: float) -> Markup:
    return Markup('<text class="stage" x="0" y="{}">stage {}</text>').format(
        top + (HIGH / 2 - 0.5 if shape else HIGH / 2 + 3.5), stage
    ) + Markup('<text class="shape" x="0" y="{}">{}</text>').format(top + HIGH / 2 + 8.5, shape)


def _stage(
    stage: int,
    blocks: Mapping[int, Sequence[str]],
    top: float,
    places: dict[Slot, tuple[float, float, float]],
) -> float:
    """Gives the slots of a stage their places; returns where the next one begins."""
    cells = [cell for cell in CELLS if _wide(blocks.values(), cell) <= WIDTH - LABEL]
    cell = cells[0] if cells else CELLS[-1]
    left = LABEL
    for block, positions in blocks.items():
        width = cell * len(positions)
        if left + width > WIDTH and left > LABEL:
            left, top = LABEL, top + LINE
        for position in positions:
            places[Slot(stage, block, position)] = (left, top, cell)
            left += cell
        left += GAP
    return top + LINE + 3


def _wide(blocks: Iterable[Sequence[str]], cell: float) -> float:
    return sum(cell * len(positions) + GAP for positions in blocks) - GAP


def _ends(slot: Slot, outline: Outline) -> tuple[bool, bool]:
    positions = outline[slot.stage][slot.block]
    return slot.position == positions[0], slot.position == positions[-1]


def _cell(x: float, y: float, width: float, *, first: bool, last: bool) -> Markup:
    """An empty slot; those of a block lie side by side, and blocks are joined by a line."""
    joint = (
        Markup('<line class="wire" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            x + width, y + HIGH / 2, x + width + GAP, y + HIGH / 2
        )
        if last and x + width + GAP < WIDTH
        else Markup("")
    )
    begin = Markup('<line class="wire" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        x - GAP, y + HIGH / 2, x, y + HIGH / 2
    )
    return (
        (begin if first else Markup(""))
        + Markup('<rect class="slot" x="{}" y="{}" width="{}" height="{}"/>').format(
            x, y, width, HIGH
        )
        + joint
    )
