"""The picks of a study as recipes, each in a folder of its own: `runs/STUDY/export/most-accurate`.

The plain backbone has one too, `baseline`: what a gain is worth is seen beside it. A folder is
called by what its pick is the best in. When another trial takes that place, one that nobody has
touched makes room; one in which somebody has trained, or changed the recipe, is kept under a name
with its trial's number, and gets its place back when its trial does.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout
from pydantic import ValidationError

from models.checksum import SUFFIX, refuse_damaged, write_with_checksum
from models.errors import InputError, StorageError
from models.printable import one_line, printable
from models.whole_file import replacing
from models.yaml_input import read_yaml
from search.picks import Label, picks
from search.trial import Role, State, Trial
from trainers.config import BASELINE, SCRATCH, DataConfig, TrainingConfig
from trainers.messages import Start
from trainers.recipe import FILE, FullTraining, Origin, RecipeFile, to_yaml
from trainers.recipe import written_placements as in_words

FOLDER = "export"
INDEX = "README.md"
EPOCHS = 30
"""A full training's, where the search's were fewer."""
LOCK = Path("training") / "lock"

BASE = "baseline"
NAMES = (*Label, BASE)
_TITLES = {
    BASE: "the plain backbone",
    Label.MOST_ACCURATE: "the most accurate",
    Label.SMALLEST: "the smallest above the baseline",
    Label.FASTEST: "the fastest above the baseline",
    Label.FEWEST_MACS: "the one with the fewest MACs above the baseline",
    Label.KNEE: "the knee: the best balance",
}


@dataclass(frozen=True)
class Source:
    """What recipes are made of beside a trial: the study's name, space, noted data and start."""

    name: str
    space: Mapping[str, Any]
    data: Mapping[str, Any]
    start: Start | None
    baseline: Trial | None


@dataclass(frozen=True)
class Chosen:
    """A trial that gets a recipe, and all that it is the best in, or `baseline`."""

    trial: Trial
    labels: tuple[str, ...]


