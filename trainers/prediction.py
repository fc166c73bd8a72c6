"""Labels for pictures by an exported model: its folder is all that is needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from models.build import build
from models.errors import InputError
from models.weights import load_weights
from trainers.card import Card, read_card, refuse_damaged_weights
from trainers.data.batches import normalised
from trainers.data.facts import Pixels
from trainers.exported import WEIGHTS, answers_of, whole_network
from trainers.pictures import read_picture

BATCH = 32


@dataclass(frozen=True)
class Labelled:
    """A picture with the probability of each class, in the order of the card's class names."""

    file: str
    names: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Classes with their probabilities, the likeliest first."""
        pairs = zip(self.names, self.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


@dataclass(frozen=True)
class Unlabelled:
    """A file that is no picture, and why."""

    file: str
    reason: str


class Model:
    """The exported network in `folder`, on the current device.

    It is built from the card and the weights: a `model.json` is a program, and may be anybody's.
    Raises InputError where the folder holds no export, or one that is damaged.
    """

    def __init__(self, folder: Path, recipe: str) -> None:
        card = read_card(folder)
        if card is None:
            raise InputError(
                f"{folder}: nothing was exported here yet: train it first, by the same command "
                "without --predict"
            )
        if card.recipe_file != recipe:
            raise InputError(f"{folder}: what was exported here is of {card.recipe_file!r}")
        refuse_damaged_weights(folder, card)
        self.card: Card = card
        self._whole = _loaded(folder, card)

    def label(self, files: Sequence[str]) -> Iterator[Labelled | Unlabelled]:
        """Each file's answer, in their order."""
        for start in range(0, len(files), BATCH):
            yield from self._batch(files[start : start + BATCH])

    def probabilities(self, pictures: Sequence[Pixels]) -> np.ndarray:
        """Of pictures uint8 [size, size, 3] each: [N, classes]."""
        given = self.card.input
        images = normalised(np.stack(pictures), given.mean, given.deviation)
        logits = answers_of(self._whole)(images).astype(np.float64)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        found: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
        return found

    def _batch(self, files: Sequence[str]) -> Iterator[Labelled | Unlabelled]:
        read: list[Pixels | Unlabelled] = []
        for file in files:
            try:
                read.append(read_picture(Path(file), self.card.input.size))
            except InputError as error:
                read.append(Unlabelled(file, str(error)))
        pictures = [each for each in read if not isinstance(each, Unlabelled)]
        found = iter(self.probabilities(pictures) if pictures else ())
        for file, each in zip(files, read, strict=True):
            if isinstance(each, Unlabelled):
                yield each
            else:
                yield Labelled(file, self.card.class_names, tuple(map(float, next(found))))


def _loaded(folder: Path, card: Card) -> nn.Layer:
    try:
        network = build(card.built, card.input.network_size, seed=0)
    except InputError as error:
        raise InputError(f"{folder}: the card's architecture cannot be built: {error}") from None
    left = load_weights(network, folder / WEIGHTS)
    if left:
        raise InputError(f"{folder / WEIGHTS}: holds nothing for {', '.join(left[:3])}")
    paddle.seed(0)
    return whole_network(network, card.input.size)
