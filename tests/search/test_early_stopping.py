"""Early stopping by hand-made curves."""

from dataclasses import replace

import pytest
from simulated import epoch

from models.architecture import Architecture, Backbone
from search.early_stopping import reason_to_stop, stands_still
from search.trial import Role, State, Trial
from trainers.config import EarlyStopping

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
    return trial(*accuracies, number=7, **({"state": State.COMPLETE} | more))


def rules(**given: object) -> EarlyStopping:
    return EarlyStopping.model_validate(given)


def stopped(mine: Trial, *others: Trial, **given: object) -> str | None:
    return reason_to_stop(mine, others, rules(**given), COSTS)


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
    with_patience = rules(patience=2, min_improvement=0.01)
    reason = stands_still(trial(*accuracies).curve, with_patience)
    assert (reason is not None) == still
    assert reason is None or reason.startswith("patience: no improvement in 2 epochs over 0.")


def test_without_patience_a_flat_curve_goes_on() -> None:
    assert stands_still(trial(*[0.5] * 50).curve, rules(patience=None)) is None
    assert stopped(trial(*[0.5] * 50)) is None


def test_grace_epochs_come_first() -> None:
    flat = {"patience": 1, "grace_epochs": 4, "min_improvement": 0.01}
    assert stopped(trial(0.5, 0.5, 0.5), **flat) is None
    assert stopped(trial(0.5, 0.5, 0.5, 0.5), **flat) is not None
    better = done(0.9, 0.9, 0.9, 0.9)
    assert stopped(trial(0.5, 0.5), better, grace_epochs=3) is None
    assert stopped(trial(0.5, 0.6, 0.7), better, grace_epochs=3) is not None


def test_dominated_at_the_same_epoch() -> None:
    reason = stopped(trial(0.3), done(0.5, 0.9))
    assert reason is not None
    assert "0.3000 in epoch 1" in reason
    assert "trial 7" in reason
    assert "0.5000" in reason
    assert stopped(trial(0.49), done(0.5, 0.9)) is None, "within the margin"
    assert stopped(trial(0.6), done(0.5, 0.9)) is None, "better at this epoch"
    assert stopped(trial(0.6, 0.6), done(0.5, 0.9)) is not None


def test_the_margin_is_exclusive() -> None:
    assert stopped(trial(0.25), done(0.5), margin=0.25) is None
    assert stopped(trial(0.25), done(0.5), margin=0.2) is not None


@pytest.mark.parametrize(
    ("other", "stops"),
    [
        ({}, True),
        ({"params": 99, "latency_ms": 4.9}, True),
        ({"params": 101}, False),
        ({"latency_ms": 5.1}, False),
        ({"params": 1, "latency_ms": 5.1}, False),
        ({"latency_ms": None}, False),
        ({"macs": 10**9}, True),
    ],
)
def test_only_by_one_that_costs_no_more(other: dict[str, object], stops: bool) -> None:
    assert (stopped(trial(0.3), done(0.9, **other)) is not None) == stops


@pytest.mark.parametrize(
    "other",
    [
        {"state": State.RUNNING},
        {"state": State.STOPPED},
        {"state": State.FAILED},
        {"over_budget": (("max_params", 1.5),)},
    ],
)
def test_only_by_one_that_is_fully_trained_and_feasible(other: dict[str, object]) -> None:
    assert stopped(trial(0.3), done(0.9, **other)) is None


def test_switched_off() -> None:
    assert stopped(trial(0.3), done(0.9), dominated=False) is None


def test_a_shorter_curve_compares_with_nothing() -> None:
    assert stopped(trial(0.1, 0.1), done(0.9)) is None
