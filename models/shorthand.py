"""Several slots in one line: `stage3.every_second.after_block`, `all.last.before_add`.

A slot is a stage, a block and a position. For the number of the stage or of the block one may
write `all`, `last` or `every_second`: the first, the third, the fifth and so on. Blocks are
counted in their stage.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

from models.architecture import Slot
from models.backbone import Plan
from models.errors import InputError
from models.written import Word

WORDS: tuple[Word, ...] = ("all", "last", "every_second")

_PATTERN = re.compile(
    r"(?:stage([1-9][0-9]{0,2})|(all|last|every_second))"
    r"\.(?:block([1-9][0-9]{0,2})|(all|last|every_second))"
    r"\.([a-z][a-z0-9_]{0,31})"
)


def selected(word: Word, numbers: Sequence[int]) -> tuple[int, ...]:
    """Which of the ascending `numbers` a word means."""
    by_word = {"all": numbers, "last": numbers[-1:], "every_second": numbers[::2]}
    return tuple(by_word[word])


def is_pattern(text: str) -> bool:
    """Whether a word stands for the stage or for the block in a text that names slots."""
    return any(part in WORDS for part in text.split(".")[:2])


def slots_named(text: str, plan: Plan) -> tuple[Slot, ...]:
    """The slots of a backbone that `text` names, in the order data pass them.

    A position may go by its alias. Raises InputError, with what there is instead, for a text that
    is no name of slots or names none.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise InputError(
            f"{text!r} names no slot; write stage3.block2.before_add, or all, last or every_second"
            " for a stage or block"
        )
    stage, block, given = match[1] or match[2], match[3] or match[4], match[5]
    position = plan.aliases.get(given, given)
    at_position = [slot for slot in plan.slots if slot.position == position]
    found = []
    for number in _numbers(stage, (slot.stage for slot in at_position)):
        blocks = [slot for slot in at_position if slot.stage == number]
        wanted = _numbers(block, (slot.block for slot in blocks))
        found += [slot for slot in blocks if slot.block in wanted]
    if not found:
        missing, hint = what_there_is(stage, block, given, plan)
        raise InputError(f"there is {missing}{hint}")
    return tuple(found)


def what_there_is(stage: str, block: str, position: str, plan: Plan) -> tuple[str, str]:
    """For slots that do not exist: what is missing, and a question for the nearest that do.

    As `no block3 in stage1: blocks 1 to 2` and `; did you mean "stage1.block2.before_add"?`, or
    nothing where no position is near. `stage` and `block` are numbers or words.
    """
    here, missing = tuple(plan.slots), ""
    nearest: list[str] = []
    for kind, written in (("stage", stage), ("block", block)):
        known = sorted({getattr(slot, kind) for slot in here})
        wanted = _numbers(written, known)
        if not set(wanted) & set(known):
            missing = missing or f"no {kind}{written} in {_where(nearest)}: {_range(kind, known)}"
            wanted = (min(known, key=lambda number: abs(number - int(written))),)
        here = tuple(slot for slot in here if getattr(slot, kind) in wanted)
        nearest.append(written if written in WORDS else f"{kind}{wanted[0]}")
    listed = position_list(here, plan)
    missing = missing or f"no position {position!r} in {_where(nearest)}: {listed}"
    near = nearest_position(position, here, plan)
    return missing, f'; did you mean "{".".join((*nearest, near))}"?' if near else ""


def position_list(slots: Iterable[Slot], plan: Plan) -> str:
    """The positions among `slots`, each with its other names, in the order data pass them."""
    texts = []
    for position in _positions(slots):
        aliases = [alias for alias, meant in plan.aliases.items() if meant == position]
        called = f" (also called {', '.join(aliases)})" if aliases else ""
        texts.append(f"{position}{called}")
    return ", ".join(texts)


def nearest_position(given: str, slots: Iterable[Slot], plan: Plan) -> str | None:
    """The position among `slots` whose name, or other name, is nearest to `given`.

    `after_conv3` is nearer to `after_conv2` than to `after_conv1`. None if no name is near.
    """
    known = {position: position for position in _positions(slots)}
    known |= {alias: meant for alias, meant in plan.aliases.items() if meant in known}
    stem = given.rstrip("0123456789")
    numbers = {name: name.removeprefix(stem) for name in known if name.startswith(stem)}
    numbered = [name for name, number in numbers.items() if number.isdecimal()]
    if stem != given and numbered:
        return known[min(numbered, key=lambda name: _distance(given, name, stem))]
    near = difflib.get_close_matches(given.lower(), list(known), n=1, cutoff=0.6)
    return known[near[0]] if near else None


def _distance(one: str, other: str, stem: str) -> int:
    first, second = (int(name.removeprefix(stem)[:9]) for name in (one, other))  # of any length
    return abs(first - second)


def _positions(slots: Iterable[Slot]) -> list[str]:
    # From the end, as no block has more positions than the last one.
    return list(dict.fromkeys(slot.position for slot in reversed(tuple(slots))))[::-1]


def _where(parts: Sequence[str]) -> str:
    return "this backbone" if set(parts) <= {"all"} else ".".join(parts)


def _range(kind: str, numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    return f"only {kind}{first}" if first == last else f"{kind}s {first} to {last}"


def _numbers(written: str, existing: Iterable[int]) -> tuple[int, ...]:
    """The numbers that a number or a word means."""
    known = sorted(set(existing))
    meant = [selected(word, known) for word in WORDS if word == written]
    return meant[0] if meant else (int(written),)
