"""What a space allows, as a sampler chooses it and as a set."""

import optuna
import pytest
from simulated import TINY, make_space

from models.architecture import Architecture
from models.build import check
from search.candidates import Placements, choose, count_architectures, every_architecture
from search.space import Space

VARIETY = [
    (),
    TINY,
    ("placement.at_most=1",),
    ("placement.at_most=4", "placement.attention={se: {reduction: 4}, bridge: {reduction: 4}}"),
    ("placement.stages=[4]", "placement.attention.residual={}"),
    (
        "placement.stages=[4]",
        "placement.attention={nonlocal: {mode: [gaussian, embedded_gaussian], "
        "scale: [true, false]}}",
    ),
]
spaces = pytest.mark.parametrize("overrides", VARIETY, ids=range(len(VARIETY)))


def allowed(space: Space, architecture: Architecture) -> bool:
    check(architecture, space.file.data.image_size)
    return (
        architecture.backbone == space.file.backbone
        and len(architecture.placements) <= space.file.placement.at_most
        and all(
            any(p.block in choices.variants() for choices in space.choices_at[p.slot])
            for p in architecture.placements
        )
    )


@spaces
def test_the_count_is_the_number_of_different_architectures(overrides: tuple[str, ...]) -> None:
    space = make_space(*overrides)
    everything = list(every_architecture(space))
    assert count_architectures(space) == len(set(everything)) == len(everything)
    assert len({architecture.architecture_id for architecture in everything}) == len(everything)
    assert all(allowed(space, architecture) for architecture in everything)
    counts = [len(architecture.placements) for architecture in everything]
    assert counts == sorted(counts)
    assert everything[0] == space.baseline


def test_counts_by_hand() -> None:
    assert count_architectures(make_space(*TINY)) == 1 + 2 * 2
    # Two slots (before_add) with 5 variants (se 2, gc 2, bridge 1) and four with 4, where nothing
    # is earlier: none of them, one, or two, of which six pairs are of the four.
    one, two = 2 * 5 + 4 * 4, 5 * 5 + 6 * 4 * 4 + (2 * 4) * 5 * 4
    assert count_architectures(make_space()) == 1 + one + two == 308


@spaces
def test_what_is_chosen_is_allowed_and_reaches_everything(overrides: tuple[str, ...]) -> None:
    space = make_space(*overrides)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(1))
    chosen = {choose(space, study.ask()) for _ in range(900)}
    assert all(allowed(space, architecture) for architecture in chosen)
    everything = set(every_architecture(space))
    assert space.baseline not in chosen, "it is tried before the sampler is asked"
    assert chosen <= everything
    if len(everything) < 20:
        assert chosen == everything - {space.baseline}


def test_bridge_is_chosen_before_the_addition_only(space: Space) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(1))
    chosen = [p for _ in range(200) for p in choose(space, study.ask()).placements]
    positions = {p.block.name: set() for p in chosen}
    for placement in chosen:
        positions[placement.block.name].add(placement.slot.position)
    assert positions["bridge"] == {"before_add"}
    assert positions["se"] == positions["gc"] == {"after_conv1", "before_add", "after_block"}


def test_a_slot_chosen_twice_keeps_its_first_block(space: Space) -> None:
    slot = "stage4.block2.before_add"
    trial = optuna.trial.FixedTrial(
        {
            "placements": 2,
            "slot1": slot,
            "attention1": "se",
            "se1.reduction": 2,
            "slot2": slot,
            "attention2": "gc",
            "gc2.ratio": 0.5,
            "gc2.fusion": "mul",
        }
    )
    (only,) = choose(space, trial).placements
    assert str(only) == f"{slot}=se(bias=false, reduction=2)"


def test_parameters_that_have_no_effect_are_not_asked_for(space: Space) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    trials = [study.ask() for _ in range(20)]
    assert {len(choose(space, trial).placements) for trial in trials} == {1, 2}
    for trial in trials:
        names = [name for name in trial.params if name.startswith(("slot", "attention"))]
        assert len(names) == 2 * trial.params["placements"]


def test_what_cannot_be_together_is_neither_given_nor_gone_through(space: Space) -> None:
    def fits(placements: Placements) -> bool:
        return len({p.slot.block for p in placements}) == len(placements)

    alone = [each for each in every_architecture(space) if fits(each.placements)]
    assert 1 < len(alone) < count_architectures(space)
    assert list(every_architecture(space, fits)) == alone
    huge = make_space(
        "placement.at_most=12", "placement.stages=[1, 2, 3, 4]", "placement.blocks=[1, 2]"
    )
    assert count_architectures(huge) > 10**9
    asked = []
    singles = list(every_architecture(huge, lambda each: asked.append(each) or len(each) == 1))
    assert {len(each.placements) for each in singles} == {0, 1}
    assert len(asked) < len(singles) ** 2
