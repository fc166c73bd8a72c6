"""What placements are worth, where that is known since it was made up."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from simulated import epoch, make_space
from test_early_stopping import trial

from models.architecture import Architecture
from search.candidates import choose
from search.effects import FEWEST, PROPERTIES, Effect, effects
from search.sampling.neighbour import Neighbour
from search.space import Space
from search.trial import Role, State, Trial

SPACE = make_space("placement.stages=[2, 3, 4]", "placement.positions=[before_add]")
WORTH = {"se": 0.04, "gc": -0.03, "bridge": 0.0}  # in accuracy, about 0.5, for each placement


def architectures(space: Space, many: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    drawn = dict.fromkeys(choose(space, Neighbour({}, 0, rng)) for _ in range(20 * many))
    return list(drawn)[:many]


def trained(many: int, noise: float = 0.01, seed: int = 0) -> list[Trial]:
    """Trials of random architectures, the plain backbone first, whose worth is known."""
    rng = np.random.default_rng(seed)
    found = []
    for number, architecture in enumerate([SPACE.baseline, *architectures(SPACE, many, seed)]):
        worth = sum(WORTH[p.block.name] for p in architecture.placements)
        accuracy = 0.5 + worth + noise * rng.normal()
        role = Role.CANDIDATE if number else Role.BASELINE
        found.append(
            trial(
                accuracy,
                number=number,
                architecture=architecture,
                state=State.COMPLETE,
                epochs=1,
                role=role,
            )
        )
    return found


def by_type(found: list[Effect]) -> dict[str, Effect]:
    return {each.value: each for each in found if each.kind == "type"}


def test_the_worth_of_each_type_is_found() -> None:
    found = by_type(effects(trained(60)))
    assert found.keys() == WORTH.keys()
    for name, worth in WORTH.items():
        gain = found[name].by_model
        assert gain.value == pytest.approx(worth, abs=0.012)
        assert gain.low < gain.value < gain.high
    assert list(found) == ["se", "bridge", "gc"], "by falling gain"


@pytest.mark.parametrize(("many", "widest"), [(12, 0.15), (25, 0.1), (60, 0.06)])
def test_intervals_hold_what_is_true(many: int, widest: float) -> None:
    """Those of all rows, also such as one trial speaks for."""
    held, widths = [], []
    for seed in range(30):
        trials = trained(many, noise=0.02, seed=seed)
        for effect in effects(trials):
            gain = effect.by_model
            held.append(gain.low < truth(trials, effect) < gain.high)
            widths.append(gain.high - gain.low)
    assert np.mean(held) > 0.92
    assert np.median(widths) < widest, "they say something"


def truth(trials: list[Trial], effect: Effect) -> float:
    """The worth of a placement with the property, in the mean over the trials that have any."""
    of_placement = PROPERTIES[effect.kind]
    chosen = (
        [
            WORTH[p.block.name]
            for p in each.architecture.placements
            if effect.value in of_placement(p)
        ]
        for each in trials
    )
    return float(np.mean([np.mean(worth) for worth in chosen if worth]))


def test_what_was_confounded_is_told_apart() -> None:
    """`bridge`, worth nothing, always sits beside `se`: only the plain comparison is taken in."""
    every = [t for t in trained(300, noise=0.002) if t.number]
    beside = [t for t in every if _types(t) in ({"se", "bridge"}, {"gc"}, {"se"})]
    effect = by_type(effects(beside))["bridge"]
    assert effect.by_trials is not None
    assert effect.by_trials.low > 0.01
    assert abs(effect.by_model.value) < 0.01


def _types(of: Trial) -> set[str]:
    return {placement.block.name for placement in of.architecture.placements}


def test_every_property_of_every_placement_is_there() -> None:
    trials = trained(20)
    found = effects(trials)
    values = {(e.kind, e.value): e.trials for e in found}
    for kind, of_placement in PROPERTIES.items():
        for each in trials:
            for placement in each.architecture.placements:
                assert all((kind, value) in values for value in of_placement(placement))
    with_se = sum("se" in _types(each) for each in trials)
    assert values["type", "se"] == with_se
    assert [each.kind for each in found] == sorted(
        (each.kind for each in found), key=list(PROPERTIES).index
    )


def test_too_few_say_nothing() -> None:
    assert effects([]) == []
    assert effects(trained(FEWEST - 1)) == []
    assert effects(trained(FEWEST)) != []
    stopped = [replace(each, state=State.STOPPED) for each in trained(20)]
    assert effects(stopped) == []
    checks = [replace(each, role=Role.CHECK) for each in trained(20)]
    assert effects(checks) == []


def test_all_equal_is_worth_nothing() -> None:
    equal = [replace(each, curve=(epoch(1, 0.5),)) for each in trained(12)]
    for effect in effects(equal):
        assert effect.by_model.value == pytest.approx(0, abs=1e-6)
        assert effect.by_trials is None


def test_it_needs_no_paddle() -> None:
    code = "import sys, search.effects; sys.exit('paddle' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bad_candidates_that_were_given_up_count() -> None:
    """Without them a block is as good as those of its candidates that were let live."""
    gains = []
    for seed in range(5):
        halves = half_trained(seed)
        alone = [each for each in halves if each.state is State.COMPLETE]
        assert 20 < len(alone) < len(halves) - 20
        found, flattered = (by_type(effects(of))["gc"] for of in (halves, alone))
        gains.append((found.by_model.value, flattered.by_model.value))
        assert found.trials > flattered.trials
        assert found.by_trials == flattered.by_trials
    by_all, by_those_let_live = np.mean(gains, axis=0)
    assert by_all == pytest.approx(WORTH["gc"], abs=0.006)
    assert by_those_let_live > by_all + 0.004


def half_trained(seed: int) -> list[Trial]:
    """The worse ones were given up after the first of two epochs."""
    rng, found = np.random.default_rng(seed), []
    for each in trained(120, noise=0.02, seed=seed):
        end = each.val_accuracy or 0.0
        curve = (epoch(1, end - 0.1 + 0.005 * rng.normal()), epoch(2, end))
        bad = end < 0.49
        state = State.STOPPED if bad else State.COMPLETE
        found.append(replace(each, epochs=2, curve=curve[:1] if bad else curve, state=state))
    return found
