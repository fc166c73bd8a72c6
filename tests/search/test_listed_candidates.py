"""Space files that list candidates: beside what is sampled, and in its place."""

from collections.abc import Callable

import pytest
from simulated import SPACE, TINY, make_space

from models.architecture import Architecture, Placement, Slot
from models.attention import make_block
from models.errors import InputError
from search.candidates import count_architectures, every_architecture
from search.space import Space

HEAD = "backbone: {width: 0.0625}\ndata: {image_size: 8}\ntraining: {epochs: 3}\n"
WITHOUT_TRIALS = SPACE.replace("trials: 8, ", "")
ONLY = f"""{HEAD}
candidates:
  early: {{stage1.last.before_add: {{se: {{reduction: 2}}}}}}
  everywhere: {{all.all.before_add: {{se: {{reduction: 2}}}}}}
  gc: {{stage2.block1.after_block: {{gc: {{ratio: 0.5}}}}}}
"""


def listing(*lines: str, text: str = SPACE) -> str:
    """`text` with these candidates."""
    return text + "candidates:\n" + "".join(f"  {line}\n" for line in lines)


def with_se(space: Space, slot: str, reduction: int = 2) -> Architecture:
    block = make_block("se", {"reduction": reduction})
    return Architecture(space.file.backbone, (Placement(Slot.parse(slot), block),))


def test_candidates_beside_a_placement() -> None:
    text = listing("mine: {stage1.block1.before_add: {se: {reduction: 2}}}", "plain: {}")
    space = make_space(text=text)
    assert dict(space.candidates) == {
        "mine": with_se(space, "stage1.block1.before_add"),
        "plain": space.baseline,
    }
    assert space.slots == make_space().slots, "what is listed adds nothing to what is sampled"
    assert space.at_most == 2
    assert space.trials == 8


def test_candidates_instead_of_a_placement() -> None:
    space = make_space(text=ONLY)
    assert (space.slots, dict(space.choices_at), space.at_most) == ((), {}, 0)
    assert {name: len(each.placements) for name, each in space.candidates.items()} == {
        "early": 1,
        "everywhere": 8,
        "gc": 1,
    }
    assert space.trials == 2 + 3
    assert list(every_architecture(space)) == [space.baseline]
    assert make_space(text=ONLY + "placement:\n").candidates == space.candidates


LATE = "a: {last.last.before_add: {se: {reduction: 2}}}"
ALEXNET = "backbone: {name: alexnet}\ndata: {image_size: 128}\n"


@pytest.mark.parametrize(
    ("text", "slot"),
    [
        # Nothing is sampled: the backbone's last slot, whatever is listed.
        (ONLY, "stage4.block2.after_block"),
        (listing("plain: {}", text=HEAD), "stage4.block2.after_block"),
        (listing("a: {stage2.block1.after_block: {se: {reduction: 2}}}", text=HEAD),
         "stage4.block2.after_block"),
        (listing(LATE, text=HEAD), "stage4.block2.after_block"),
        (listing("a: {stage1.block1.before_add: residual}", text=HEAD),
         "stage4.block2.after_block"),
        (listing("a: {stage1.block1.after_block: eca}", text=ALEXNET), "stage3.block1.after_block"),
        # With `placement`: the last slot that it allows and that can hold a block.
        (listing("a: {stage1.block1.before_add: {se: {reduction: 2}}}"),
         "stage4.block2.after_block"),
        (listing(LATE, text=SPACE.replace("[3, 4]", "[2, 3]")), "stage3.block2.after_block"),
        (listing(LATE, text="placement: {positions: [after_conv1], attention: {eca: {}}}\n"),
         "stage4.block2.after_conv1"),
        (listing("a: {last.last.after_block: eca}",
                 text="placement: {stages: [2], attention: {bridge: {}}}\n"),
         "stage2.block2.before_add"),
        # Given, by its own name, by an alias or by a pattern, be it among the allowed or not.
        (listing(LATE, text=HEAD + "search: {control_slot: stage1.block1.after_conv1}\n"),
         "stage1.block1.after_conv1"),
        (listing(LATE, text=HEAD + "search: {control_slot: stage2.block1.after_conv2}\n"),
         "stage2.block1.before_add"),
        (listing(LATE, text=SPACE.replace("trials: 8", "control_slot: stage1.last.after_conv2")),
         "stage1.block2.before_add"),
        (listing(LATE, text=SPACE.replace("trials: 8", "control_slot: last.last.before_add")),
         "stage4.block2.before_add"),
        (listing("plain: {}", text=ALEXNET + "search: {control_slot: last.all.after_conv3}\n"),
         "stage3.block1.after_conv3"),
    ],
)  # fmt: skip
def test_where_the_control_sits(text: str, slot: str) -> None:
    space = make_space(text=text)
    assert str(space.control_slot) == slot
    (placement,) = space.control.placements
    assert str(placement) == f"{slot}=residual"


