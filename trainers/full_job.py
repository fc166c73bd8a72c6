"""The whole of `python -m trainers RECIPE`: recipe → images → trainings → test split → export."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from models.architecture import Architecture
from models.errors import InputError, StudyBusyError
from models.explicit import read_placements, read_plan
from models.printable import one_line, printable
from models.whole_file import replacing
from models.yaml_input import Document, validate
from trainers import card
from trainers.config import SCRATCH
from trainers.console import View, open_view, result_lines
from trainers.data.store import prepare
from trainers.device import use_device
from trainers.full_training import Job, SeedTraining, storing
from trainers.publication import publish
from trainers.quiet import Quiet
from trainers.recipe import RecipeFile, digest
from trainers.start import find_start
from trainers.subject import Subject, subject_of

TRAINING = "training"
LOCK, HOLDER = "lock", "lock.holder"


@dataclass(frozen=True)
class Asked:
    """What a person asked for: the recipe's file and what it says, `seeds` of --seeds, a device."""

    path: Path
    document: Document
    seeds: int | None
    device: str
    holder: str


def run(asked: Asked) -> None:
    """Trains what is not trained yet, and exports it; says on stdout how it goes.

    Raises InputError, StorageError, StudyBusyError, FullTrainingError, ParityError.
    """
    recipe, architecture = read_recipe(asked.document, asked.seeds)
    use_device(asked.device)
    folder = asked.path.parent
    _refuse_others(folder, asked.path.name)
    with locked(folder / TRAINING, asked.holder):
        with open_view(sys.stdout, recipe.training.epochs) as view:
            trained, weights = _trained(asked, recipe, architecture, view)
        view = open_view(sys.stdout, recipe.training.epochs)
        if card.is_current(folder, trained):
            view.notice("nothing left to do: this recipe was trained and exported already")
        else:
            publish(trained, weights, asked.path, view.notice)
        for line in result_lines(trained.results, trained.best.seed):
            view.notice(line)
        view.notice(f"Model card: {folder / card.TEXT}")


def read_recipe(document: Document, seeds: int | None = None) -> tuple[RecipeFile, Architecture]:
    """The recipe that `document` holds, and its checked architecture; `seeds` as of --seeds.

    Raises InputError with place, key, value and what is allowed.
    """
    recipe = validate(document, RecipeFile)
    plan = read_plan(document, recipe.backbone, recipe.data.image_size)
    placements = read_placements(document, ("placements",), recipe.placements, plan)
    if seeds is not None:
        first = recipe.full_training.seeds[0]
        chosen = {"seeds": tuple(range(first, first + seeds))}
        full = recipe.full_training.model_copy(update=chosen)
        recipe = recipe.model_copy(update={"full_training": full})
    return recipe, Architecture(recipe.backbone, placements)


def _trained(
    asked: Asked, recipe: RecipeFile, architecture: Architecture, view: View
) -> tuple[card.Trained, Path]:
    """Every seed's training, and the file of the best one's weights."""
    data_folder = prepare(recipe.data, view.notice)
    subject = subject_of(recipe.data, data_folder)
    recipe = recipe.model_copy(update={"data": subject.data})
    _refuse_other_classes(asked.document, recipe, subject)
    start = None
    if recipe.training.start != SCRATCH:
        start = find_start(recipe.training, recipe.backbone, recipe.data.image_size)
    images = subject.split | {"test": subject.test_checksum}
    name = digest(recipe, asked.device, images)
    job = Job(recipe, architecture, data_folder, asked.device, name, start)
    root = asked.path.parent / TRAINING / job.digest
    trainings = {
        seed: SeedTraining(job, seed, root / f"seed-{seed}", view)
        for seed in recipe.full_training.seeds
    }
    with contextlib.closing(Quiet()) as quiet:
        results = tuple(training.run(quiet) for training in trainings.values())
    trained = card.Trained(job, subject, results)
    return trained, trainings[trained.best.seed].weights


def _refuse_other_classes(document: Document, recipe: RecipeFile, subject: Subject) -> None:
    given, there = recipe.backbone.classes, len(subject.class_names)
    if given != there:
        message = f"{given} is not allowed: {subject.title} has {there} classes"
        raise InputError(document.problem(("backbone", "classes"), message))


def _refuse_others(folder: Path, name: str) -> None:
    """Two recipes in a folder would write over each other's models."""
    try:
        there = card.read_card(folder)
    except InputError:  # it is damaged, and written anew
        return
    if there is not None and there.recipe_file != name:
        other = one_line(there.recipe_file, 80)
        raise InputError(
            f"{folder}: holds the model of {other} already: put {name} into a folder of its own"
        )


@contextlib.contextmanager
def locked(folder: Path, holder: str) -> Iterator[None]:
    """Holds the folder of trainings. Raises StudyBusyError, naming who holds it."""
    with storing(folder):
        _refuse_links(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StudyBusyError(_in_use(folder)) from None
    try:
        with storing(folder), replacing(folder / HOLDER) as path:
            path.write_text(holder, "utf-8")
        yield
    finally:
        lock.release()


def _refuse_links(folder: Path) -> None:
    """The folder may be anybody's, and what is written there must not land elsewhere."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            raise InputError(
                f"{printable(str(path))} is a symbolic link; a folder of trainings may hold only "
                "files and folders: remove it"
            )


def _in_use(folder: Path) -> str:
    holder = "another process"
    with contextlib.suppress(OSError):
        holder = one_line((folder / HOLDER).read_text("utf-8", "replace"), 200) or holder
    return f"{folder.parent} is in use by {holder}; wait for it or stop it"
