"""Early stopping by hand-made curves."""

from dataclasses import replace

import numpy as np
import pytest
from simulated import epoch

from benchmarks.stopping_risk import KINDS, studies
from models.architecture import Architecture, Backbone
from search.early_stopping import reason_to_stop
from search.sampling.curves import Curves
from search.sampling.observations import loss
from search.space_file import EarlyStopping, SearchConfig
from search.trial import Role, State, Trial

COSTS = ("params", "latency_ms")


def trial(*accuracies: float, number: int = 1, **more: object) -> Trial:
    curve = tuple(epoch(index, value) for index, value in enumerate(accuracies, 1))
    made = Trial(
        number=number,
        state=State.RUNNING,
        role=Role.CANDIDATE,
        architecture=Architecture(Backbone()),
        params=100,
        summary_params=110,
        macs=1000,
        latency_ms=5.0,
        latency=None,
        worker=None,
        curve=curve,
        reason="",
        over_budget=(),
        epochs=9,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def done(*accuracies: float, **more: object) -> Trial:
    return trial(*accuracies, **({"state": State.COMPLETE} | more))


def rules(rule: str, **given: object) -> EarlyStopping:
    return EarlyStopping.model_validate({"rule": rule, **given})


def stopped(rule: str, mine: Trial, *others: Trial, **given: object) -> str | None:
    return reason_to_stop(mine, others, rules(rule, **given), COSTS)


# By patience.


@pytest.mark.parametrize(
    ("accuracies", "still"),
    [
        ((0.5,), False),
        ((0.5, 0.5), False),
        ((0.5, 0.5, 0.5), True),
        ((0.5, 0.4, 0.45), True),
        ((0.5, 0.509, 0.509), True),
        ((0.5, 0.4, 0.51), False),
        ((0.5, 0.51, 0.4), False),
        ((0.1, 0.5, 0.5, 0.5), True),
        ((0.1, 0.2, 0.3, 0.4), False),
    ],
)
def test_patience_of_two_epochs(accuracies: tuple[float, ...], still: bool) -> None:
    reason = stopped("patience", trial(*accuracies), patience=2, min_improvement=0.01)
    assert (reason is not None) == still
    assert reason is None or reason.startswith("patience: no improvement in 2 epochs over 0.")


# By its curve.

GOOD = [0.55, 0.6, 0.65, 0.7, 0.58, 0.63]  # final accuracies of others, which gain 0.1 an epoch


def curve(final: float, epochs: int = 9) -> list[float]:
    """A curve of nine epochs that ends at `final`, so far."""
    return [final - 0.02 * (9 - epoch) for epoch in range(1, epochs + 1)]


def whole(*finals: float, **more: object) -> list[Trial]:
    return [done(*curve(final), number=10 + number, **more) for number, final in enumerate(finals)]


def test_a_curve_that_leads_below_the_front() -> None:
    reason = stopped("curve", trial(*curve(0.5, 2)), *whole(*GOOD))
    assert reason is not None
    assert reason.startswith("curve: 0.3600 in epoch 2 leads to expect 0.")
    assert "trial 13, which costs no more, has 0.7000" in reason


@pytest.mark.parametrize("final", [0.7, 0.72, 0.9])
def test_a_curve_that_may_reach_the_front_goes_on(final: float) -> None:
    assert stopped("curve", trial(*curve(final, 2)), *whole(*GOOD)) is None


def test_without_four_whole_curves_nothing_is_expected() -> None:
    poor = trial(*curve(0.3, 2))
    assert stopped("curve", poor, *whole(*GOOD[:3])) is None
    begun = done(*curve(0.9, 5), state=State.STOPPED)
    assert stopped("curve", poor, *whole(*GOOD[:3]), begun) is None
    assert stopped("curve", poor, *whole(*GOOD[:4])) is not None


@pytest.mark.parametrize(
    ("best", "stops"),
    [
        ({}, True),
        ({"params": 99, "latency_ms": 4.9}, True),
        ({"params": 101}, False),
        ({"latency_ms": 5.1}, False),
        ({"params": 1, "latency_ms": 5.1}, False),
        ({"latency_ms": None}, False),
        ({"macs": 10**9}, True),
        ({"over_budget": (("max_params", 1.5),)}, False),
    ],
)
def test_the_front_is_of_those_that_cost_no_more(best: dict[str, object], stops: bool) -> None:
    """0.6 is below the best, 0.7, and above all others."""
    noisy = [
        done(*curve(0.5 + 0.001 * (n % 3)), number=20 + n, params=params, latency_ms=latency_ms)
        for n, (params, latency_ms) in enumerate(
            ((1, 6.0), (30, 4.0), (60, 5.5), (90, 4.5), (150, 5.2), (300, 4.8))
        )
    ]
    reason = stopped("curve", trial(*curve(0.6, 6)), *noisy, *whole(0.7, **best))
    assert (reason is not None) == stops


def test_where_nothing_costs_less_there_is_a_place_on_the_front() -> None:
    assert stopped("curve", trial(*curve(0.1, 6), params=1), *whole(*GOOD)) is None


def test_it_is_asked_ever_more_rarely_and_the_risk_shared_out() -> None:
    asked = [n for n in range(1, 9) if stopped("curve", trial(*curve(0.3, n)), *whole(*GOOD))]
    assert asked == [1, 2, 3, 4, 6]
    late = [
        n
        for n in range(1, 9)
        if stopped("curve", trial(*curve(0.3, n)), *whole(*GOOD), grace_epochs=3)
    ]
    assert late == [3, 4, 6]
    rng = np.random.default_rng(0)
    others = [
        done(*(curve(0.5 + 0.01 * rng.normal())[:-1]), 0.5 + 0.02 * rng.normal(), number=10 + n)
        for n in range(60)
    ]
    rarities = {n: rarity(trial(*curve(0.49, n)), others) for n in (4, 6)}
    for n, grace, questions in ((6, 6, 1), (4, 4, 2), (4, 3, 3)):
        for risk, stops in ((1.01, True), (0.99, False)):
            given = {"grace_epochs": grace, "risk": risk * questions * rarities[n]}
            assert (stopped("curve", trial(*curve(0.49, n)), *others, **given) is not None) == stops


def rarity(mine: Trial, others: list[Trial]) -> float:
    curves = Curves([[loss(e.val_accuracy) for e in other.curve] for other in others])
    best = max(other.val_accuracy or 0.0 for other in others)
    found = curves.how_rarely_as_bad([loss(e.val_accuracy) for e in mine.curve], loss(best))
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["curves say something", "larger ones are better"])
def test_front_members_are_lost_as_rarely_as_said(kind: str) -> None:
    """In studies in which the rule itself gave up what it goes by no more."""
    counted = studies(KINDS[kind], risk=0.1, many=6)
    assert counted.reaching > 20
    assert counted.lost <= chance_allows(counted.most_lost(0.1))
    assert counted.given_up > 0.3 * (counted.begun - counted.reaching), "it is worth it"


