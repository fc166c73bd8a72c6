"""What a sampler sees of placements."""

import itertools
from collections import Counter

from models.architecture import Architecture, Backbone, Block, Placement, Slot
from search.placement_features import LEVELS, PlacementFeatures

PLACES = [
    Placement(Slot(1, 1, "after_conv1"), Block("se")),
    Placement(Slot(1, 1, "before_add"), Block("gc", (("ratio", 0.5),))),
    Placement(Slot(1, 1, "after_block"), Block("se")),
    Placement(Slot(1, 2, "before_add"), Block("se")),
    Placement(Slot(3, 1, "before_add"), Block("eca")),
]
WHOLE = Architecture(Backbone(), tuple(PLACES))
FEATURES = PlacementFeatures().features(WHOLE)


def of_level(level: str) -> dict[object, float]:
    return {feature: value for (known, feature), value in FEATURES.items() if known == level}


def test_each_is_of_a_known_level_and_each_level_has_some() -> None:
    assert {level for level, _ in FEATURES} == set(LEVELS)


def test_those_of_placements_add_up() -> None:
    assert of_level("count") == {None: 5}
    assert of_level("type") == {"se": 3, "gc": 1, "eca": 1}
    assert of_level("type, stage") == {("se", 1): 3, ("gc", 1): 1, ("eca", 3): 1}
    assert of_level("option") == {("gc", "ratio", 0.5): 1}
    assert sum(of_level("slot").values()) == 5


def test_pairs_of_stages_are_all_pairs() -> None:
    stages = (placement.slot.stage for placement in PLACES)
    assert of_level("stages") == Counter(itertools.combinations(stages, 2))
    assert of_level("stages") == {(1, 1): 6, (1, 3): 4}


def test_pairs_of_types_are_those_in_one_residual_block() -> None:
    assert of_level("types, residual block") == {("gc", "se"): 2, ("se", "se"): 1}


def test_one_placement_makes_no_pair() -> None:
    alone = PlacementFeatures().features(Architecture(Backbone(), (PLACES[0],)))
    assert not {"stages", "types, residual block"} & {level for level, _ in alone}
    assert PlacementFeatures().features(Architecture(Backbone())) == {}
