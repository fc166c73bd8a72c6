"""Backbones as text, from image to logits, with placements drawn where they sit."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping

from models.architecture import Slot
from models.backbone import Part, Plan

COLUMNS = 80
_LINK, _RELU = "─", "→"
_LEGEND = {
    _RELU: "a ReLU",
    "add x": "the shortcut is the block's input",
    "add 1×1": "the shortcut is a 1×1 convolution",
    "add 1×1/2": "the shortcut is a 1×1 convolution of stride 2",
}


def draw(plan: Plan, image_size: int, marks: Mapping[Slot, str]) -> list[str]:
    """Lines, a part of the backbone each: title, output shape, layers; `marks` at their slots.

    Neighbours that look the same share a line, and what is too long for `COLUMNS` goes on in the
    next. Behind an empty line follows what the signs mean. ReLUs lie between two convolutions of a
    part and before a rectified slot; a shortcut is a convolution where a part's shape changes.
    """
    image = Part("image", (3, image_size, image_size))
    pairs = itertools.pairwise((image, image, *plan.parts))
    rows = list(_merged((part, _layers(plan, before, part, marks)) for before, part in pairs))
    wide = max(len(title) for title, _, _ in rows)
    sizes = max(len(shape) for _, shape, _ in rows)
    indent = 2 + wide + 2 + sizes + 2
    lines = []
    for title, shape, layers in rows:
        first, *more = _wrapped(layers, COLUMNS - indent)
        lines.append(f"  {title:<{wide}}  {shape:>{sizes}}  {first}".rstrip())
        lines += [" " * indent + rest for rest in more]
    return [*lines, *_legend(layers for _, _, layers in rows)]


def _layers(plan: Plan, before: Part, part: Part, marks: Mapping[Slot, str]) -> str:
    text, relu = "", False
    for step in part.steps:
        if isinstance(step, Slot):
            relu = relu or plan.slots[step].rectified
            shown = marks.get(step)
        else:
            relu = relu or (step.startswith("conv") and "conv" in text)
            shown = f"add {_shortcut(before, part)}" if step == "add" else step
        if shown:
            text += f" {_RELU if relu else _LINK} {shown}" if text else shown
            relu = False
    return f"{text} {_RELU}" if relu else text


def _shortcut(before: Part, part: Part) -> str:
    if before.shape == part.shape:
        return "x"
    return "1×1" if before.shape[1:] == part.shape[1:] else "1×1/2"


def _wrapped(layers: str, columns: int) -> list[str]:
    lines = [""]
    for piece in re.split(f" (?=[{_LINK}{_RELU}] )", layers):
        if lines[-1] and len(lines[-1]) + 1 + len(piece) > columns:
            lines.append("")
        lines[-1] = f"{lines[-1]} {piece}".strip()
    return lines


def _legend(rows: Iterable[str]) -> Iterator[str]:
    """What the signs in `rows` mean, behind an empty line."""
    steps = {step for layers in rows for step in re.split(f" ?({_LINK}|{_RELU}) ?", layers)}
    known = {sign: meaning for sign, meaning in _LEGEND.items() if sign in steps}
    if known:
        yield ""
    wide = max(map(len, known), default=0)
    for sign, meaning in known.items():
        yield f"  {sign:<{wide}}  {meaning}"


def _merged(rows: Iterator[tuple[Part, str]]) -> Iterator[tuple[str, str, str]]:
    """Title, shape and layers of each line; blocks of one stage that are alike become one."""

    def alike(row: tuple[int, tuple[Part, str]]) -> tuple[str | int, str, str]:
        number, (part, layers) = row
        stage, comma, _ = part.title.partition(", block ")
        return (stage if comma else number), _shape(part), layers

    for (_, shape, layers), group in itertools.groupby(enumerate(rows), alike):
        parts = [part for _, (part, _) in group]
        title = parts[0].title
        if len(parts) > 1:
            last = parts[-1].title.rsplit(" ", 1)[-1]
            title = f"{title.replace('block', 'blocks')}–{last}"
        yield title, shape, layers


def _shape(part: Part) -> str:
    return " × ".join(f"{side:>2}" for side in part.shape)
