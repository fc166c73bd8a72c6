"""PED-ANOVA over what candidates choose, where it is known what matters since it was made up."""

from dataclasses import replace

import pytest
from test_effects import trained

from search.importances import BEST, BEST_OF_MANY, FEWEST, importances
from search.trial import Role, State

OBJECTIVES = ("val_accuracy", "params")


def test_what_decides_is_found_beside_what_does_not() -> None:
    """Accuracy depends on the block alone: its stage shows what chance shows."""
    found = importances(trained(80), ("val_accuracy",))
    shares = {each.choice: each for each in found.found}
    assert found.found[0].choice == "type"
    assert shares["type"].accuracy > 2 * shares["type"].by_chance
    assert shares["stage"].accuracy < 2 * shares["stage"].by_chance
    assert all(each.front is None for each in found.found)


def test_shares_add_up() -> None:
    found = importances(trained(40), OBJECTIVES).found
    for of in ("accuracy", "by_chance", "front"):
        assert sum(getattr(each, of) for each in found) == pytest.approx(1.0)
    assert [each.accuracy for each in found] == sorted((e.accuracy for e in found), reverse=True)
    assert {"placements", "type", "stage"} <= {each.choice for each in found}


def test_the_same_trials_have_the_same_importances() -> None:
    assert importances(trained(30), OBJECTIVES) == importances(trained(30), OBJECTIVES)


def test_too_few_say_nothing() -> None:
    assert importances([], OBJECTIVES).found == ()
    few = importances(trained(FEWEST - 1), OBJECTIVES)
    assert (few.trials, few.found) == (FEWEST - 1, ())
    assert importances(trained(FEWEST), OBJECTIVES).found != ()
    for change in (
        {"state": State.STOPPED},
        {"role": Role.CONTROL},
        {"over_budget": (("x", 2.0),)},
    ):
        others = [replace(each, **change) for each in trained(40)]  # type: ignore[arg-type]
        assert importances(others, OBJECTIVES).found == ()


def test_the_best_are_at_least_five() -> None:
    assert importances(trained(30), OBJECTIVES).best == BEST
    assert importances(trained(60), OBJECTIVES).best == BEST_OF_MANY


def test_where_all_choose_the_same_nothing_matters() -> None:
    one = trained(1)[1]
    alike = [replace(one, number=number) for number in range(FEWEST + 5)]
    assert importances(alike, OBJECTIVES).found == ()


def test_equal_accuracies_do_no_harm() -> None:
    curve = trained(1)[1].curve
    equal = [replace(each, curve=curve) for each in trained(30)]
    found = importances(equal, ("val_accuracy",)).found
    assert sum(each.accuracy for each in found) == pytest.approx(1.0)
