"""Backbones as text, from image to logits, with placements drawn where they sit."""

import itertools
from collections.abc import Iterator, Mapping

from models.architecture import Slot
from models.backbone import Part, Plan

_LINK = " ─ "


def draw(plan: Plan, image_size: int, marks: Mapping[Slot, str]) -> list[str]:
    """Lines, a part of the backbone each: title, output shape, layers; `marks` at their slots.

    Neighbours that look the same share a line.
    """
    image = Part("image", (3, image_size, image_size))
    rows = list(_merged((part, _layers(part, marks)) for part in (image, *plan.parts)))
    wide = max(len(title) for title, _, _ in rows)
    sizes = max(len(shape) for _, shape, _ in rows)
    return [f"  {t:<{wide}}  {shape:>{sizes}}  {layers}".rstrip() for t, shape, layers in rows]


def _layers(part: Part, marks: Mapping[Slot, str]) -> str:
    shown = [marks.get(s) if isinstance(s, Slot) else s for s in part.steps]
    return _LINK.join(step for step in shown if step)


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
            title = f"{title.replace('block', 'blocks')} to {last}"
        yield title, shape, layers


def _shape(part: Part) -> str:
    return " × ".join(f"{side:>3}" for side in part.shape)
