"""Recipes: one architecture and how it is trained fully, as a file says it. Needs no Paddle.

A search writes one for each of its picks; anybody may write one by hand. A folder holds one recipe,
and beside it what became of it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.architecture import Architecture, Backbone
from models.errors import InputError
from models.printable import one_line
from models.sections import Section
from models.written import Placements
from models.yaml_input import Document, override, read_yaml, validate
from trainers.config import BASELINE, DataConfig, PositiveInt, TrainingConfig

VERSION = 1
FILE = "recipe.yaml"
"""What a recipe is called in a folder of its own."""

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:[./-][A-Za-z0-9_]+)*")
_RESERVED = {"true", "false", "null"}

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class FullTraining(Section):
    """What goes on around the trainings by the recipe.

    `seeds`: so many trainings from scratch, each with initial values, order and augmentation of its
    own. `patience`: a training ends after so many epochs without a better validation accuracy;
    None never ends one early. `keep`: the weights after the epoch with the `best` validation
    accuracy, or after the `last` one; with `training.average` these are the averaged ones, which
    are what is validated.
    """

    seeds: Annotated[tuple[Seed, ...], Field(strict=False, min_length=1, max_length=100)] = (0,)
    patience: PositiveInt | None = None
    keep: Literal["best", "last"] = "best"

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is named twice in seeds")
        return self


class Origin(Section):
    """The trial of a search that an architecture comes from, with its numbers there."""

    name: str
    trial: int
    pick: Annotated[tuple[str, ...], Field(strict=False)] = ()
    architecture_id: str = ""
    val_accuracy: float | None = None
    validation_images: int | None = None
    epochs: int | None = None
    params: int | None = None
    macs: int | None = None
    latency_ms: float | None = None


class RecipeFile(Section):
    """A recipe as it is written."""

    recipe: Literal[1]
    study: Origin | None = None
    backbone: Backbone = Backbone()
    placements: Placements
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    full_training: FullTraining = FullTraining()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.training.start == BASELINE:
            raise ValueError(
                f"training.start: {BASELINE} is a search's own; allowed: scratch, paddle or a file "
                "of weights"
            )
        if self.training.mixup and self.training.batch_size == 1:
            raise ValueError("training.mixup mixes an image with another one of its batch: of 1")
        return self


def read_recipe_file(path: Path, overrides: Iterable[str] = ()) -> Document:
    """What a recipe says, with `key=value` overrides, every value of its type.

    Raises InputError with place, key, value and what is allowed, one line for each problem.
    """
    document = read_yaml(path)
    _refuse_other_kinds(document)
    override(document, overrides)
    validate(document, RecipeFile)
    return document


def _refuse_other_kinds(document: Document) -> None:
    """Files that are no recipe, and recipes of other versions of this program."""
    if "recipe" not in document.values:
        message = (
            f"has no `recipe: {VERSION}`, so it is no recipe; `python -m reports runs/STUDY` "
            "writes one for each pick of a search"
        )
        raise InputError(f"{document.source}:1: {message}")
    found = document.values["recipe"]
    if type(found) is not int or found != VERSION:
        message = (
            f"{one_line(repr(found), 80)} is another version's; this version of the program reads "
            f"{VERSION}: write the recipe anew with it (python -m reports runs/STUDY)"
        )
        raise InputError(document.problem(("recipe",), message))


def digest(recipe: RecipeFile, device: str, images: Mapping[str, object]) -> str:
    """A name for all that decides how a training goes, beside its seed: 12 hexadecimal digits.

    Not where the images lie, but `images`, facts such as their checksums; nor how many seeds.
    """
    exclude: Any = {"study": True, "full_training": {"seeds"}}
    facts = recipe.model_dump(mode="json", exclude=exclude)
    facts["data"] = recipe.data.fingerprint
    text = json.dumps(facts | {"device": device, "images": dict(images)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def written_placements(architecture: Architecture) -> dict[str, Any]:
    """The placements of an architecture in the words of a space file."""
    return {
        str(placement.slot): {placement.block.name: dict(placement.block.options)}
        for placement in architecture.placements
    }


def to_yaml(values: Mapping[str, Any]) -> str:
    """Nested mappings as YAML that `models.yaml_input` reads back as the same values.

    Two levels of mappings in lines of their own, and what is in these in braces.
    """
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            lines.append(f"{_text(key)}:")
            lines += [f"  {_text(inner)}: {_flow(each)}" for inner, each in value.items()]
        else:
            lines.append(f"{_text(key)}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_text(key)}: {_flow(each)}" for key, each in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, str):
        return _text(value)
    return "null" if value is None else json.dumps(value)


def _text(text: str) -> str:
    """Words as they are, everything else in quotes, with escapes for what cannot be printed."""
    if _WORD.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    shown = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in text)
    return f'"{"".join(shown)}"'
