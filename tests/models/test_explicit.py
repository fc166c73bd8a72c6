"""Architectures that are written out: what they mean, and what is refused at which line."""

from collections.abc import Callable
from typing import Any

import pytest

from models import build
from models.architecture import Architecture, Backbone
from models.attention import block_class
from models.backbones import backbone_class, backbone_names
from models.errors import InputError
from models.explicit import read_architecture, read_candidates
from models.sections import Section
from models.written import Candidates
from models.yaml_input import parse_yaml, validate

ALEXNET = "backbone: {name: alexnet}\nimage_size: 128\n"


class CandidatesFile(Section):
    candidates: Candidates


def read(placements: str, head: str = "") -> Architecture:
    """The architecture of a file of `head` and the lines of `placements`, which begin in line 2."""
    lines = "".join(f"  {line}\n" for line in placements.splitlines())
    document = parse_yaml(f"placements:\n{lines}{head}", "mine.yaml")
    return read_architecture(document)[0]


def placed(placements: str, head: str = "") -> dict[str, str]:
    return {str(p.slot): str(p.block) for p in read(placements, head).placements}


def candidates(text: str, name: str = "resnet18", image_size: int = 32) -> dict[str, Architecture]:
    document = parse_yaml(text, "mine.yaml")
    given = validate(document, CandidatesFile).candidates
    backbone = Backbone(name=name)
    plan = build.plan(Architecture(backbone), image_size)
    return read_candidates(document, given, backbone, plan)


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is made of layers may be made."""

    def fail(*_: Any, **__: Any) -> None:
        pytest.fail("a layer was built")

    for name in backbone_names():
        monkeypatch.setattr(backbone_class(name), "__init__", fail)
    for name in ("se", "bridge", "gc"):
        monkeypatch.setattr(block_class(name), "__init__", fail)


GROUP = "must be a group of `key: value`"
BLOCK = "must be a block, as `se`"
SE = "se(bias=false, reduction=16)"


@pytest.mark.parametrize("written", ["se", "{se: }", "{se: {}}", "{se: {reduction: 16}}"])
def test_a_bare_name_is_the_block_with_its_defaults(written: str) -> None:
    assert placed(f"stage4.block1.before_add: {written}") == {"stage4.block1.before_add": SE}


def test_patterns_place_the_block_in_every_slot_they_name() -> None:
    assert placed("every_second.last.after_block: se") == {
        "stage1.block2.after_block": SE,
        "stage3.block2.after_block": SE,
    }


def test_an_alias_is_the_slot_it_is_another_name_of() -> None:
    by_alias, by_name = read("all.last.after_conv2: se"), read("all.last.before_add: se")
    assert by_alias == by_name
    assert by_alias.architecture_id == by_name.architecture_id


@pytest.mark.parametrize("written", ["none", "{none: }", "{none: {}}"])
def test_none_leaves_slots_empty(written: str) -> None:
    assert read(f"all.all.before_add: {written}") == Architecture(Backbone())
    beside = f"all.all.before_add: {written}\nstage1.block1.after_block: se"
    assert placed(beside) == {"stage1.block1.after_block": SE}


@pytest.mark.parametrize("last", [False, True])
def test_a_slot_that_is_written_out_overrides_a_pattern(*, last: bool) -> None:
    """By another name as well, and with `none`; in whatever order they stand."""
    lines = ["stage4.block1.after_conv2: none", "stage4.block2.before_add: gc"]
    pattern = "all.all.before_add: se"
    found = placed("\n".join([*lines, pattern] if last else [pattern, *lines]))
    rest = [f"stage{stage}.block{block}.before_add" for stage in (1, 2, 3) for block in (1, 2)]
    gc = {"stage4.block2.before_add": "gc(fusion=add, pooling=attention, ratio=0.0625)"}
    assert found == dict.fromkeys(rest, SE) | gc


def test_a_slot_that_is_written_out_settles_where_two_patterns_meet() -> None:
    crossing = "stage4.all.before_add: se\nall.last.before_add: gc\n"
    found = placed(f"{crossing}stage4.block2.before_add: simam")
    assert found["stage4.block2.before_add"] == "simam(e_lambda=0.0001)"
    assert len(found) == 5
    with pytest.raises(InputError, match=r"stage4\.block2\.before_add is given already"):
        placed(crossing)


def test_a_pattern_need_not_fit_where_it_is_overridden() -> None:
    """The last stage has maps of 4 × 4, the others none below 7 × 7."""
    pattern = "all.last.before_add: fca"
    with pytest.raises(InputError, match=r"cannot sit at stage4\.block2\.before_add"):
        placed(pattern)
    found = placed(f"stage4.block2.before_add: none\n{pattern}")
    assert list(found) == [f"stage{stage}.block2.before_add" for stage in (1, 2, 3)]


def test_no_placements_are_the_plain_backbone() -> None:
    document = parse_yaml("placements: {}\nimage_size: 64\n", "mine.yaml")
    assert read_architecture(document) == (Architecture(Backbone()), 64)


def test_the_order_does_not_matter() -> None:
    lines = ["stage1.block1.before_add: se", "last.last.after_block: {gc: {fusion: mul}}"]
    assert read("\n".join(lines)) == read("\n".join(reversed(lines)))


def test_alexnet_with_bridge_attention() -> None:
    assert placed("stage3.block1.after_conv3: bridge", ALEXNET) == {
        "stage3.block1.after_conv3": "bridge(activation=relu, reduction=16)"
    }


@pytest.mark.parametrize(
    ("line", "text", "parts"),
    [
        # Overlaps name both writings, in the order of the file.
        (
            3,
            "all.all.before_add: se\nlast.last.before_add: se",
            ["placements.last.last.before_add: stage4.block2.before_add is given already, by "
             "all.all.before_add; a line for that slot alone would override both"],
        ),
        (
            3,
            "stage2.block1.after_conv2: se\nstage2.block1.before_add: {gc: {}}",
            ["before_add: stage2.block1.before_add is given already, by stage2.block1.after_conv2"],
        ),
        (
            3,
            "stage2.block1.before_add: se\nstage2.block1.after_conv2: none",
            ["stage2.block1.before_add is given already, by stage2.block1.before_add"],
        ),
        (
            3,
            "all.all.before_add: se\nlast.last.before_add: none",
            ["stage4.block2.before_add is given already, by all.all.before_add"],
        ),
        (3, "all.all.before_add: none\nlast.last.before_add: se", ["by all.all.before_add"]),
        (3, "stage4.all.before_add: se\nall.block1.after_conv2: se", ["by stage4.all.before_add"]),
        (
            4,
            "all.all.before_add: se\nstage1.block1.before_add: gc\nlast.last.before_add: se",
            ["stage4.block2.before_add is given already, by all.all.before_add"],
        ),
        # Slots that are not there.
        (2, "stage1.block3.before_add: se", ["there is no block3 in stage1", "did you mean"]),
        (2, "stage1.block1.befor_add: se", ["'befor_add'", '"stage1.block1.before_add"?']),
        (
            2,
            "stage2.block1.after_conv3: se",
            ["there is no position 'after_conv3' in stage2.block1: after_conv1, before_add (also "
             'called after_conv2), after_block; did you mean "stage2.block1.before_add"?'],
        ),
        (2, "here: se", ["'here' names no slot"]),
        (3, "stage1.block1.before_add: se\nhere: none", ["placements.here", "'here'"]),
        # Blocks that are not there, or with other options.
        (2, "all.all.before_add: see", ["'see' is unknown", 'did you mean "se"?']),
        (2, "all.all.before_add: {see: {}}", ["all.all.before_add.see", 'did you mean "se"?']),
        (2, "all.all.before_add: {se: {ratio: 1}}", ["se.ratio", "no option of this block"]),
        (2, "all.all.before_add: {se: {reduction: 0}}", ["se.reduction", "0", "from 1 to 1024"]),
        (2, "all.all.before_add: {se: {reduction: [4]}}", ["se.reduction", "[4]"]),
        (
            2,
            "all.all.before_add: {none: {reduction: 4}}",
            ["add.none: none leaves the slot empty and has no options; write none alone"],
        ),
        (2, "all.all.before_add: {se: {}, gc: {}}", ["add: one block sits in a slot, not 2"]),
        (2, "all.all.before_add: {}", ["add: one block sits in a slot, not 0"]),
        (2, "all.all.before_add: {se: [4]}", ["before_add.se", "is not allowed", GROUP]),
        (2, "all.all.before_add: {se: gc}", ["before_add.se", "'gc' is not allowed", GROUP]),
        (2, "all.all.before_add: [se]", ["placements.all.all.before_add", "is not allowed", BLOCK]),
        (2, "all.all.before_add: 3", ["3 is not allowed", BLOCK]),
        (2, "all.all.before_add: true", ["True is not allowed"]),
        (2, "all.all.before_add:", ["None is not allowed"]),
        (3, "all.all.before_add: se\nall.all.before_add: gc", ["given again in line 3"]),
        # Blocks that cannot sit there.
        (
            2,
            "all.all.after_block: bridge",
            ["bridge(activation=relu, reduction=16) cannot sit at stage1.block1.after_block",
             "needs earlier feature maps of the same block, and there are none"],
        ),
        (2, "last.last.after_conv1: bridge", ["cannot sit at stage4.block2.after_conv1"]),
        (
            3,
            "all.all.after_block: se\nall.all.before_add: {se: {reduction: 128}}",
            ["se(bias=false, reduction=128) cannot sit at stage1.block1.before_add",
             "64 channels // reduction 128 leaves no hidden unit"],
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nothing_built")
def test_refused_with_the_line_before_anything_is_built(
    line: int, text: str, parts: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    message = str(caught.value)
    if "given again" in message:  # YAML's own duplicates stand at the first one
        line = 2
    assert message.startswith(f"mine.yaml:{line}: placements")
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("head", "parts"),
    [
        ("backbone: {name: resnet19}\n", ["mine.yaml:3: backbone.name", 'did you mean "resnet']),
        ("backbone: {width: 0.3}\n", ["mine.yaml:3: backbone.width 0.3", "multiples of 1/64"]),
        (
            "backbone: {name: alexnet, stem: imagenet}\nimage_size: 128\n",
            ["mine.yaml:3: backbone.stem imagenet", "no choice of stems"],
        ),
        ("backbone: {name: alexnet}\n", ["mine.yaml:3: images of 32 pixels", "at least 57"]),
        ("image_size: 4\n", ["mine.yaml:3: image_size", "greater than or equal to 8"]),
        ("other: 1\n", ["mine.yaml:3: other", "unknown key", "placements"]),
    ],
)
@pytest.mark.usefixtures("nothing_built")
def test_other_faults_of_the_file(head: str, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read("stage3.block1.after_block: se", head)
    for part in parts:
        assert part in str(caught.value)


def test_candidates_keep_their_names_and_order() -> None:
    found = candidates(
        "candidates:\n"
        "  plain: {}\n"
        "  SE everywhere: {all.all.before_add: se}\n"
        "  2.1+_-.: {last.last.after_block: {gc: {}}}\n"
    )
    assert list(found) == ["plain", "SE everywhere", "2.1+_-."]
    assert [len(each.placements) for each in found.values()] == [0, 8, 1]
    assert found["plain"] == Architecture(Backbone())


def test_candidates_of_alexnet() -> None:
    found = candidates(
        "candidates:\n"
        "  bridge: {stage3.block1.after_conv3: bridge}\n"
        "  se: {all.all.after_block: se}\n",
        "alexnet",
        128,
    )
    counted = {name: len(each.placements) for name, each in found.items()}
    assert counted == {"bridge": 1, "se": 3}
    assert {each.backbone.name for each in found.values()} == {"alexnet"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{}", "{all.all.before_add: none}"),
        ("{all.last.before_add: se}", "{all.block2.after_conv2: {se: {bias: false}}}"),
        (
            "{stage1.block1.before_add: se, stage2.block1.before_add: se}",
            "{stage2.block1.before_add: se, stage1.block1.before_add: {se: {reduction: 16}}}",
        ),
    ],
)
def test_two_names_of_one_network_are_refused(first: str, second: str) -> None:
    with pytest.raises(InputError) as caught:
        candidates(f"candidates:\n  x: {{last.last.before_add: gc}}\n  a: {first}\n  b: {second}")
    assert str(caught.value) == "mine.yaml:4: candidates.b: is the same network as a"


@pytest.mark.usefixtures("nothing_built")
def test_a_fault_in_a_candidate_is_said_with_its_name_and_line() -> None:
    good, bad = "  good: {all.all.before_add: se}\n", "  bad:\n    all.all.after_block: bridge\n"
    with pytest.raises(InputError) as caught:
        candidates(f"candidates:\n{good}{bad}")
    assert str(caught.value).startswith("mine.yaml:4: candidates.bad.all.all.after_block: ")


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "-a", ".a", "_a", "a/b", "../a", "a|b", "a`b", "a:b", "a=b", "a\tb", "a\nb",
     "a\n", "a,b", "é", "a'b", "=1+1", "x" * 41],
)  # fmt: skip
def test_names_that_are_not_allowed(name: str) -> None:
    escaped = name.encode("unicode_escape").decode()
    with pytest.raises(InputError) as caught:
        candidates(f'candidates:\n  "{escaped}": {{}}\n')
    shown = name if name.isprintable() else repr(name)
    assert str(caught.value) == (
        f"mine.yaml:2: candidates.{shown}: {name!r} is not allowed: 1 to 40 letters, digits, "
        "spaces and . _ + -, a letter or digit first"
    )
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["a", "9", "A b", "a.b+c-d_e", "x" * 40, "none", "BA-Net"])
def test_names_that_are_allowed(name: str) -> None:
    assert list(candidates(f'candidates:\n  "{name}": {{}}\n')) == [name]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("candidates:\n", ["mine.yaml:1: candidates", "None is not allowed"]),
        ("candidates: [se]\n", ["mine.yaml:1: candidates: this is not allowed", GROUP]),
        ("candidates:\n  a:\n", ["mine.yaml:2: candidates.a", "None is not allowed"]),
        ("candidates:\n  a: se\n", ["mine.yaml:2: candidates.a", "'se' is not allowed", GROUP]),
        ("candidates:\n  a: [1]\n", ["mine.yaml:2: candidates.a: this is not allowed", GROUP]),
        ("candidates:\n  5: {}\n", ["mine.yaml:2", "keys must be words"]),
        ("candidates:\n  a: {}\n  a: {}\n", ["candidates.a", "given again in line 3"]),
    ],
)
def test_malformed_lists_of_candidates(text: str, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        candidates(text)
    for part in parts:
        assert part in str(caught.value)


def refused(function: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        function()
    return str(caught.value)


@pytest.mark.parametrize("name", ["word", "numbers", "tuple"])
def test_faults_under_any_name_are_said_at_their_line(name: str) -> None:
    message = refused(lambda: candidates(f"candidates:\n  a: {{}}\n  {name}: 3\n"))
    assert message.startswith(f"mine.yaml:3: candidates.{name}: 3 is not allowed")


def test_the_refusal_of_a_name_is_for_people() -> None:
    message = refused(lambda: candidates("candidates:\n  a/b: {}\n"))
    assert message.startswith("mine.yaml:2: candidates.a/b: ")
    assert "[key]" not in message
    assert "pattern" not in message
