"""Valid space files load, and random ones are refused or loaded, never anything else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from image_folders import write_folder
from simulated import SPACE, make_space

from models.architecture import Slot
from models.attention import block_class, block_names
from models.errors import InputError
from models.yaml_input import Document, parse_yaml
from search.space import Space, check_space, load_space

SHIPPED = sorted(Path("spaces").resolve().glob("*.yaml"))
LEAST = "placement: {attention: {se: {}}}\n"
random_input = settings(max_examples=75, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_spaces_load(path: Path, tmp_path: Path) -> None:
    images = write_folder(tmp_path / "images", {"cat": 40, "dog": 40})
    given = [f"data.path={images}"] if path.name == "folder.yaml" else []
    space = load_space(path, given)
    assert space.slots or space.candidates
    assert space.source == str(path)


def test_there_are_shipped_spaces() -> None:
    assert {path.name for path in SHIPPED} >= {"smoke.yaml", "quickstart.yaml", "resnet18.yaml"}


def test_the_space_of_all_blocks_lists_them_all() -> None:
    (path,) = [path for path in SHIPPED if path.name == "blocks.yaml"]
    space = load_space(path)
    blocks = [{p.block.name for p in listed.placements} for listed in space.candidates.values()]
    assert all(len(names) == 1 for names in blocks)
    listed = sorted(name for names in blocks for name in names)
    assert listed == [name for name in block_names() if not block_class(name).control]
    assert space.trials == 2 + len(listed)


def test_the_shortest_space_takes_defaults(load: Callable[..., Space]) -> None:
    space = load(LEAST)
    assert len(space.slots) == 8 * 3
    assert space.control_slot == Slot(4, 2, "after_block")
    assert space.objective_names == ("val_accuracy", "params", "latency_ms")
    assert (space.file.search.sampler, space.file.search.trials, space.trials) == ("ehvi", None, 50)
    assert space.candidates == {}
    (only,) = space.choices_at[Slot(1, 1, "before_add")]
    assert [str(block) for block in only.variants()] == ["se(bias=false, reduction=16)"]


def test_slots_are_the_allowed_ones_in_order(space: Space) -> None:
    assert [str(slot) for slot in space.slots] == [
        "stage3.block2.after_conv1",
        "stage3.block2.before_add",
        "stage3.block2.after_block",
        "stage4.block2.after_conv1",
        "stage4.block2.before_add",
        "stage4.block2.after_block",
    ]
    names = [[choices.name for choices in space.choices_at[slot]] for slot in space.slots]
    plain = ["se", "gc"]
    assert names == [plain, [*plain, "bridge"], plain] * 2, "bridge needs earlier maps"


def test_slots_that_nothing_can_hold_are_left_out() -> None:
    space = make_space("placement.attention={bridge: {reduction: 4}}")
    assert {slot.position for slot in space.slots} == {"before_add"}
    assert len(space.slots) == 2


def test_one_value_is_a_list_of_one(space: Space) -> None:
    listed = make_space("placement.attention.gc.ratio=[0.5]")
    assert listed.choices_at == space.choices_at


def test_inactive_options_make_no_variants() -> None:
    space = make_space(
        "placement.attention={nonlocal: {mode: [gaussian, embedded_gaussian], "
        "scale: [true, false]}}"
    )
    (only,) = space.choices_at[space.slots[0]]
    assert len(list(only.variants())) == 3, "scale acts on embedded_gaussian alone"


def test_numbers_as_yaml_1_2_has_them(load: Callable[..., Space]) -> None:
    text = "training: {learning_rate: 1e-3, weight_decay: 5E-4, momentum: .5}\n" + LEAST
    training = load(text).file.training
    assert (training.learning_rate, training.weight_decay, training.momentum) == (1e-3, 5e-4, 0.5)


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + LEAST.encode(), LEAST.replace("\n", "\r\n"), "---\n" + LEAST + "...\n"],
    ids=["byte-order-mark", "windows-line-ends", "document-marks"],
)
def test_other_ways_to_write_a_file(load: Callable[..., Space], content: str | bytes) -> None:
    assert len(load(content).slots) == 24


def test_overrides_set_keys(load: Callable[..., Space]) -> None:
    space = load(
        SPACE,
        "search.trials=3",
        "data.augmentation.flip=false",
        "placement.stages=[2]",
        "backbone={width: 0.125, stem: imagenet}",
        "data.path=/a=b",
        "search.trials=4",
    )
    assert space.file.search.trials == 4, "the last one counts"
    assert not space.file.data.augmentation.flip
    assert {slot.stage for slot in space.slots} == {2}
    assert (space.file.backbone.width, space.file.backbone.stem) == (0.125, "imagenet")
    assert space.file.data.path == "/a=b"
    assert space.file.training.epochs == 3, "what is not named stays"


@pytest.mark.parametrize(
    ("assignment", "parts"),
    [
        ("search.trials", ["-o search.trials:", "key=value"]),
        ("=3", ["-o =3", "key=value"]),
        ("search..trials=3", ["-o search..trials=3", "key=value"]),
        ("search.seed=", ["-o search.seed=", "search.seed", "valid integer"]),
        ("search.trials=many", ["-o search.trials=many", "'many'"]),
        ("search.trials=0", ["-o search.trials=0", "greater than 0"]),
        ("search.trails=5", ["-o search.trails=5", 'did you mean "trials"']),
        ("serch.trials=5", ["-o serch.trials=5", "serch", 'did you mean "search"']),
        ("backbone.width.more=5", ["-o backbone.width.more=5", "width is a value"]),
        ("placement.stages.0=3", ["-o placement.stages.0=3", "stages is a value"]),
        ("search.trials=[1", ["-o search.trials=[1", "not valid YAML"]),
        ("search.trials=&a 1", ["-o search.trials=&a 1", "anchors"]),
        ("search.trials=!!int 1", ["-o search.trials=!!int 1", "tags"]),
        ("placement.stages=[5]", ["-o placement.stages=[5]", "allowed: 1, 2, 3, 4"]),
        ("placement.attention.gcc={}", ["-o placement.attention.gcc={}", 'did you mean "gc"']),
        ("placement.attention.gc.ratio=9", ["-o placement.attention.gc.ratio=9", "0.001 to 4"]),
        ("objectives.max_params=10", ["-o objectives.max_params=10", "plain backbone has"]),
    ],
)
def test_wrong_overrides_say_so(
    load: Callable[..., Space], assignment: str, parts: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        load(SPACE, assignment)
    for part in parts:
        assert part in str(caught.value)


def test_trials_that_are_not_given_are_the_default() -> None:
    assert make_space("search.trials=").trials == make_space("search.trials=null").trials == 50
    assert make_space("search.trials=7").trials == 7


def test_the_fingerprint_is_what_trials_share(space: Space) -> None:
    free = make_space(
        "search.trials=99",
        "search.workers=7",
        "search.sampler=nsga2",
        "search.timeout_minutes=1",
        "data.path=/elsewhere",
    )
    assert free.file.fingerprint == space.file.fingerprint
    for other in (
        "search.seed=1",
        "search.gpus_per_trial=1",
        "training.epochs=4",
        "data.validation_images=10",
    ):
        assert make_space(other).file.fingerprint != space.file.fingerprint


def checked(document: Document) -> None:
    try:
        space = check_space(document)
    except InputError as error:
        assert str(error)
    else:
        assert isinstance(space, Space)
        assert space.slots or space.candidates


@random_input
@given(st.text(max_size=200))
@example(SPACE)
@example("\x00")
@example("a: \ud800")
@example("a: '\x85")
def test_random_text_is_refused(text: str) -> None:
    try:
        document = parse_yaml(text, "x")
    except InputError:
        return
    checked(document)


words = st.sampled_from(["all", "last", "every_second", "none", "se", "simam", "before_add"])
scalars = words | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = """\
backbone data placement training objectives search name width stages blocks positions at_most
attention se gc nonlocal bridge residual reduction ratio fusion early_stopping trials seed
minimize max_params control_slot augmentation image_size milestones candidates none
all.last.before_add every_second.all.after_conv1 stage1.block1.before_add all last every_second
"""
names = st.sampled_from(NAMES.split())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(), inner),
    max_leaves=12,
)
SECTIONS = ("backbone", "data", "placement", "candidates", "training", "objectives", "search")


@random_input
@given(st.dictionaries(st.sampled_from(SECTIONS), values), st.booleans(), values)
@example({}, True, {"se": {"reduction": 10**400}})
@example({}, True, {"gc": {"ratio": 10**400}})
@example({"candidates": {"a": {"all.all.before_add": "se"}}}, False, None)
@example({"candidates": {"a": {"all.all.before_add": "none"}}, "placement": None}, False, None)
def test_random_values_are_refused_or_a_space(
    value: dict[str, object], placed: bool, attention: object
) -> None:
    if placed:
        value = value | {"placement": {"attention": attention}}
    checked(Document("x", value))


def test_a_missing_file(load: Callable[..., Space], tmp_path: Path) -> None:
    load(SPACE)
    with pytest.raises(InputError, match=r'spac\.yaml: there is no such file.*"space\.yaml"'):
        load_space(tmp_path / "spac.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_space(tmp_path)