@pytest.mark.slow
@pytest.mark.parametrize("risk", [0.05, 0.2])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_studies_are_like(kind: str, risk: float) -> None:
    counted = studies(KINDS[kind], risk, many=20)
    assert counted.lost <= chance_allows(counted.most_lost(risk))
    assert counted.given_up > 0


def chance_allows(most: float) -> float:
    return most + 2 * most**0.5


def cut(whole_one: Trial, epochs: int = 3, state: State = State.STOPPED) -> Trial:
    return replace(whole_one, curve=whole_one.curve[:epochs], state=state)


# By successive halving.


def rivals(*accuracies: float, **more: object) -> list[Trial]:
    return [trial(value, number=20 + n, **more) for n, value in enumerate(accuracies)]


def test_the_best_part_goes_on() -> None:
    others = rivals(0.1, 0.2, 0.3, 0.4, 0.5)
    reason = stopped("halving", trial(0.35), *others, reduction=3)
    assert reason == "halving: 2 of 6 are ahead of it in epoch 1, 2 go on"
    assert stopped("halving", trial(0.45), *others, reduction=3) is None
    assert stopped("halving", trial(0.45), *others, reduction=6) is not None
    assert stopped("halving", trial(0.1), reduction=3) is None, "the first goes on"


def test_rank_is_that_of_fronts() -> None:
    """Ten that are better and cost more are not ahead."""
    others = rivals(*[0.5] * 10, params=200)
    assert stopped("halving", trial(0.1), *others) is None
    assert stopped("halving", trial(0.1), *rivals(*[0.5] * 10, params=90)) is not None


def test_it_is_asked_at_rungs_only() -> None:
    others = [trial(*[0.5] * 9, number=20 + n) for n in range(6)]
    asked = {"rule": "halving", "grace_epochs": 2, "reduction": 2}
    found = [
        epochs
        for epochs in range(1, 9)
        if reason_to_stop(
            trial(*[0.1] * epochs), others, EarlyStopping.model_validate(asked), COSTS
        )
    ]
    assert found == [2, 4, 8]
    assert stopped("halving", trial(0.1), *rivals(0.5, latency_ms=None)) is None
    assert stopped("halving", trial(0.1, latency_ms=None), *rivals(0.5, latency_ms=None)) is None


# All of them.


@pytest.mark.parametrize("rule", ["curve", "halving", "patience", "none"])
def test_neither_too_early_nor_at_the_end(rule: str) -> None:
    others, poor = whole(*GOOD), [0.1] * 9
    grace = {} if rule == "none" else {"grace_epochs": 3}
    assert stopped(rule, trial(*poor[:2]), *others, **grace) is None
    assert stopped(rule, trial(*poor), *others, **grace) is None, "it is trained already"
    late = [stopped(rule, trial(*poor[:n]), *others, **grace) for n in range(3, 9)]
    assert any(late) == (rule != "none")


@pytest.mark.parametrize("rule", ["curve", "halving", "patience", "none"])
def test_a_word_is_a_rule(rule: str) -> None:
    assert SearchConfig.model_validate({"early_stopping": rule}).early_stopping.rule == rule


@pytest.mark.parametrize(
    ("rule", "key"),
    [("curve", "patience"), ("halving", "risk"), ("patience", "reduction"), ("none", "risk")],
)
def test_what_has_no_effect_is_refused(rule: str, key: str) -> None:
    value = 0.1 if key == "risk" else 3
    with pytest.raises(ValueError, match=f"{key} has no effect with the rule {rule}"):
        rules(rule, **{key: value})
