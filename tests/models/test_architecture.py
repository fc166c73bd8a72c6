"""Architectures are canonical values: equal networks are equal and share an id."""

import json
import math
import os
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.architecture import Architecture, ArchitectureError, Backbone, Block, Placement, Slot
from models.attention import block_class, block_names, make_block
from models.options import Option, OptionError

modest = settings(max_examples=50, deadline=None, derandomize=True, database=None)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    name = draw(st.sampled_from(block_names()))
    declared = block_class(name).options
    given = {o.name: draw(_values(o)) for o in declared if draw(st.booleans())}
    return make_block(name, given)


def _values(option: Option) -> st.SearchStrategy[object]:
    if option.choices:
        return st.sampled_from(option.choices)
    if isinstance(option.default, bool):
        return st.booleans()
    kind = st.integers if isinstance(option.default, int) else st.floats
    low = option.low if math.isfinite(option.low) else None
    return kind(low, option.high if math.isfinite(option.high) else None)


slots = st.builds(
    Slot, st.integers(1, 9), st.integers(1, 30), st.sampled_from(["before_add", "after_block"])
)
placement_lists = st.lists(
    st.builds(Placement, slots, blocks()), max_size=6, unique_by=lambda p: p.slot
)
backbones = st.builds(
    Backbone,
    stem=st.sampled_from(["cifar", "imagenet"]),
    width=st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    classes=st.integers(2, 1000),
)
architectures = st.builds(Architecture, backbones, placement_lists.map(tuple))


@modest
@given(architectures)
def test_canonical_json_round_trip(architecture: Architecture) -> None:
    text = architecture.to_json()
    again = Architecture.from_json(text)
    assert again == architecture
    assert again.to_json() == text
    assert again.architecture_id == architecture.architecture_id
    canonical = json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert text == canonical


@modest
@given(st.data(), backbones, placement_lists)
def test_the_order_of_placements_is_irrelevant(
    data: st.DataObject, backbone: Backbone, placements: list[Placement]
) -> None:
    shuffled = data.draw(st.permutations(placements))
    first, second = (Architecture(backbone, tuple(p)) for p in (placements, shuffled))
    assert first == second
    assert first.architecture_id == second.architecture_id
    assert [p.slot for p in first.placements] == sorted(p.slot for p in placements)


@modest
@given(architectures, architectures)
def test_ids_differ_exactly_where_architectures_do(one: Architecture, two: Architecture) -> None:
    assert (one == two) == (one.architecture_id == two.architecture_id)


@modest
@given(slots)
def test_slot_parse_and_str_are_inverse(slot: Slot) -> None:
    assert Slot.parse(str(slot)) == slot


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stage1.block1",
        "stage1.block1.",
        "stage.block1.before_add",
        "stage1.block1.before_add\n",
        " stage1.block1.before_add",
        "stage1.block1.Before_add",
        "stage-1.block1.before_add",
        "stage1,block1,before_add",
        "stage1.block1.before_add.more",
    ],
)
def test_what_is_no_slot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a slot reads like"):
        Slot.parse(text)


def test_two_blocks_in_one_slot_are_refused() -> None:
    slot = Slot(2, 1, "before_add")
    placements = (Placement(slot, make_block("se", {})), Placement(slot, make_block("gc", {})))
    with pytest.raises(ValueError, match=r"stage2\.block1\.before_add holds two blocks: .*se.*gc"):
        Architecture(Backbone(), placements)


def test_ids_differ_for_different_options() -> None:
    slot = Slot(2, 1, "before_add")
    given = [{}, {"reduction": 8}, {"bias": True}, {"reduction": 8, "bias": True}]
    ids = {
        Architecture(Backbone(), (Placement(slot, make_block("se", options)),)).architecture_id
        for options in given
    }
    assert len(ids) == 4


def test_a_default_given_is_a_default_left_out() -> None:
    assert make_block("se", {"reduction": 16}) == make_block("se", {})
    assert make_block("gc", {"ratio": 1}) == make_block("gc", {"ratio": 1.0})


def test_ids_are_stable_across_versions() -> None:
    """Studies on disk hold these ids: a change here makes their trials unknown."""
    placements = (
        Placement(Slot(3, 2, "before_add"), make_block("gc", {"ratio": 0.25})),
        Placement(Slot(1, 1, "after_block"), make_block("nonlocal", {"mode": "gaussian"})),
    )
    architecture = Architecture(Backbone(width=0.5), placements)
    assert Architecture(Backbone()).architecture_id == "9c10cd811c11"
    assert architecture.architecture_id == "824638764646"
    assert architecture.describe() == (
        "stage1.block1.after_block=nonlocal("
        "bn=true, bottleneck_ratio=0.5, mode=gaussian, subsample=false); "
        "stage3.block2.before_add=gc(fusion=add, pooling=attention, ratio=0.25)"
    )


