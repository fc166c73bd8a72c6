"""Recipes that cannot be trained by: sizes that do not fit the data set or each other."""

import difflib
from pathlib import Path

from models.errors import InputError
from models.yaml_input import Document
from search.space_file import SpaceFile
from trainers.config import BASELINE, IMAGE_FOLDER, PADDLE, SCRATCH
from trainers.data.facts import Foreseen
from trainers.data.store import foresee

WEIGHTS = (".safetensors", ".pdparams")


def foreseen(document: Document, file: SpaceFile) -> Foreseen:
    """What can be told of the images before they are prepared. Raises InputError."""
    try:
        return foresee(file.data)
    except InputError as error:
        raise InputError(f"{document.place(('data', 'path'))}: {error}") from None


def completed(file: SpaceFile, known: Foreseen) -> SpaceFile:
    """`file` with what follows from its images and was left out.

    How many validate depends, in a folder, on how many can be used: `search.space.settled`.
    """
    if file.data.name != IMAGE_FOLDER:
        return file.model_copy(update={"data": file.data.settled(known.images)})
    if "classes" in file.backbone.model_fields_set:
        return file
    backbone = file.backbone.model_copy(update={"classes": known.classes})
    return file.model_copy(update={"backbone": backbone})


def refuse_recipe(document: Document, file: SpaceFile, known: Foreseen) -> None:
    """Raises InputError with place and reason if no candidate could be trained as `file` says.

    `known` is what is `foreseen` of its images.
    """
    refuse_images(document, file, known)
    _refuse_training(document, file)
    _refuse_augmentation(document, file, known)
    _refuse_start(document, file)


def refuse_images(document: Document, file: SpaceFile, known: Foreseen) -> None:
    """Raises InputError for other classes than there are, and for more images."""
    data = file.data.settled(known.images)
    if file.backbone.classes != known.classes:
        message = (
            f"{file.backbone.classes} is not allowed: {known.title} has {known.classes} classes"
        )
        if data.name == IMAGE_FOLDER:
            message += f"; write {known.classes}, or leave it out"
        raise InputError(document.problem(("backbone", "classes"), message))
    left = known.images - data.judges
    if left < 1:
        message = (
            f"{data.judges:,} leave nothing to train on of the {known.images:,} "
            f"images of {known.title}'s training split; allowed: fewer than these"
        )
        raise InputError(document.problem(("data", "validation_images"), message))
    train = left if data.train_images is None else data.train_images
    if train > left:
        message = (
            f"{train:,} and {data.judges:,} validation images are more than the "
            f"{known.images:,} of {known.title}'s training split; allowed: at most {left:,}"
        )
        raise InputError(document.problem(("data", "train_images"), message))
    if file.training.batch_size > train:
        message = f"{file.training.batch_size:,} is more than the {train:,} training images"
        raise InputError(document.problem(("training", "batch_size"), message))


def _refuse_training(document: Document, file: SpaceFile) -> None:
    """Mixup without a second image, bfloat16 without a GPU."""
    training = file.training
    if training.mixup and training.batch_size == 1:
        message = (
            "1 is not allowed with training.mixup: an image is mixed with another one of its "
            "batch; allowed: 2 and more, or mixup: 0"
        )
        raise InputError(document.problem(("training", "batch_size"), message))
    if training.precision == "bfloat16" and not file.search.gpus_per_trial:
        message = (
            "bfloat16 is not allowed on the CPU (search.gpus_per_trial: 0); allowed: auto, float32"
        )
        raise InputError(document.problem(("training", "precision"), message))


def _refuse_augmentation(document: Document, file: SpaceFile, known: Foreseen) -> None:
    """Changes that can leave nothing of an image; they are made at its size in the data set."""
    size = known.image_size
    changes = file.data.augmentation
    problems = {
        "crop_padding": (changes.crop_padding, "a crop could miss the whole image"),
        "cutout": (changes.cutout, "the square could cover the whole image"),
    }
    for key, (given, what) in problems.items():
        if given >= size:
            side = f"which in {known.title} has {size} pixels a side"
            if file.data.name != IMAGE_FOLDER:
                side += " (data.image_size is what it is resized to afterwards)"
            message = f"{given} is not allowed: {what}, {side}; allowed: 0 to {size - 1}"
            raise InputError(document.problem(("data", "augmentation", key), message))

    pixels = size * size
    if 0 < changes.resized_crop < 1 / pixels:
        message = (
            f"{changes.resized_crop:g} is not allowed: less than a pixel could be left of an image "
            f"of {size} × {size}; allowed: 0, or at least {1 / pixels:.4f}"
        )
        raise InputError(document.problem(("data", "augmentation", "resized_crop"), message))


def _refuse_start(document: Document, file: SpaceFile) -> None:
    """What is neither a word nor a file of weights; whether it fits is seen when it is read."""
    start, words = file.training.start, (SCRATCH, BASELINE, PADDLE)
    if start in words:
        return
    try:
        _refuse_path(document, start, words)
    except OSError as error:  # it is too long, or leads through a folder that is not ours
        message = f"{start!r} cannot be read: {error.strerror}"
        raise InputError(document.problem(("training", "start"), message)) from None


def _refuse_path(document: Document, start: str, words: tuple[str, ...]) -> None:
    if Path(start).is_dir():
        message = f"{start} is a folder; allowed: a file in it ({', '.join(WEIGHTS)})"
        raise InputError(document.problem(("training", "start"), message))
    allowed = f"allowed: {', '.join(words)} or a file ({', '.join(WEIGHTS)})"
    if Path(start).suffix not in WEIGHTS:
        near = difflib.get_close_matches(start, words, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        message = f"{start!r} is not known; {allowed}{hint}"
        raise InputError(document.problem(("training", "start"), message))
    if not Path(start).is_file():
        message = f"there is no file {start}; {allowed}"
        raise InputError(document.problem(("training", "start"), message))
