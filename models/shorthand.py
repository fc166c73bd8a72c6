"""Several slots in one line: `stage3.every_second.after_block`, `all.last.before_add`.

A slot is a stage, a block and a position. For the number of the stage or of the block one may
write `all`, `last` or `every_second`: the first, the third, the fifth and so on. Blocks are
counted in their stage.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from models.architecture import Slot
from models.backbone import Plan
from models.errors import InputError
from models.options import did_you_mean

Word = Literal["all", "last", "every_second"]
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
    stage, stage_word, block, block_word, given = match.groups()
    position = plan.aliases.get(given, given)
    known = list(dict.fromkeys(slot.position for slot in plan.slots))
    if position not in known:
        hint = did_you_mean(position, known)
        raise InputError(f"{given!r} is no position of this backbone: {', '.join(known)}{hint}")
    at_position = [slot for slot in plan.slots if slot.position == position]
    stages = _numbers(stage, stage_word, (slot.stage for slot in at_position))
    found = []
    for number in stages:
        blocks = [slot for slot in at_position if slot.stage == number]
        wanted = _numbers(block, block_word, (slot.block for slot in blocks))
        found += [slot for slot in blocks if slot.block in wanted]
    if not found:
        near = did_you_mean(text, map(str, plan.slots))
        raise InputError(f"this backbone has no {text}{near}")
    return tuple(found)


def _numbers(number: str | None, word: str | None, existing: Iterable[int]) -> tuple[int, ...]:
    if number is not None:
        return (int(number),)
    known = sorted(set(existing))
    return next(selected(each, known) for each in WORDS if each == word)
