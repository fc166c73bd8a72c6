"""The picks as recipes: readable, of the trial they name, and what was trained is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from simulated import make_space
from test_front import OBJECTIVES, trial

from models.architecture import Architecture, Backbone, Placement, Slot
from models.attention import make_block
from models.errors import StorageError
from search.export import EPOCHS, FOLDER, INDEX, write_picks
from search.trial import Role, Trial
from trainers.full_job import read_recipe
from trainers.messages import Start
from trainers.recipe import FILE, RecipeFile, read_recipe_file

SPACE = make_space().file.fingerprint
BACKBONE = Backbone.model_validate(SPACE["backbone"])


def architecture(number: int) -> Architecture:
    block = make_block("eca", {"kernel": 3})
    slots = [Slot(stage, number_, "before_add") for stage in (1, 2, 3, 4) for number_ in (1, 2)]
    return Architecture(BACKBONE, (Placement(slots[number], block),))


def made(number: int, accuracy: float, params: int, latency_ms: float) -> Trial:
    return replace(trial(number, accuracy, params, latency_ms), architecture=architecture(number))


BASELINE = replace(trial(0, 0.80, 100, 10), role=Role.BASELINE, architecture=Architecture(BACKBONE))
ACCURATE, SMALL, FAST = made(1, 0.9, 200, 20), made(2, 0.82, 110, 18), made(3, 0.83, 180, 11)
BETTER = made(4, 0.95, 210, 21)


@dataclass
class Study:
    """As `reports.study.Study` has them."""

    trials: Sequence[Trial]
    objectives: Sequence[str] = OBJECTIVES
    space: dict[str, Any] = field(default_factory=lambda: SPACE)
    data: dict[str, Any] = field(default_factory=dict)
    start: Start | None = None


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    return folder


def write(run: Path, *trials: Trial, **given: Any) -> dict[str, int]:
    """Writes the picks: folder → number of the trial whose recipe it has; not the baseline."""
    write_picks(run, Study((BASELINE, *trials), **given))
    found = lying(run)
    assert found.pop("baseline", 0) == 0
    return found


def lying(run: Path) -> dict[str, int]:
    found = {}
    for path in sorted((run / FOLDER).glob(f"*/{FILE}")):
        study = read(path).study
        assert study is not None
        found[path.parent.name] = study.trial
    return found


def read(path: Path) -> RecipeFile:
    return read_recipe(read_recipe_file(path))[0]


def train(run: Path, name: str) -> Path:
    """As if somebody had trained there."""
    path = run / FOLDER / name / "training" / "0123" / "seed-0" / "weights.safetensors"
    path.parent.mkdir(parents=True)
    path.write_text("hours")
    return path


def test_each_pick_lies_in_a_folder_named_after_it(run: Path) -> None:
    assert write(run, ACCURATE, SMALL, FAST) == {"most-accurate": 1, "smallest": 2, "fastest": 3}


def test_a_recipe_is_the_trials_architecture_and_the_studys_recipe(run: Path) -> None:
    write(run, ACCURATE)
    document = read_recipe_file(run / FOLDER / "most-accurate" / FILE)
    recipe, found = read_recipe(document)
    assert found == ACCURATE.architecture
    assert recipe.training.epochs == max(EPOCHS, SPACE["training"]["epochs"])
    assert recipe.training.batch_size == SPACE["training"]["batch_size"]
    assert recipe.data.validation_images == SPACE["data"]["validation_images"]
    assert recipe.data.train_images is None
    assert recipe.full_training.seeds == (SPACE["search"]["seed"],)
    assert recipe.study is not None
    assert (recipe.study.name, recipe.study.architecture_id) == ("mine", found.architecture_id)
    assert recipe.study.val_accuracy == 0.9


def test_the_header_says_where_it_comes_from_and_what_to_do(run: Path) -> None:
    write(run, ACCURATE)
    path = run / FOLDER / "most-accurate" / FILE
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert header[0].startswith("# Of the study mine, the most accurate: trial 1")
    assert f"#   python -m trainers {path}" in header
    assert "90.00 % of the validation images, 200 parameters, 200 MACs, 20 ms" in "\n".join(header)
    assert any("the plain backbone: 80.00 %" in line for line in header)


def test_the_baseline_has_a_recipe_too(run: Path) -> None:
    write_picks(run, Study((BASELINE,)))
    assert lying(run) == {"baseline": 0}
    path = run / FOLDER / "baseline" / FILE
    assert read_recipe(read_recipe_file(path))[1] == BASELINE.architecture
    assert path.read_text().startswith("# Of the study mine, the plain backbone: trial 0.")
    assert "No candidate is on the front" in (run / FOLDER / INDEX).read_text()


def test_no_trial_no_folder(run: Path) -> None:
    write_picks(run, Study(()))
    assert not (run / FOLDER).exists()


def test_written_again_nothing_changes(run: Path) -> None:
    write(run, ACCURATE, SMALL, FAST)
    before = {path: path.read_bytes() for path in (run / FOLDER).rglob("*") if path.is_file()}
    write(run, ACCURATE, SMALL, FAST)
    after = {path: path.read_bytes() for path in (run / FOLDER).rglob("*") if path.is_file()}
    assert before == after


def test_an_older_pick_that_nobody_touched_makes_room(run: Path) -> None:
    write(run, ACCURATE)
    assert write(run, ACCURATE, BETTER)["most-accurate"] == 4
    assert not list((run / FOLDER).glob("most-accurate-*"))


def test_a_label_that_is_nobodys_any_more_is_removed(run: Path) -> None:
    write(run, ACCURATE, SMALL, FAST)
    assert write(run, made(5, 0.97, 90, 9)) == {"most-accurate": 5}


def test_what_somebody_has_trained_is_kept_under_its_trials_number(run: Path) -> None:
    write(run, ACCURATE)
    train(run, "most-accurate")
    found = write(run, ACCURATE, BETTER)
    assert (found["most-accurate"], found["most-accurate-trial-1"]) == (4, 1)
    kept = run / FOLDER / "most-accurate-trial-1/training/0123/seed-0/weights.safetensors"
    assert kept.read_text() == "hours"
    index = (run / FOLDER / INDEX).read_text()
    assert "(most-accurate/recipe.yaml)" in index
    assert "most-accurate-trial-1" not in index


def test_it_gets_its_place_back_with_its_trial(run: Path) -> None:
    write(run, ACCURATE)
    train(run, "most-accurate")
    write(run, ACCURATE, BETTER)
    found = write(run, ACCURATE)
    assert found == {"most-accurate": 1}
    assert (run / FOLDER / "most-accurate/training/0123/seed-0/weights.safetensors").exists()


def test_both_were_trained_and_both_are_kept(run: Path) -> None:
    write(run, ACCURATE)
    train(run, "most-accurate")
    write(run, ACCURATE, BETTER)
    train(run, "most-accurate")
    found = write(run, ACCURATE)
    assert found == {"most-accurate": 1, "most-accurate-trial-4": 4}
    assert len(list((run / FOLDER).rglob("weights.safetensors"))) == 2


def test_a_recipe_changed_by_hand_is_not_written_over(run: Path) -> None:
    write(run, ACCURATE)
    path = run / FOLDER / "most-accurate" / FILE
    path.write_text(path.read_text().replace("epochs: 30", "epochs: 90"))
    write(run, ACCURATE)
    assert read(path).training.epochs == 90
    found = write(run, ACCURATE, BETTER)
    assert found["most-accurate"] == 4
    assert read(run / FOLDER / "most-accurate-trial-1" / FILE).training.epochs == 90


@pytest.mark.parametrize("text", ["", "a: [", "recipe: 1", "study: {trial: x}", "\x00"])
def test_a_recipe_that_was_broken_by_hand_is_kept_as_well(run: Path, text: str) -> None:
    write(run, ACCURATE)
    (run / FOLDER / "most-accurate" / FILE).write_text(text)
    write_picks(run, Study((BASELINE, ACCURATE)))
    assert read(run / FOLDER / "most-accurate" / FILE).study is not None
    assert (run / FOLDER / "most-accurate-old" / FILE).read_text() == text
    (run / FOLDER / "most-accurate" / FILE).write_text(text)
    write_picks(run, Study((BASELINE, ACCURATE)))
    assert (run / FOLDER / "most-accurate-old-again" / FILE).read_text() == text


def test_where_somebody_trains_now_nothing_is_moved(run: Path) -> None:
    write(run, ACCURATE)
    train(run, "most-accurate")
    with FileLock(run / FOLDER / "most-accurate" / "training" / "lock"):
        found = write(run, ACCURATE, BETTER)
        assert (found["most-accurate"], found["most-accurate-trial-4"]) == (1, 4)
        assert "most-accurate-trial-4" in (run / FOLDER / INDEX).read_text()
    found = write(run, ACCURATE, BETTER)
    assert (found["most-accurate"], found["most-accurate-trial-1"]) == (4, 1)


@pytest.mark.parametrize("start", ["baseline", "scratch"])
def test_a_search_with_inherited_weights_is_trained_from_scratch(run: Path, start: str) -> None:
    space = SPACE | {"training": SPACE["training"] | {"start": start}}
    write(run, ACCURATE, space=space)
    recipe = read(run / FOLDER / "most-accurate" / FILE)
    assert recipe.training.start == "scratch"
    text = (run / FOLDER / "most-accurate" / FILE).read_text()
    assert ("inherited weights" in text) == (start == "baseline")


@pytest.mark.parametrize(("start", "expected"), [("paddle", "paddle"), ("file", "/w.safetensors")])
def test_other_weights_are_begun_with_at_the_candidates_rate(
    run: Path, start: str, expected: str
) -> None:
    training = SPACE["training"] | {"start": start, "warm": {"learning_rate": 0.25}}
    write(run, ACCURATE, space=SPACE | {"training": training}, start=Start("/w.safetensors", "0"))
    recipe = read(run / FOLDER / "most-accurate" / FILE)
    assert recipe.training.start == expected
    assert recipe.training.learning_rate == 0.25 * SPACE["training"]["learning_rate"]


def test_the_path_of_a_persons_own_images_is_kept(run: Path) -> None:
    space = SPACE | {"data": SPACE["data"] | {"name": "folder", "test_share": 0.3}}
    path = '/my "photos" é'
    write(run, ACCURATE, space=space, data={"path": path, "unusable": 2})
    data = read(run / FOLDER / "most-accurate" / FILE).data
    assert (data.name, data.path, data.test_share, data.unusable) == ("folder", path, 0.3, "skip")


def test_a_hostile_study_writes_no_second_line_into_the_comment(run: Path) -> None:
    evil = replace(ACCURATE, name="x\n  recipe: 7\nstudy: \x1b[2J")
    write(run, evil)
    text = (run / FOLDER / "most-accurate" / FILE).read_text()
    assert "\x1b" not in text
    assert sum(line.startswith("recipe:") for line in text.splitlines()) == 1


@pytest.mark.parametrize(
    "space",
    [{"data": {"name": "imagenet"}}, {"training": {"epochs": -1}}, {"training": {"no": 1}}],
)
def test_values_that_no_recipe_can_have_are_named(run: Path, space: dict[str, Any]) -> None:
    """The report of such a study can be written all the same."""
    write(run, ACCURATE)
    train(run, "most-accurate")
    found = write(run, BETTER, space=SPACE | {k: SPACE[k] | v for k, v in space.items()})
    assert found == {"most-accurate": 1}
    assert "No recipe can be written of this study" in (run / FOLDER / INDEX).read_text()


def test_a_place_that_cannot_be_written_is_a_storage_error(run: Path) -> None:
    (run / FOLDER).write_text("a file")
    with pytest.raises(StorageError, match="the picks cannot be written"):
        write(run, ACCURATE)
