"""What a placement has in common with others; read without Paddle."""

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
)


def features_of(placement: Placement) -> dict[Key, float]:
    """The features of one placement, each 1."""
    slot, block = placement.slot, placement.block
    keys: list[Key] = [
        ("count", None),
        ("type", block.name),
        ("type, stage", (block.name, slot.stage)),
        ("type, position", (block.name, slot.position)),
        ("type, slot", (block.name, slot)),
        ("slot", slot),
        *(("option", (block.name, *option)) for option in block.options),
        ("block", block),
        ("block, slot", placement),
    ]
    return dict.fromkeys(keys, 1.0)


class PlacementFeatures:
    """The features of architectures: the sums of their placements'."""

    levels = LEVELS

    def __init__(self) -> None:
        self._known: dict[Placement, dict[Key, float]] = {}

    def features(self, candidate: Architecture) -> dict[Key, float]:
        """The sum of what its placements have in common with others."""
        return combined([self._of(placement) for placement in candidate.placements])

    def _of(self, placement: Placement) -> dict[Key, float]:
        found = self._known.get(placement)
        if found is None:
            found = self._known[placement] = features_of(placement)
        return found
