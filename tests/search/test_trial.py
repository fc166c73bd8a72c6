"""What a trial is called where people read it."""

import pytest
from simulated import make_space

from models.architecture import Architecture, Placement, Slot
from models.attention import make_block
from search.trial import Role, State, Trial

SE, ECA = make_block("se", {"reduction": 4}), make_block("eca", {})
SLOTS = [Slot(stage, 1, "before_add") for stage in (1, 2, 3, 4)]


def trial(name: str, *blocks: object) -> Trial:
    placements = tuple(Placement(*pair) for pair in zip(SLOTS, blocks, strict=False))
    architecture = Architecture(make_space().file.backbone, placements)
    return Trial(
        number=0,
        state=State.RUNNING,
        role=Role.CANDIDATE,
        name=name,
        architecture=architecture,
        params=1,
        summary_params=1,
        macs=1,
        latency_ms=None,
        latency=None,
        worker=None,
        curve=(),
        reason="",
        over_budget=(),
        epochs=1,
    )


@pytest.mark.parametrize(
    ("name", "blocks", "title"),
    [
        ("", (), "none"),
        ("plain", (), "plain: none"),
        ("", (SE,), f"stage1.block1.before_add={SE}"),
        ("one", (SE,), f"one: stage1.block1.before_add={SE}"),
        ("two", (SE, ECA), f"two: stage1.block1.before_add={SE}; stage2.block1.before_add={ECA}"),
        ("three", (SE, ECA, SE), f"three: {SE}, {ECA} in 3 slots"),
        ("four", (ECA,) * 4, f"four: {ECA} in 4 slots"),
        # Without a name every placement is listed.
        (
            "",
            (SE, SE, ECA),
            f"stage1.block1.before_add={SE}; stage2.block1.before_add={SE}; "
            f"stage3.block1.before_add={ECA}",
        ),
    ],
)
def test_titles(name: str, blocks: tuple[object, ...], title: str) -> None:
    assert trial(name, *blocks).title == title


def test_a_name_is_no_part_of_what_a_trial_is() -> None:
    assert trial("a", SE).architecture_id == trial("b", SE).architecture_id