@pytest.mark.parametrize("text", [HEAD, SPACE, SPACE.replace("[3, 4]", "[2]")])
def test_the_control_does_not_move_when_more_is_listed(text: str) -> None:
    slots = {make_space(text=listing(*many(count), text=text)).control_slot for count in (1, 24)}
    late = listing(*many(1), "late: {last.last.after_block: residual}", text=text)
    slots.add(make_space(text=late).control_slot)
    assert len(slots) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("all.last.before_add", "'all.last.before_add' names 4 slots; the control sits in one"),
        ("last.all.after_conv2", "'last.all.after_conv2' names 2 slots; the control sits in one"),
        ("here", "'here' names no slot; write stage3.block2.before_add, or "),
        ("stage1.block1.after_conv3", "there is no position 'after_conv3' in stage1.block1: "),
        ("stage4.last.befor_add", "there is no position 'befor_add' in stage4.last: "),
        ("stage5.last.before_add", "there is no stage5 in this backbone: "),
        ("", "'' names no slot; "),
    ],
)
@pytest.mark.parametrize("text", [SPACE, ONLY], ids=["sampled", "listed"])
def test_control_slots_that_are_refused(text: str, given: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_space(f"search.control_slot='{given}'", text=text)
    place = f"-o search.control_slot='{given}': search.control_slot: "
    assert str(caught.value).startswith(place + message)
    assert "\n" not in str(caught.value)


def many(count: int) -> list[str]:
    """That many different candidates, each of one placement."""
    slots = [f"stage{s}.block{b}.{p}" for s in (1, 2, 3, 4) for b in (1, 2)
             for p in ("after_conv1", "before_add", "after_block")]  # fmt: skip
    pairs = [(slot, reduction) for reduction in (1, 2, 4) for slot in slots][:count]
    assert len(pairs) == count
    return [f"c{n}: {{{slot}: {{se: {{reduction: {r}}}}}}}" for n, (slot, r) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("text", "trials"),
    [
        (listing(*many(3), text=HEAD), 2 + 3),
        (listing(*many(60), text=HEAD), 2 + 60),
        (listing("plain: {}", text=HEAD), 2),
        (listing("plain: {}", "control: {last.last.after_block: residual}", text=HEAD), 2),
        (listing("a: {stage1.block1.before_add: residual}", text=HEAD), 2 + 1),
        (
            listing(
                "a: {stage1.block1.before_add: residual}",
                text=HEAD + "search: {control_slot: stage1.block1.before_add}\n",
            ),
            2,
        ),
        (listing("a: {stage1.all.before_add: residual}", text=HEAD), 2 + 1),
        # Beside `placement`: fifty, or as many as are listed.
        (listing(*many(3), text=WITHOUT_TRIALS), 50),
        (listing(*many(48), text=WITHOUT_TRIALS), 50),
        (listing(*many(49), text=WITHOUT_TRIALS), 51),
        (listing(*many(60), "plain: {}", text=WITHOUT_TRIALS), 62),
        # What is given counts, be it less than what is listed.
        (listing(*many(20)), 8),
        (listing(*many(20), text=HEAD + "search: {trials: 1}\n"), 1),
        (listing(*many(3), text=HEAD + "search: {trials: 99}\n"), 99),
    ],
)
def test_how_many_trials_there_are(text: str, trials: int) -> None:
    assert make_space(text=text).trials == trials


@pytest.mark.parametrize(
    ("text", "trials", "left_out"),
    [
        (listing(*many(3), text=HEAD), None, ()),
        (listing(*many(3), text=HEAD), 5, ()),
        (listing(*many(3), text=HEAD), 4, ("c2",)),
        (listing(*many(3), text=HEAD), 1, ("c0", "c1", "c2")),
        (listing(*many(3)), 4, ("c2",)),
        # The baseline and the control are tried first, and only once, where they are listed too.
        (listing("plain: {}", *many(2), text=HEAD), 3, ("c1",)),
        (listing(*many(2), "depth: {last.last.after_block: residual}", text=HEAD), 3, ("c1",)),
    ],
)
def test_candidates_that_search_trials_leaves_out_are_warned_of(
    load: Callable[..., Space], text: str, trials: int | None, left_out: tuple[str, ...]
) -> None:
    space = load(text, *([] if trials is None else [f"search.trials={trials}"]))
    assert space.left_out == left_out
    if not left_out:
        assert space.warnings == ()
        return
    listed = len(space.candidates)
    assert space.warnings == (
        f"-o search.trials={trials}: search.trials: {trials} leaves {len(left_out)} of "
        f"{listed} listed candidates untrained ({', '.join(left_out)}); "
        f"set {len(space.fixed)} or more, or leave it out",
    )
    enough = load(text, f"search.trials={len(space.fixed)}")
    assert enough.left_out == ()


def test_the_warning_of_a_file_names_its_line(load: Callable[..., Space]) -> None:
    space = load(listing(*many(2), text=HEAD + "search: {trials: 3}\n"))
    assert space.warnings[0].startswith(f"{space.source}:4: search.trials: 3 leaves")
    space = load(listing(*many(6), text=HEAD + "search: {trials: 3}\n"))
    assert " leaves 5 of 6 listed candidates untrained (c1, c2, c3, …); " in space.warnings[0]


def test_what_the_sampler_could_choose() -> None:
    space = make_space()
    inside = with_se(space, "stage4.block2.before_add")
    assert space.contains(inside)
    assert space.contains(space.baseline)
    assert all(space.contains(architecture) for architecture in every_architecture(space))
    assert not space.contains(with_se(space, "stage4.block1.before_add")), "another slot"
    assert not space.contains(with_se(space, "stage4.block2.before_add", 8)), "another option"
    assert not space.contains(space.control), "another block"
    three = (*inside.placements, *with_se(space, "stage3.block2.before_add").placements,
             *with_se(space, "stage3.block2.after_block").placements)  # fmt: skip
    assert space.contains(Architecture(space.file.backbone, three[:2]))
    assert not space.contains(Architecture(space.file.backbone, three)), "more than at_most"


@pytest.mark.parametrize(
    ("lines", "overrides", "count"),
    [
        # TINY: the plain backbone, and two slots with two blocks, one placement at most.
        ((), TINY, 5),
        (("plain: {}",), TINY, 5),
        (("in: {stage3.block2.before_add: {se: {reduction: 4}}}",), TINY, 5),
        (("out: {stage3.block2.before_add: {se: {reduction: 8}}}",), TINY, 6),
        (("out: {stage1.block1.before_add: {se: {reduction: 4}}}",), TINY, 6),
        (
            (
                "in: {stage4.block2.after_conv2: {se: {reduction: 2}}}",
                "both: {all.block2.before_add: {se: {reduction: 4}}}",
                "two: {stage3.block2.before_add: {se: {reduction: 4}}, "
                "stage4.block2.before_add: {se: {reduction: 4}}}",
            ),
            TINY,
            7,
        ),
    ],
)
def test_the_count_with_candidates_in_and_outside_of_what_is_sampled(
    lines: tuple[str, ...], overrides: tuple[str, ...], count: int
) -> None:
    space = make_space(*overrides, text=listing(*lines) if lines else SPACE)
    assert count_architectures(space) == count
    assert len({*every_architecture(space), *space.candidates.values()}) == count


def test_the_count_where_nothing_is_sampled() -> None:
    assert count_architectures(make_space(text=ONLY)) == 1 + 3
    text = listing("plain: {}", "control: {last.last.after_block: residual}", text=HEAD)
    assert count_architectures(make_space(text=text)) == 1 + 1


def test_candidates_may_be_listed_as_one_goes(load: Callable[..., Space]) -> None:
    before, after = load(listing(*many(1))), load(listing(*many(2)))
    assert before.file.fingerprint == after.file.fingerprint == load(SPACE).file.fingerprint
    assert load(ONLY).file.fingerprint != load(SPACE).file.fingerprint


def test_candidates_from_the_command_line(load: Callable[..., Space]) -> None:
    space = load(SPACE, "candidates={mine: {stage1.block1.before_add: {se: {reduction: 2}}}}")
    assert list(space.candidates) == ["mine"]
    wrong = "candidates={mine: {here: se}}"
    with pytest.raises(InputError) as caught:
        load(SPACE, wrong)
    assert str(caught.value).startswith(f"-o {wrong}: candidates.mine.here: 'here' names no slot")


# A placement by words of `models.shorthand`.


def allowed(*lines: str, backbone: str = "name: resnet50", size: int = 32) -> dict[int, list[int]]:
    """The blocks of each stage that the lines of `placement` allow."""
    rules = "".join(f"  {line}\n" for line in lines)
    text = f"backbone: {{{backbone}}}\ndata: {{image_size: {size}}}\nplacement:\n"
    space = make_space(text=f"{text}  attention: {{eca: {{}}}}\n{rules}")
    found: dict[int, list[int]] = {}
    for slot in space.slots:
        blocks = found.setdefault(slot.stage, [])
        if slot.block not in blocks:
            blocks.append(slot.block)
    return found


EVERY = {1: [1, 2, 3], 2: [1, 2, 3, 4], 3: [1, 2, 3, 4, 5, 6], 4: [1, 2, 3]}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), EVERY),
        (("stages: all", "blocks: all"), EVERY),
        (("stages: last",), {4: [1, 2, 3]}),
        (("stages: every_second",), {1: EVERY[1], 3: EVERY[3]}),
        (("blocks: last",), {1: [3], 2: [4], 3: [6], 4: [3]}),
        (("blocks: every_second",), {1: [1, 3], 2: [1, 3], 3: [1, 3, 5], 4: [1, 3]}),
        (("stages: [2, 3]", "blocks: last"), {2: [4], 3: [6]}),
        (("stages: last", "blocks: [2]"), {4: [2]}),
        (("stages: every_second", "blocks: every_second"), {1: [1, 3], 3: [1, 3, 5]}),
        (("stages: last", "blocks: last", "positions: [after_conv3]"), {4: [3]}),
        (("blocks: [4, 6]",), {2: [4], 3: [4, 6]}),
    ],
)
def test_words_for_stages_and_blocks(
    lines: tuple[str, ...], expected: dict[int, list[int]]
) -> None:
    assert allowed(*lines) == expected