class Picked(Protocol):
    """A study as far as recipes need it: `space` of `Ledger.space`, and what it noted beside."""

    @property
    def trials(self) -> Sequence[Trial]: ...  # noqa: D102
    @property
    def objectives(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def space(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def data(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def start(self) -> Start | None: ...  # noqa: D102


def write_picks(run_folder: Path, study: Picked) -> list[Path]:
    """Writes a recipe for each pick of the study's front; returns their files.

    Raises StorageError where files cannot be written.
    """
    root = run_folder / FOLDER
    baselines = (t for t in study.trials if t.role is Role.BASELINE and t.state is State.COMPLETE)
    name, baseline = run_folder.resolve().name, next(baselines, None)
    source = Source(name, study.space, study.data, study.start, baseline)
    found = picks(study.trials, study.objectives)
    chosen = {str(pick.labels[0]): Chosen(pick.trial, pick.labels) for pick in found}
    if baseline is not None:
        chosen[BASE] = Chosen(baseline, (BASE,))
    if not chosen and not root.exists():
        return []
    try:
        root.mkdir(parents=True, exist_ok=True)
        return _written(root, source, chosen)
    except OSError as error:
        raise StorageError(f"{root}: the picks cannot be written: {error}") from error


def _written(root: Path, source: Source, chosen: Mapping[str, Chosen]) -> list[Path]:
    """The recipes' files; none where the study has values that no recipe can have."""
    written, wrong = {}, ""
    try:
        for pick in chosen.values():
            recipe_text(source, pick, root)
        folders = {name: _place(root, name, chosen.get(name)) for name in NAMES}
        for name, folder in folders.items():
            if folder is not None:
                written[name] = _write(folder, source, chosen[name])
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        wrong = one_line(str(error))  # of another version, perhaps: its report can be read anyway
    with replacing(root / INDEX) as path:
        path.write_text(_index(source, chosen, written, wrong), encoding="utf-8")
    return list(written.values())


def _place(root: Path, name: str, pick: Chosen | None) -> Path | None:
    """The folder for the pick of this name, free of any other trial's; None without a pick."""
    place, holder = root / name, _trial_in(root / name)
    if place.is_dir() and (pick is None or holder != pick.trial.number):
        if _in_use(place):
            return None if pick is None else root / f"{name}-trial-{pick.trial.number}"
        _clear(place, holder)
    if pick is None:
        return None
    kept = root / f"{name}-trial-{pick.trial.number}"
    if kept.is_dir() and not place.exists() and not _in_use(kept):
        kept.rename(place)
    return place


def _clear(place: Path, holder: int | None) -> None:
    """Removes a folder that nobody has touched; gives any other one a name of its own."""
    if not _is_touched(place):
        shutil.rmtree(place)
        return
    name = f"{place.name}-trial-{holder}" if holder is not None else f"{place.name}-old"
    target = place.with_name(name)
    while target.exists():
        target = target.with_name(f"{target.name}-again")
    place.rename(target)


def _is_touched(folder: Path) -> bool:
    """Whether there is anything in a pick's folder that this module has not written."""
    if {path.name for path in folder.iterdir()} - {FILE, FILE + SUFFIX}:
        return True
    try:
        refuse_damaged(folder / FILE)
    except (InputError, OSError):
        return True
    return not (folder / (FILE + SUFFIX)).is_file()


def _trial_in(folder: Path) -> int | None:
    """The number of the trial that a folder's recipe is of; None where it does not say."""
    with contextlib.suppress(InputError):
        study = read_yaml(folder / FILE).values.get("study")
        number = study.get("trial") if isinstance(study, dict) else None
        return number if type(number) is int and number >= 0 else None
    return None


def _in_use(folder: Path) -> bool:
    """Whether somebody trains there now."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK).acquire(timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _write(folder: Path, source: Source, pick: Chosen) -> Path:
    """The pick's recipe in `folder`, as it is where somebody has begun to work with it."""
    path = folder / FILE
    if folder.is_dir() and path.exists() and _is_touched(folder):
        return path
    folder.mkdir(exist_ok=True)
    text = recipe_text(source, pick, path)
    write_with_checksum(path, lambda file: file.write_text(text, encoding="utf-8"))
    return path


def recipe_text(source: Source, pick: Chosen, path: Path) -> str:
    """The recipe of a pick as YAML, `path` where it will lie.

    Raises ValidationError, or another ValueError, for a study of values that no recipe can have.
    """
    return "\n".join([*_header(source, pick, path), "", to_yaml(_values(source, pick))])


def _values(source: Source, pick: Chosen) -> dict[str, Any]:
    trial, space = pick.trial, source.space
    training = _training(source)
    data = DataConfig.model_validate({**space["data"], "train_images": None} | _of_a_folder(source))
    seed = space.get("search", {}).get("seed", 0)
    origin = Origin(
        name=source.name,
        trial=trial.number,
        pick=tuple(str(label) for label in pick.labels),
        architecture_id=trial.architecture_id,
        val_accuracy=trial.val_accuracy,
        validation_images=data.validation_images,
        epochs=trial.epochs,
        params=trial.params,
        macs=trial.macs,
        latency_ms=trial.latency_ms,
    )
    file = RecipeFile(
        recipe=1,
        study=origin,
        backbone=trial.architecture.backbone,
        placements={key: dict(value) for key, value in in_words(trial.architecture).items()},
        data=data,
        training=training,
        full_training=FullTraining(seeds=(seed,)),
    )
    left_out: dict[str, Any] = {} if training.inherits else {"training": {"warm"}}
    return file.model_dump(mode="json", exclude=left_out)


def _training(source: Source) -> TrainingConfig:
    """The study's, for at least `EPOCHS` epochs; what began with its baseline begins from scratch.

    With other weights to begin with, the learning rate is that of the study's candidates.
    """
    given = TrainingConfig.model_validate(dict(source.space["training"]))
    epochs = max(given.epochs, EPOCHS)
    if given.start in {SCRATCH, BASELINE}:
        return given.model_copy(update={"start": SCRATCH, "epochs": epochs})
    start = source.start.path if given.start == "file" and source.start else given.start
    rate = given.inheriting.learning_rate
    return given.model_copy(update={"start": start, "epochs": epochs, "learning_rate": rate})


def _of_a_folder(source: Source) -> dict[str, str]:
    """Of a person's own images, where they lie, and that some were skipped, as the study noted."""
    path, skipped = source.data.get("path"), source.data.get("unusable")
    found = {"path": path} if isinstance(path, str) else {}
    return found | ({"unusable": "skip"} if skipped else {})


def _header(source: Source, pick: Chosen, path: Path) -> Iterator[str]:
    trial, training = pick.trial, source.space["training"]
    first, *others = (_TITLES[label] for label in pick.labels)
    also = f"; also {', '.join(others)}" if others else ""
    name, images = source.name, source.space["data"].get("train_images")
    yield f"# Of the study {printable(name)}, {first}: trial {trial.number}{also}."
    yield f"# {printable(trial.title)}"
    yield "#"
    seen = f"{images:,} images" if isinstance(images, int) else "all training images"
    yield f"# In the search, after {trial.epochs} epochs of {seen}:"
    yield f"#   {_numbers(trial)}"
    if source.baseline not in {None, trial}:
        yield f"#   the plain backbone: {_numbers(source.baseline)}"
    yield "#"
    yield "# Train it fully, have it judged on the test split, and export it (docs/export.md):"
    yield "#"
    yield f"#   python -m trainers {printable(str(path))}"
    yield "#"
    yield f"# The recipe is the search's, with all training images and at least {EPOCHS} epochs."
    yield "# Any key can be changed here, or by -o."
    if training.get("start") == BASELINE:
        yield "# The search's candidates inherited weights; this training begins from scratch."


def _numbers(trial: Trial) -> str:
    accuracy = 100 * (trial.val_accuracy or 0.0)
    latency = "" if trial.latency_ms is None else f", {trial.latency_ms:.3g} ms"
    text = f"{accuracy:.2f} % of the validation images, {trial.params:,} parameters, "
    return f"{text}{trial.macs:,} MACs{latency}"


def _index(
    source: Source, chosen: Mapping[str, Chosen], written: Mapping[str, Path], wrong: str
) -> str:
    lines = [f"# Picks of the study {printable(source.name)}", ""]
    if wrong:
        lines += [f"No recipe can be written of this study: {wrong}", ""]
    elif not chosen.keys() - {BASE}:
        lines += ["No candidate is on the front: there is nothing to pick.", ""]
    for name, path in written.items():
        trial = chosen[name].trial
        also = ", ".join(str(each) for each in chosen[name].labels)
        where = f"[{path.parent.name}]({path.parent.name}/{FILE})"
        lines.append(f"- {where} ({also}): trial {trial.number}, {_numbers(trial)}")
    lines += [
        "",
        f"`python -m trainers FOLDER/{FILE}` trains one fully, judges it on the test split and",
        "exports it. Folders that are not named here are picks of an earlier front that somebody",
        "has trained or changed.",
    ]
    return "\n".join(lines) + "\n"
