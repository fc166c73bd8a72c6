"""The notes that Optuna's dashboard shows: what they say, and that they are nothing but text."""

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import Executor, epoch, failing, make_driver, make_space, memory_ledger, searched

from models.architecture import Architecture, Backbone, Block, Placement, Slot
from search.dashboard.notes import MOST_EPOCHS, escaped, fenced, study_note, trial_note
from search.trial import Role, State, Trial


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return searched("search.trials=6").driver.trials


def candidate(trials: list[Trial]) -> Trial:
    return next(t for t in trials if t.role is Role.CANDIDATE and t.architecture.placements)


def test_a_note_has_the_placements_on_the_backbone_the_numbers_and_the_curve(
    trials: list[Trial],
) -> None:
    trial = candidate(trials)
    note = trial_note(trial, 16)
    for placement in trial.architecture.placements:
        assert escaped(str(placement.slot)) in note
        assert f"] {placement.block}\n" in note  # the legend of the drawing
    stages = {f"stage {p.slot.stage}, block {p.slot.block}" for p in trial.architecture.placements}
    drawn = {
        line.split("  ")[1] for line in note.splitlines() if re.search(r"\[[A-Z]\] [─→]", line)
    }
    assert drawn == stages
    assert f"{trial.params:,}" in note
    assert f"{100 * (trial.val_accuracy or 0):.2f} %" in note
    assert f"after {len(trial.curve)} of {trial.epochs} epochs" in note


def test_a_note_says_why_a_trial_ended_and_which_budget_it_exceeds(trials: list[Trial]) -> None:
    trial = dataclasses.replace(
        candidate(trials),
        state=State.STOPPED,
        reason="no\nbetter",
        over_budget=(("max_params", 2.0),),
    )
    note = trial_note(trial, 16)
    assert "**Why it ended:** no better" in note
    assert "training stopped early" in note
    assert "no: 2.00 times max\\_params" in note


def test_every_role_and_state_has_words(trials: list[Trial]) -> None:
    for role in Role:
        for state in State:
            note = trial_note(dataclasses.replace(candidate(trials), role=role, state=state), 16)
            assert note.startswith("### ")


def test_a_trial_that_was_never_trained_has_a_note() -> None:
    executor = searched("search.trials=3", simulation=failing("it | broke"))
    note = trial_note(executor.driver.trials[0], 16)
    assert "plain backbone" in note
    assert "**Why it ended:** it \\| broke" in note
    assert "Accuracy by epoch" not in note


def test_what_this_version_cannot_draw_is_not_drawn(trials: list[Trial]) -> None:
    odd = (
        Architecture(Backbone(name="of a later version")),
        Architecture(Backbone(), (Placement(Slot(9, 9, "nowhere"), Block("se")),)),
    )
    for architecture in odd:
        note = trial_note(dataclasses.replace(trials[0], architecture=architecture), 16)
        assert f"{trials[0].params:,}" in note


def test_a_long_curve_is_shown_by_some_of_its_epochs(trials: list[Trial]) -> None:
    curve = tuple(epoch(n, n / 300) for n in range(1, 201))
    note = trial_note(dataclasses.replace(trials[0], curve=curve), 16)
    rows = re.findall(r"^\| (\d+) \| .* % \|", note, re.MULTILINE)
    assert len(rows) == MOST_EPOCHS
    assert (rows[0], rows[-1]) == ("1", "200")
    bars = re.search("Accuracy by epoch: (.*)", note)
    assert bars is not None
    assert len(bars[1]) == 200


def test_the_studys_note_says_what_is_asked() -> None:
    space = make_space("objectives.max_params=50000")
    ledger = memory_ledger(space)
    note = study_note("a_b", ledger.objectives, ledger.space)
    assert "# a\\_b" in note
    assert "max\\_params = 50000" in note
    assert "resnet18" in note
    assert note.count("- Objective:") == len(ledger.objectives)


def test_a_study_of_another_version_has_a_note_too() -> None:
    executor = Executor(make_driver(make_space(), memory_ledger(make_space())))
    space: dict[str, Any] = dict(executor.driver._ledger.space)
    for backbone in ({"name": "of a later version"}, {"width": "wide"}, None):
        note = study_note("name", ("val_accuracy",), space | {"backbone": backbone})
        assert "Network" not in note


TEXT = st.text(alphabet=st.sampled_from("ab *_`~|#[]()!<>&\\:/.@$^\n\x1b\u2028"), max_size=40)


@given(TEXT)
def test_nothing_of_a_text_is_markup(text: str) -> None:
    shown = escaped(text)
    assert len(shown.splitlines()) <= 1
    left = re.sub(r"\\[!-/:-@\[-`{-~]", "", shown)
    assert not set(left) & set("\\`*_[]<>#|~!&:@.$^\n\x1b")
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown).replace("\\", "") != "" or not text.strip(
        "\\"
    )


@given(st.lists(TEXT, max_size=4))
def test_no_line_ends_its_own_fence(lines: list[str]) -> None:
    fence, *inside, end = fenced(lines)
    assert fence == f"{end}text"
    assert len(inside) == len(lines)
    assert not any(end in line for line in inside)
