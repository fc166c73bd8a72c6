"""Architectures as values: a backbone and the attention blocks placed in its slots.

Pure Python: reading a study or writing a report needs these and not Paddle.
"""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from models.errors import InputError
from models.printable import one_line
from models.sections import Section

OptionValue = bool | int | float | str

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SLOT = re.compile(r"stage([1-9][0-9]{0,2})\.block([1-9][0-9]{0,2})\.([a-z][a-z0-9_]{0,31})")


class ArchitectureError(InputError, ValueError):
    """A text that `Architecture.to_json` did not write."""


@dataclass(frozen=True, order=True)
class Slot:
    """A place in a backbone where an attention block may sit: `stage3.block2.before_add`.

    Stages and blocks count from 1; which positions exist is the backbone's to say.
    """

    stage: int
    block: int
    position: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The slot a text such as `stage3.block2.before_add` names; ValueError for other texts."""
        match = _SLOT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no slot; a slot reads like stage3.block2.before_add")
        return cls(int(match[1]), int(match[2]), match[3])

    def __str__(self) -> str:
        return f"stage{self.stage}.block{self.block}.{self.position}"


@dataclass(frozen=True)
class Block:
    """A kind of attention with its options: `gc(fusion=add, pooling=attention, ratio=0.25)`.

    `options` are sorted by name, complete and free of inactive ones, so equal blocks are equal
    values; `models.attention.make_block` makes them so.
    """

    name: str
    options: tuple[tuple[str, OptionValue], ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={option_text(value)}" for key, value in self.options)
        return f"{self.name}({shown})" if shown else self.name


def option_text(value: OptionValue) -> str:
    """A value of an option as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Placement:
    """A slot with a block in it."""

    slot: Slot
    block: Block

    def __str__(self) -> str:
        return f"{self.slot}={self.block}"


class Backbone(Section):
    """Which CNN the blocks are placed in.

    `stem`, of residual networks: `cifar` is one 3×3 convolution, `imagenet` a 7×7 of stride 2 and a
    max-pool. Other backbones leave no choice, and it stays at its default.
    `width`: factor on every channel count; the paper's network is 1.
    """

    name: str = "resnet18"
    stem: Literal["cifar", "imagenet"] = "cifar"
    width: Annotated[float, Field(gt=0, le=16)] = 1.0
    classes: Annotated[int, Field(ge=2, le=100_000)] = 10


@dataclass(frozen=True)
class Architecture:
    """A backbone and its placements, canonical: equal networks are equal values.

    `placements` are sorted by slot whatever order they are given in; two in one slot are refused.
    """

    backbone: Backbone
    placements: tuple[Placement, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.placements, key=lambda placement: placement.slot))
        for first, second in itertools.pairwise(ordered):
            if first.slot == second.slot:
                raise ValueError(f"{first.slot} holds two blocks: {first.block}, {second.block}")
        object.__setattr__(self, "placements", ordered)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Kept, since a sampler looks up thousands of architectures again and again."""
        return hash((self.backbone, self.placements))

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: not the hash, since strings have others in other processes."""
        return {"backbone": self.backbone, "placements": self.placements}

    @property
    def architecture_id(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def describe(self) -> str:
        """The placements in one line; `none` for the plain backbone."""
        return "; ".join(str(placement) for placement in self.placements) or "none"

    def to_json(self) -> str:
        """The canonical JSON: sorted keys, no spaces."""
        placements = [
            {"slot": str(p.slot), "block": p.block.name, "options": dict(p.block.options)}
            for p in self.placements
        ]
        value = {"backbone": self.backbone.model_dump(), "placements": placements}
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The architecture `to_json` wrote. Raises ArchitectureError for any other text."""
        try:
            value = json.loads(text)
            placements = tuple(_placement(item) for item in value["placements"])
            return cls(Backbone.model_validate(value["backbone"]), placements)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {one_line(str(error), 200)}"
            message = f"is no architecture as a study notes it: {reason}"
            raise ArchitectureError(message) from error


def _placement(item: Mapping[str, Any]) -> Placement:
    options = tuple(sorted(item["options"].items()))
    name = item["block"]
    if not all(map(_NAME.fullmatch, (name, *(key for key, _ in options)))):
        raise ValueError(f"no name of a block or an option: {name}")
    for key, value in options:
        if not isinstance(value, OptionValue) or not _is_plain(value):
            raise ValueError(f"no value of the option {key}: {value!r}")
    return Placement(Slot.parse(item["slot"]), Block(name, options))


def _is_plain(value: OptionValue) -> bool:
    if isinstance(value, str):
        return value.isprintable()
    return not isinstance(value, float) or math.isfinite(value)
