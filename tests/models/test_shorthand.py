"""Several slots in one line: each word, counted in its stage, and what is refused with a hint."""

import pytest

from models.architecture import Architecture, Backbone, Block, Placement, Slot
from models.backbone import Plan
from models.build import check, plan
from models.errors import InputError
from models.shorthand import WORDS, is_pattern, selected, slots_named
from models.written import Word


def planned(name: str, image_size: int = 32) -> Plan:
    return plan(Architecture(Backbone(name=name)), image_size)


def named(text: str, backbone: str = "resnet50") -> list[str]:
    size = 128 if backbone == "alexnet" else 32
    return [str(slot) for slot in slots_named(text, planned(backbone, size))]


@pytest.mark.parametrize(
    ("word", "numbers", "expected"),
    [
        ("all", (1, 2, 3), (1, 2, 3)),
        ("all", (), ()),
        ("last", (1, 2, 3), (3,)),
        ("last", (2,), (2,)),
        ("last", (), ()),
        ("every_second", (1, 2, 3, 4, 5, 6), (1, 3, 5)),
        ("every_second", (1, 2, 3), (1, 3)),
        ("every_second", (2, 3, 4), (2, 4)),
        ("every_second", (4,), (4,)),
        ("every_second", (), ()),
    ],
)
def test_words(word: Word, numbers: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert selected(word, numbers) == expected


def test_there_are_no_other_words() -> None:
    assert WORDS == ("all", "last", "every_second")


def test_a_slot_of_its_own() -> None:
    assert named("stage3.block6.after_conv2") == ["stage3.block6.after_conv2"]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        # ResNet-50 has 3, 4, 6 and 3 blocks.
        ("stage3.all.before_add", {3: (1, 2, 3, 4, 5, 6)}),
        ("stage3.last.before_add", {3: (6,)}),
        ("stage3.every_second.before_add", {3: (1, 3, 5)}),
        ("stage2.every_second.before_add", {2: (1, 3)}),
        ("all.block4.before_add", {2: (4,), 3: (4,)}),
        ("all.last.before_add", {1: (3,), 2: (4,), 3: (6,), 4: (3,)}),
        ("all.every_second.before_add", {1: (1, 3), 2: (1, 3), 3: (1, 3, 5), 4: (1, 3)}),
        ("last.last.before_add", {4: (3,)}),
        ("last.all.before_add", {4: (1, 2, 3)}),
        ("every_second.last.before_add", {1: (3,), 3: (6,)}),
        ("every_second.block2.before_add", {1: (2,), 3: (2,)}),
        ("every_second.every_second.before_add", {1: (1, 3), 3: (1, 3, 5)}),
    ],
)
def test_blocks_are_counted_in_their_stage(text: str, blocks: dict[int, tuple[int, ...]]) -> None:
    expected = [Slot(stage, b, "before_add") for stage, bs in blocks.items() for b in bs]
    assert named(text) == [str(slot) for slot in expected]


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34", "resnet50", "resnet101"])
@pytest.mark.parametrize("position", ["after_conv1", "before_add", "after_block"])
def test_all_of_a_position_in_the_order_data_pass(backbone: str, position: str) -> None:
    slots = planned(backbone).slots
    at_position = [str(slot) for slot in slots if slot.position == position]
    assert named(f"all.all.{position}", backbone) == at_position


@pytest.mark.parametrize(
    ("backbone", "alias", "found"),
    [
        ("resnet18", "after_conv2", "before_add"),
        ("resnet34", "after_conv2", "before_add"),
        ("resnet50", "after_conv3", "before_add"),
        ("resnet101", "after_conv3", "before_add"),
        ("resnet50", "after_conv2", "after_conv2"),  # a place of its own in a bottleneck
        ("alexnet", "after_conv2", "after_conv2"),
        ("alexnet", "after_conv3", "after_conv3"),
    ],
)
def test_aliases(backbone: str, alias: str, found: str) -> None:
    assert named(f"stage3.block1.{alias}", backbone) == [f"stage3.block1.{found}"]


def test_words_are_of_the_stages_and_blocks_that_have_the_position() -> None:
    """In AlexNet only the last stage has a second convolution."""
    for stage in ("all", "last", "every_second", "stage3"):
        assert named(f"{stage}.last.after_conv2", "alexnet") == ["stage3.block1.after_conv2"]
    assert named("every_second.all.after_conv1", "alexnet") == [
        "stage1.block1.after_conv1",
        "stage3.block1.after_conv1",
    ]


BASIC = "after_conv1, before_add (also called after_conv2), after_block"
BOTTLENECK = "after_conv1, after_conv2, before_add (also called after_conv3), after_block"
ALEXNET = "after_conv1, after_conv2, after_conv3, after_block"
ONE_CONVOLUTION = "after_conv1, after_block"