def test_the_plain_backbone_is_described_as_none() -> None:
    assert Architecture(Backbone()).describe() == "none"


@pytest.mark.parametrize(
    "value",
    [{"width": 0.0}, {"width": math.nan}, {"classes": 1}, {"stem": "tpu"}, {"depth": 18}],
)
def test_an_impossible_backbone_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Backbone.model_validate(value)


@pytest.mark.parametrize("name", block_names())
def test_options_are_complete_sorted_and_free_of_inactive_ones(name: str) -> None:
    declared = block_class(name).options
    defaults = {option.name: option.default for option in declared}
    block = make_block(name, {})
    active = sorted(option.name for option in declared if option.active(defaults))
    assert [key for key, _ in block.options] == active
    assert all(value == defaults[key] for key, value in block.options)
    assert make_block(name, dict(block.options)) == block


def test_the_inactive_scale_is_dropped() -> None:
    for mode in ("gaussian", "dot_product"):
        with_scale = make_block("nonlocal", {"mode": mode, "scale": True})
        assert with_scale == make_block("nonlocal", {"mode": mode})
        assert "scale" not in dict(with_scale.options)
    assert dict(make_block("nonlocal", {"scale": True}).options)["scale"] is True


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("se", {"reducton": 8}, 'did you mean "reduction"'),
        ("se", {"reduction": 8.0}, "an integer from 1 to 1024"),
        ("se", {"reduction": True}, "an integer from 1 to 1024"),
        ("se", {"reduction": 0}, "an integer from 1 to 1024"),
        ("se", {"bias": 1}, "true or false"),
        ("gc", {"ratio": math.nan}, "a number from 0.001 to 4"),
        ("gc", {"fusion": "add+mul"}, 'did you mean "mul[+]add"|one of add, mul'),
        ("gc", {"fusion": ["add"]}, "one of add, mul"),
        ("nonlocal", {"mode": "concat"}, "one of embedded_gaussian, gaussian"),
        ("residual", {"depth": 2}, "allowed: none"),
    ],
)
def test_an_illegal_option_is_refused_with_what_is_allowed(
    name: str, given: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        make_block(name, given)


def test_a_pickle_holds_no_hash() -> None:
    """A string's hash is another in another process, where equal values would be different keys."""
    placed = Architecture(Backbone(), (Placement(Slot(2, 1, "before_add"), make_block("se", {})),))
    assert placed in {placed}
    again = pickle.loads(pickle.dumps(placed))
    assert again == placed
    assert hash(again) == hash(placed)
    code = (
        "import pickle, sys; found = pickle.loads(bytes.fromhex(sys.argv[1]));"
        "from models.architecture import Architecture;"
        "sys.exit(Architecture.from_json(found.to_json()) not in {found: 1})"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-c", code, pickle.dumps(placed).hex()]
    assert subprocess.run(command, env=environment, check=False).returncode == 0


SLOT = '"slot":"stage1.block1.before_add"'


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "3", '"a"', "{}", "[" * 100_000, '{"placements":[]}', "\x00", "NaN"),
        *('{"backbone":[],"placements":[]}', '{"backbone":{},"placements":3}'),
        *('{"backbone":{},"placements":[3]}', '{"backbone":{"width":NaN},"placements":[]}'),
        *(
            f'{{"backbone":{{}},"placements":[{item}]}}'
            for item in (
                '{"slot":3,"block":"se","options":{}}',
                f'{{{SLOT},"block":3,"options":{{}}}}',
                f'{{{SLOT},"block":"../se","options":{{}}}}',
                f'{{{SLOT},"block":"se","options":[]}}',
                f'{{{SLOT},"block":"se","options":{{"a":null}}}}',
                f'{{{SLOT},"block":"se","options":{{"a":[1]}}}}',
                f'{{{SLOT},"block":"se","options":{{"a":NaN}}}}',
                f'{{{SLOT},"block":"se","options":{{"a":1e999}}}}',
                f'{{{SLOT},"block":"se","options":{{"a":"\\u001b[2J"}}}}',
                f'{{{SLOT},"block":"se","options":{{"a b":1}}}}',
                f'{{{SLOT},"block":"se","options":{{"a":{"9" * 5000}}}}}',
                ",".join([f'{{{SLOT},"block":"se","options":{{}}}}'] * 2),
            )
        ),
    ],
)
def test_what_is_no_architecture_is_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="is no architecture") as caught:
        Architecture.from_json(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
