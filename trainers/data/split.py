"""Divides the published train split into what a candidate learns from and what judges it."""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from trainers.config import validation_share
from trainers.data.facts import Labels

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Disjoint, sorted indices into the published train split, int64 [n] each."""

    train: Indices
    validation: Indices


def stratified_split(
    labels: Labels, train_images: int | None, validation_images: int | None, seed: int
) -> Split:
    """Draw validation and training images class by class; `train_images: None` takes all the rest.

    `validation_images: None` takes what `trainers.config.validation_share` says.

    Both are windows of one order in which every window holds the classes in proportion. So
    validation does not depend on `train_images`, and fewer training images are a subset of more:
    a quick study and a thorough one judge by the same images.

    Raises:
        InputError: more images are asked for than there are.
    """
    if validation_images is None:
        validation_images = validation_share(len(labels))
    left = len(labels) - validation_images
    if validation_images < 1 or left < 1:
        raise InputError(
            f"data.validation_images: {validation_images} given; allowed are 1 to "
            f"{len(labels) - 1}, which leaves at least one of {len(labels)} images to train on"
        )
    wanted = left if train_images is None else train_images
    if not 1 <= wanted <= left:
        raise InputError(
            f"data.train_images: {wanted} given; allowed are 1 to {left}: of {len(labels)} images "
            f"data.validation_images takes {validation_images}. Lower either."
        )
    order = _stratified_order(labels, seed)
    return Split(
        train=np.sort(order[validation_images : validation_images + wanted]),
        validation=np.sort(order[:validation_images]),
    )


def _stratified_order(labels: Labels, seed: int) -> Indices:
    """All indices, shuffled, with the classes interleaved evenly.

    The k-th of a class's n images gets the rank (k + offset) / n. Equal classes take turns, so
    that the counts in any window differ by one at most; unequal ones appear in proportion.
    """
    rng = np.random.default_rng(seed)
    ranks = np.empty(len(labels))
    classes = np.unique(labels)
    offsets = (rng.permutation(len(classes)) + 0.5) / len(classes)
    for label, offset in zip(classes, offsets, strict=True):
        members = rng.permutation(np.flatnonzero(labels == label))
        ranks[members] = (np.arange(len(members)) + offset) / len(members)
    return np.argsort(ranks, kind="stable").astype(np.int64)


def split_record(split: Split, seed: int) -> dict[str, int | str]:
    """What a run keeps to prove which images it saw: sizes, seed, SHA-256 of the indices."""
    return {
        "split_seed": seed,
        "train_images": len(split.train),
        "train_sha256": _indices_checksum(split.train),
        "validation_images": len(split.validation),
        "validation_sha256": _indices_checksum(split.validation),
    }


def _indices_checksum(indices: Indices) -> str:
    return hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest()