@pytest.mark.parametrize(
    ("backbone", "text", "there", "nearest"),
    [
        # Positions: those of that block, with their other names; of numbered ones the next number.
        ("resnet18", "stage2.block1.after_conv3", BASIC, "stage2.block1.before_add"),
        ("resnet18", "stage2.block1.after_conv9", BASIC, "stage2.block1.before_add"),
        ("resnet18", "stage2.block1.after_conv0", BASIC, "stage2.block1.after_conv1"),
        ("resnet18", "stage2.last.befor_add", BASIC, "stage2.last.before_add"),
        ("resnet18", "all.all.after_blok", BASIC, "all.all.after_block"),
        ("resnet18", "all.all.elsewhere", BASIC, None),
        ("resnet50", "stage1.block1.after_conv4", BOTTLENECK, "stage1.block1.before_add"),
        ("resnet50", "stage1.block1.befor_add", BOTTLENECK, "stage1.block1.before_add"),
        ("alexnet", "stage3.block1.after_conv4", ALEXNET, "stage3.block1.after_conv3"),
        ("alexnet", "stage3.block1.before_add", ALEXNET, None),
        ("alexnet", "stage2.block1.after_conv3", ONE_CONVOLUTION, "stage2.block1.after_conv1"),
        ("alexnet", "stage1.last.after_conv2", ONE_CONVOLUTION, "stage1.last.after_conv1"),
        # Stages and blocks: the next number, in that stage.
        ("resnet50", "stage5.block1.before_add", "stages 1 to 4", "stage4.block1.before_add"),
        ("resnet50", "stage9.last.before_add", "stages 1 to 4", "stage4.last.before_add"),
        ("resnet50", "stage9.block9.after_conv9", "stages 1 to 4", "stage4.block3.before_add"),
        ("resnet50", "stage1.block4.before_add", "blocks 1 to 3", "stage1.block3.before_add"),
        ("resnet50", "stage1.block4.after_conv3", "blocks 1 to 3", "stage1.block3.before_add"),
        ("resnet50", "last.block4.before_add", "blocks 1 to 3", "last.block3.before_add"),
        ("resnet50", "all.block7.before_add", "blocks 1 to 6", "all.block6.before_add"),
        ("alexnet", "stage2.block2.after_conv1", "only block1", "stage2.block1.after_conv1"),
        ("alexnet", "stage4.block1.before_add", "stages 1 to 3", None),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    backbone: str, text: str, there: str, nearest: str | None
) -> None:
    with pytest.raises(InputError) as caught:
        named(text, backbone)
    message, _, hint = str(caught.value).partition("; ")
    assert message.startswith("there is no ")
    assert message.endswith(f": {there}")
    assert hint == (f'did you mean "{nearest}"?' if nearest else "")
    if nearest:
        assert named(nearest, backbone)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage5.last.before_add", "there is no stage5 in this backbone: "),
        ("all.block7.before_add", "there is no block7 in this backbone: "),
        ("stage1.block4.before_add", "there is no block4 in stage1: "),
        ("last.block4.before_add", "there is no block4 in last: "),
        ("stage1.block1.elsewhere", "there is no position 'elsewhere' in stage1.block1: "),
        ("every_second.all.elsewhere", "there is no position 'elsewhere' in every_second.all: "),
        ("all.all.elsewhere", "there is no position 'elsewhere' in this backbone: "),
    ],
)
def test_where_it_is_missing_is_said(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        named(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("slot", "message"),
    [
        (Slot(2, 1, "after_conv3"), '; did you mean "stage2.block1.before_add"?'),
        (Slot(2, 1, "elsewhere"), f": there is no position 'elsewhere' in stage2.block1: {BASIC}"),
        (Slot(9, 1, "before_add"), '; did you mean "stage4.block1.before_add"?'),
        (Slot(0, -1, "Before add"), '; did you mean "stage1.block1.before_add"?'),
    ],
)
def test_an_architecture_with_such_a_slot_is_refused_likewise(slot: Slot, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check(Architecture(Backbone(), (Placement(slot, Block("simam")),)), 32)
    assert str(caught.value) == f"resnet18 has no slot {slot}{message}"


def test_patterns_have_a_word_for_the_stage_or_the_block() -> None:
    for text in ("all.block1.before_add", "stage1.last.before_add", "last.last.after_block"):
        assert is_pattern(text)
    assert not is_pattern("stage1.block1.before_add")
    assert not is_pattern("stage1.block1.all"), "a position that is called so"


@pytest.mark.parametrize(
    "text",
    [
        "", "here", "stage1", "stage1.block1", "before_add", "stage1.before_add",
        "stage0.block1.before_add", "stage1.block0.before_add", "stage01.block1.before_add",
        "stage1000.block1.before_add", "stage-1.block1.before_add", "1.1.before_add",
        "Stage1.block1.before_add", "ALL.all.before_add", "evry_second.all.before_add",
        "every second.all.before_add", "all.all.all.before_add", "stage1.block1.before_add.more",
        "first.all.before_add", "stageall.block1.before_add", "stage1.all.",
        "stage1.all.Before_add",
        " all.all.before_add", "all.all.before_add ", "all.all.before_add\n", "all,last.before_add",
        "*.*.before_add", "stage[1-3].block1.before_add", "stage٣.block1.before_add",
        "stage1.block1." + "a" * 33,
    ],
)  # fmt: skip
def test_texts_that_name_nothing(text: str) -> None:
    with pytest.raises(InputError) as caught:
        named(text)
    assert repr(text) in str(caught.value)
    assert "write stage3.block2.before_add, or all, last or every_second" in str(caught.value)
