import dataclasses
import re

import pytest
from example_study import MIXED, OBJECTIVES, SPACE, architecture, trial
from large_study import SLOTS

from models.architecture import Slot
from reports.drawing import MOST_BLOCKS, WIDTH, backbone
from reports.facts import read_slots
from reports.study import Study


def study(*placements: str, slots: dict[str, list[int]] | None = None) -> Study:
    shown = trial(0, 0.9, placed=architecture(*placements))
    return Study("s", OBJECTIVES, (shown,), SPACE, slots=read_slots(slots or {}))


def test_the_noted_slots_are_drawn_and_only_these_placements_marked() -> None:
    drawn = backbone(study(slots=SLOTS))
    assert {str(slot) for slot in drawn.places} == set(SLOTS)
    assert drawn.symbol.count('class="slot"') == len(SLOTS)
    assert "64 × 8 × 8" in drawn.symbol
    shown = drawn.drawn(architecture("stage3.block2.before_add=se", "stage4.block1.after_block=gc"))
    assert shown.count('class="at ') == 2
    assert "stage3.block2.before_add=se; stage4.block1.after_block=gc" in shown


def test_without_notes_blocks_up_to_the_last_used_are_drawn() -> None:
    drawn = backbone(dataclasses.replace(study(), trials=(trial(0, 0.9, placed=MIXED),)))
    assert {slot.stage for slot in drawn.places} == {1, 2, 3, 4}
    assert {slot.block for slot in drawn.places if slot.stage == 4} == {1, 2}
    assert all(placement.slot in drawn.places for placement in MIXED.placements)


def test_an_empty_study_draws_nothing() -> None:
    drawn = backbone(Study("s", OBJECTIVES, (), SPACE))
    assert drawn.places == {}
    assert 'class="at' not in drawn.drawn(MIXED)


@pytest.mark.parametrize("blocks", [2, 6, 23, 60])
def test_all_lies_within_the_drawing(blocks: int) -> None:
    positions = ("after_conv1", "after_conv2", "before_add", "after_block")
    slots = {f"stage3.block{b}.{p}": [256, 8, 8] for b in range(1, blocks + 1) for p in positions}
    drawn = backbone(study(slots=slots))
    width, height = drawn.size
    assert width <= WIDTH + 2
    boxes = list(drawn.places.values())
    assert len({(x, y) for x, y, _ in boxes}) == len(slots)
    assert all(x + cell <= width and y < height for x, y, cell in boxes)


def test_a_study_that_claims_thousands_of_blocks_is_drawn_with_what_it_uses() -> None:
    drawn = backbone(study("stage999.block999.before_add=se", "stage1.block999.before_add=se"))
    assert len(drawn.places) <= MOST_BLOCKS


@pytest.mark.parametrize(
    "noted",
    [3, "x", [1], {"stage1": [1, 1, 1]}, {"stage1.block1.a": 3}, {"stage1.block1.a": [1, 1]},
     {"stage1.block1.a": [1, 1, "<b>"]}, {"stage1.block1.a": [1, 1, True]}],
)  # fmt: skip
def test_notes_that_are_none(noted: object) -> None:
    with pytest.raises(ValueError, match=r"slot|shape"):
        read_slots(noted)


def test_same_blocks_have_the_same_letter() -> None:
    drawn = backbone(study(slots=SLOTS))
    placed = architecture(*(f"stage{s}.block1.before_add=se(reduction=4)" for s in (1, 2)),
                          "stage3.block1.before_add=gc")  # fmt: skip
    assert [letter for letter, _ in drawn.lettered(placed)] == ["A", "A", "B"]
    assert re.findall(r"of-(\w+)", drawn.drawn(placed)) == ["blue", "blue", "orange"]
    assert Slot(1, 1, "before_add") in drawn.places