def test_words_for_the_stages_of_alexnet() -> None:
    alexnet = {"backbone": "name: alexnet", "size": 128}
    assert allowed("stages: every_second", **alexnet) == {1: [1], 3: [1]}
    assert allowed("stages: last", "blocks: last", **alexnet) == {3: [1]}
    assert allowed("positions: [after_conv2]", **alexnet) == {3: [1]}


def test_words_are_other_spaces_than_the_numbers_they_mean() -> None:
    """A study of the one is not continued by the other, though the slots are the same."""
    words, numbers = make_space("placement.stages=last"), make_space("placement.stages=[4]")
    assert words.slots == numbers.slots
    assert words.file.fingerprint["placement"]["stages"] == "last"
    assert words.file.fingerprint != numbers.file.fingerprint


def test_positions_may_go_by_their_alias() -> None:
    alias = make_space("placement.positions=[after_conv2, after_block]")
    assert alias.slots == make_space("placement.positions=[before_add, after_block]").slots
    both = make_space("placement.positions=[after_conv2, before_add]")
    assert both.slots == make_space("placement.positions=[before_add]").slots


def test_the_control_slot_may_go_by_its_alias() -> None:
    space = make_space("search.control_slot=stage4.block2.after_conv2")
    assert str(space.control_slot) == "stage4.block2.before_add"


