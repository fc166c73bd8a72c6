"""Recipes: what is written is read back the same, and what is wrong is said with line and key."""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_jobs import RECIPE

from models.errors import InputError
from models.yaml_input import override, parse_yaml, validate
from trainers.full_job import read_recipe
from trainers.recipe import (
    RecipeFile,
    digest,
    read_recipe_file,
    to_yaml,
    written_placements,
)

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcé_- :#'\"\n1", min_size=1), VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_back(values: dict[str, Any]) -> None:
    assert parse_yaml(to_yaml(values), "x").values == values


@pytest.mark.parametrize(
    "word", ["null", "true", "False", "1e-3", "~", "", "no", "0x1", "a: b", "é"]
)
def test_words_stay_words(word: str) -> None:
    assert parse_yaml(to_yaml({"a": word, word or "b": 1}), "x").values["a"] == word


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., RecipeFile]:
    def read_text(text: str, *overrides: str) -> RecipeFile:
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return read_recipe(read_recipe_file(path, overrides))[0]

    return read_text


def recipe(*overrides: str) -> RecipeFile:
    document = parse_yaml(RECIPE, "x")
    override(document, overrides)
    return validate(document, RecipeFile)


PIECES = st.sampled_from([*RECIPE.splitlines(keepends=True), "recipe: 1\n", "  ", "{", "]", ": ",
                          "- a\n", "training: {epochs: 1e9}\n", "\x00", "é", "null\n"])  # fmt: skip


@given(st.lists(PIECES, max_size=12) | st.lists(st.text(max_size=5), max_size=5))
def test_any_text_is_a_recipe_or_refused_in_words(pieces: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.yaml"
        path.write_text("".join(pieces), "utf-8", "surrogatepass", "\n")
        try:
            found, architecture = read_recipe(read_recipe_file(path))
        except InputError as error:
            lines = str(error).splitlines()
            assert all(line.startswith(str(path)) and line.isprintable() for line in lines)
        else:
            assert architecture.backbone == found.backbone


def test_a_recipe_is_the_same_when_it_was_written_and_read(read: Callable[..., RecipeFile]) -> None:
    first = read(RECIPE)
    assert read(to_yaml(first.model_dump(mode="json"))) == first


def test_placements_are_written_as_they_are_read() -> None:
    recipe, architecture = read_recipe(parse_yaml(RECIPE, "x"))
    again = recipe.model_copy(update={"placements": written_placements(architecture)})
    text = to_yaml(again.model_dump(mode="json"))
    assert read_recipe(parse_yaml(text, "x"))[1] == architecture


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("recipe: 1", "recipe: 2", r":1: recipe: 2 is another version's; .* reads 1"),
        ("recipe: 1", 'recipe: "1"', r":1: recipe: '1' is another version's"),
        ("recipe: 1\n", "", r"so it is no recipe; `python -m reports runs/STUDY`"),
        ("epochs: 3", "epoch: 3", r":6: training.epoch: unknown key; .* did you mean \"epochs\""),
        ("seeds: [0]", "seeds: []", r":7: full_training.seeds: "),
        ("seeds: [0]", "seeds: [1, 1]", r":7: full_training: .*a seed is named twice"),
        ("seeds: [0]", "keep: first", r":7: full_training.keep: 'first' is not allowed: .*'best'"),
        ("seeds: [0]", "patience: 0", r":7: full_training.patience: 0 is not allowed"),
        ("stage4.block2", "stage9.block2", r":4: placements.stage9.*no stage9"),
        ("reduction: 4", "reduktion: 4", r":4: placements.*reduktion: no option .*reduction"),
        ("{se:", "{sse:", r":4: placements.*sse: 'sse' is unknown; allowed: .*se"),
        ("width: 0.0625", "width: 0", r":2: backbone.width: 0.* is not allowed"),
        ("epochs: 3,", "epochs: 3, start: baseline,", r"start: baseline is a search's own"),
        ("batch_size: 8", "batch_size: 1, mixup: 0.5", r"mixup mixes"),
        ("placements:\n  stage4.block2.before_add: {se: {reduction: 4}}\n", "",
         r"placements: is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_stands(
    read: Callable[..., RecipeFile], old: str, new: str, message: str
) -> None:
    assert old in RECIPE
    with pytest.raises(InputError, match=message):
        read(RECIPE.replace(old, new))


def test_a_plain_backbone_has_no_placements(read: Callable[..., RecipeFile]) -> None:
    text = RECIPE.replace("\n  stage4.block2.before_add: {se: {reduction: 4}}", " {}")
    assert read(text).placements == {}


def test_overrides_reach_every_section(read: Callable[..., RecipeFile]) -> None:
    found = read(RECIPE, "full_training.patience=4", "training.average=0.99", "data.path=/x")
    assert found.full_training.patience == 4
    assert found.training.average == 0.99
    assert found.data.path == "/x"


def test_seeds_of_the_command_line_count_from_the_recipes_first() -> None:
    document = parse_yaml(RECIPE.replace("seeds: [0]", "seeds: [7, 3]"), "x")
    assert read_recipe(document, 3)[0].full_training.seeds == (7, 8, 9)
    assert read_recipe(document)[0].full_training.seeds == (7, 3)


@pytest.mark.parametrize(
    "other",
    ["training.epochs=4", "full_training.keep=last", "full_training.patience=3",
     "data.train_images=30", "backbone.width=0.125", "training.average=0.5"],
)  # fmt: skip
def test_another_training_has_another_digest(other: str) -> None:
    assert digest(recipe(other), "cpu", {}) != digest(recipe(), "cpu", {})


def test_other_images_and_devices_have_other_digests() -> None:
    pairs = itertools.product(("cpu", "gpu"), ("a", "b"))
    names = {digest(recipe(), device, {"checksum": images}) for device, images in pairs}
    assert len(names) == 4


@pytest.mark.parametrize("other", ["data.path=/elsewhere", "full_training.seeds=[3, 4]"])
def test_the_same_training_has_the_same_digest(other: str) -> None:
    assert digest(recipe(other), "cpu", {}) == digest(recipe(), "cpu", {})
