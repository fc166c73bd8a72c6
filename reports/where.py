"""Where attention helps: what each kind of attention is worth in each place, as a map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.palette import STRENGTHS
from reports.wording import code_cell, points
from reports.worth import worth
from search.effects import FEWEST, Effect

FEWEST_OF_A_CELL = 3  # trained candidates, before their number is more than an accident
FULL = 0.02  # a gain, as a fraction, from which on a cell has its strongest colour
TITLE = "By place and block"
ANYWHERE, ANY = "anywhere", "any"


@dataclass(frozen=True)
class Cell:
    """What one kind of attention is worth in one place; None where none was tried there."""

    effect: Effect | None

    @property
    def few(self) -> bool:
        """Whether too few were trained for a number to be shown."""
        return self.effect is not None and self.effect.trials < FEWEST_OF_A_CELL

    @property
    def settled(self) -> bool:
        """Whether the interval leaves no doubt whether it is a gain or a loss."""
        if self.effect is None or self.few:
            return False
        return self.effect.by_model.low > 0 or self.effect.by_model.high < 0

    @property
    def strength(self) -> int:
        """Of its colour: positive for gains, negative for losses, 0 where nothing is settled."""
        if self.effect is None or not self.settled:
            return 0
        gain = self.effect.by_model.value
        level = min(len(STRENGTHS), 1 + int(len(STRENGTHS) * abs(gain) / FULL))
        return level if gain > 0 else -level

    @property
    def gain(self) -> str:
        """The gain in points, or why there is none."""
        if self.effect is None:
            return "—"
        return "too few" if self.few else points(self.effect.by_model.value)

    @property
    def interval(self) -> str:
        """From where to where, and of how many candidates."""
        if self.effect is None:
            return ""
        trials = f"n = {self.effect.trials}"
        if self.few:
            return trials
        gain = self.effect.by_model
        return f"{points(gain.low)} to {points(gain.high)}, {trials}"


@dataclass(frozen=True)
class Map:
    """Rows are places, with `anywhere` first; columns kinds of attention, with `any` first."""

    blocks: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def where(effects: Sequence[Effect]) -> Map | None:
    """The map; None where there are no effects."""
    if not effects:
        return None
    found = {(effect.kind, effect.value): effect for effect in effects}
    blocks = [effect.value for effect in effects if effect.kind == "type"]
    places = sorted(effect.value for effect in effects if effect.kind == "stage, position")
    top = [Cell(None), *(Cell(found.get(("type", block))) for block in blocks)]
    rows = [(ANYWHERE, tuple(top)), *((place, _row(found, place, blocks)) for place in places)]
    return Map((ANY, *blocks), tuple(rows))


def _row(
    found: Mapping[tuple[str, str], Effect], place: str, blocks: Sequence[str]
) -> tuple[Cell, ...]:
    inner = (found.get(("type, stage, position", f"{block}, {place}")) for block in blocks)
    return (Cell(found.get(("stage, position", place))), *map(Cell, inner))


HOW_TO_READ = (
    "The same for each block in each place, with the number `n` of trained candidates that had it "
    "there. Only cells whose interval leaves no doubt about the sign stand out; with fewer than "
    f"{FEWEST_OF_A_CELL} candidates no number is shown. One interval in twenty misses, and a map "
    "has many."
)

TOO_FEW = (
    f"Fewer than {FEWEST} candidates with attention have been trained to the end: too few to say "
    "what a block or a place is worth."
)


def where_lines(effects: Sequence[Effect]) -> list[str]:
    """What blocks and places are worth, each alone and then together, in Markdown."""
    found = where(effects)
    if found is None:
        return [TOO_FEW]
    return [*worth(effects), "", f"### {TITLE}", "", HOW_TO_READ, "", *_table(found)]


def _table(found: Map) -> list[str]:
    head = " | ".join(code_cell(block) for block in found.blocks)
    return [
        f"| place | {head} |",
        f"|---|{'---:|' * len(found.blocks)}",
        *(f"| {place} | {' | '.join(map(_text, cells))} |" for place, cells in found.rows),
    ]


def _text(cell: Cell) -> str:
    text = f"{cell.gain} ({cell.interval})" if cell.interval else cell.gain
    return f"**{text}**" if cell.settled else text