BRIDGE_NOWHERE = "placement:\n  attention: {{bridge: {{}}}}\n  positions: {positions}\n"


@pytest.mark.parametrize("positions", ["[after_conv1]", "[after_conv1, after_block]"])
@pytest.mark.parametrize(
    ("head", "line", "allow"),
    [
        (ALEXNET, 4, "after_conv2 or after_conv3"),
        ("", 2, "before_add"),
        ("backbone: {name: resnet50}\n", 3, "after_conv2 or before_add"),
    ],
    ids=["alexnet", "resnet18", "resnet50"],
)
def test_where_bridge_attention_can_sit_is_said_for_any_backbone(
    head: str, line: int, allow: str, positions: str
) -> None:
    with pytest.raises(InputError) as caught:
        make_space(text=head + BRIDGE_NOWHERE.format(positions=positions))
    assert str(caught.value) == (
        f"space.yaml:{line}: placement.attention.bridge: cannot sit in any allowed slot: it reads "
        f"earlier feature maps of the same block; allow {allow}"
    )
    for position in allow.split(" or "):
        space = make_space(text=head + BRIDGE_NOWHERE.format(positions=f"[{position}]"))
        assert {slot.position for slot in space.slots} == {position}


@pytest.mark.parametrize(
    ("head", "rules", "allow"),
    [
        # In AlexNet only the last stage has a second convolution.
        (ALEXNET, "stages: [1, 2]", "the allowed stages and blocks have none; allow stage 3 with "
         "after_conv2 or after_conv3"),
        (ALEXNET, "stages: [2, 3], positions: [after_block]", "allow after_conv2 or after_conv3"),
        ("", "stages: [2], blocks: last, positions: [after_block]", "allow before_add"),
    ],
)  # fmt: skip
def test_what_is_advised_for_bridge_attention_is_within_the_allowed_stages(
    head: str, rules: str, allow: str
) -> None:
    with pytest.raises(InputError) as caught:
        make_space(text=f"{head}placement: {{attention: {{bridge: {{}}}}, {rules}}}\n")
    assert str(caught.value).endswith(f" of the same block; {allow}")
