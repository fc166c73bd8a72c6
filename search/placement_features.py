"""What placements have in common with others, alone and in pairs; read without Paddle."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

from models.architecture import Architecture, Placement
from search.sampling.domain import Key
from search.sampling.encoder import combined

LEVELS = (
    "count",  # how many placements
    "type",
    "type, stage",
    "type, position",
    "type, slot",
    "slot",
    "option",  # of a type: its value of one option
    "block",  # the type with all its options
    "block, slot",
    "types, residual block",  # of two placements in one residual block
    "stages",  # of two placements
)


def features_of(placement: Placement) -> dict[Key, float]:
    """The features of one placement, each 1."""
    slot, block = placement.slot, placement.block
    keys: list[Key] = [  # of strings, whose hashes Python keeps
        ("count", None),
        ("type", block.name),
        ("type, stage", (block.name, slot.stage)),
        ("type, position", (block.name, slot.position)),
        ("type, slot", (block.name, str(slot))),
        ("slot", str(slot)),
        *(("option", (block.name, *option)) for option in block.options),
        ("block", str(block)),
        ("block, slot", str(placement)),
    ]
    return dict.fromkeys(keys, 1.0)


def pairs(placements: Sequence[Placement]) -> Iterator[tuple[Key, float]]:
    """The features that placements, sorted by slot, have by twos: how many such pairs there are."""
    stages = sorted(Counter(placement.slot.stage for placement in placements).items())
    for (first, many), (second, others) in itertools.combinations_with_replacement(stages, 2):
        both = many * others if first != second else many * (many - 1) // 2
        if both:
            yield ("stages", (first, second)), float(both)
    for _, near in itertools.groupby(placements, lambda p: (p.slot.stage, p.slot.block)):
        names = sorted(placement.block.name for placement in near)
        for together in itertools.combinations(names, 2):
            yield ("types, residual block", together), 1.0


class PlacementFeatures:
    """The features of architectures: the sums of their placements', and of pairs of them."""

    levels = LEVELS

    def __init__(self) -> None:
        self._known: dict[Placement, dict[Key, float]] = {}

    def features(self, candidate: Architecture) -> dict[Key, float]:
        """What its placements have in common with others."""
        alone = (self._of(placement) for placement in candidate.placements)
        by_twos = ({key: value} for key, value in pairs(candidate.placements))
        return combined([*alone, *by_twos])

    def _of(self, placement: Placement) -> dict[Key, float]:
        found = self._known.get(placement)
        if found is None:
            found = self._known[placement] = features_of(placement)
        return found
