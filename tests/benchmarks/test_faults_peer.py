"""The questions that `faults_peer.py` asks find what they are to find, in studies made up here."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import fault_checks as checks
from benchmarks import plain_tune
from benchmarks.fault_checks import COMPLETE, FAILED, RUNNING, Epoch, Row
from benchmarks.fault_scenarios import FAULTS, midway
from benchmarks.fault_sides import EPOCHS, Ours, Peer
from benchmarks.faulty_epochs import LOG, STRIKES_AT, Diary, MadeUpError

BEFORE = [
    Row(0, "a", COMPLETE, 0.25),
    Row(1, "b", COMPLETE, 0.5),
    Row(2, "c", RUNNING, 0.1),
]
AFTER = [*BEFORE[:2], Row(2, "c", COMPLETE, 0.75), Row(3, "d", COMPLETE, 0.125)]


def epochs(key: str, *numbers: int) -> list[Epoch]:
    return [Epoch(key, number) for number in numbers]


RERUN = [*epochs("c", 4, 5), *epochs("d", 1, 2, 3, 4, 5)]
ALL = [*epochs("a", 1, 2, 3, 4, 5), *epochs("b", 1, 2, 3, 4, 5), *epochs("c", 1, 2, 3), *RERUN]


def test_a_search_that_went_on_as_it_should_is_not_faulted() -> None:
    found = [
        checks.lost(BEFORE, AFTER),
        checks.run_again(BEFORE, RERUN),
        checks.repeated(BEFORE, ALL),
        checks.zombies(AFTER),
        checks.duplicates(AFTER),
        checks.wrong_number(AFTER, 4),
        checks.too_few_complete(AFTER, 4),
        checks.not_numbers(AFTER),
        checks.without_reason(AFTER),
        checks.other_values(AFTER, {"a": 0.25, "c": 0.75, "of another study": 1.0}),
        checks.raw_traces("error: the disk is full; make room\n  and go on"),
    ]
    assert not any(found)


@pytest.mark.parametrize(
    "after",
    [AFTER[1:], [replace(AFTER[0], value=0.26), *AFTER[1:]], [replace(AFTER[0], state=RUNNING)]],
)
def test_what_is_lost_or_changed_is_found(after: list[Row]) -> None:
    gone = 2 if len(after) == 1 else 1
    assert checks.lost(BEFORE, after) == [f"{gone} of 2 finished trials lost or changed"]


def test_finished_trials_that_are_trained_again_are_found() -> None:
    again = [*RERUN, *epochs("b", 1, 2)]
    assert checks.run_again(BEFORE, again) == ["1 of 2 finished trials run again"]


def test_trials_that_begin_again_are_found_and_counted() -> None:
    again = [*ALL, *epochs("c", 1, 2)]
    (found,) = checks.repeated(BEFORE, again)
    assert found.startswith("1 in flight")
    assert "2 epochs twice" in found
    assert not checks.repeated(BEFORE, [*ALL, *epochs("c", 3)]), "the struck epoch may be repeated"
    assert not checks.repeated(BEFORE, again, allowed=2)
    assert not checks.repeated(BEFORE, [*ALL, *epochs("a", 1, 2, 3)]), "that is `run_again`"
    assert checks.repeated((), [*ALL, *epochs("a", 1, 2, 3)]), "where nothing was run again"


def test_zombies_duplicates_and_wrong_numbers_are_found() -> None:
    after = [*AFTER[:2], BEFORE[2], Row(3, "c", COMPLETE, 0.75), Row(4, "b", COMPLETE, 0.5)]
    assert checks.zombies(after) == ["1 left RUNNING for ever"]
    assert checks.duplicates(after) == ["2 with a second row in the study"]
    assert checks.wrong_number(after, 4) == ["5 trials instead of 4"]
    assert checks.too_few_complete(after, 5) == ["4 complete instead of 5"]


def test_values_that_are_none_and_failures_without_a_reason_are_found() -> None:
    after = [Row(0, "a", COMPLETE, math.inf), Row(1, "b", COMPLETE, math.nan), Row(2, "c", FAILED)]
    assert checks.not_numbers(after) == ["2 COMPLETE with inf and nan"]
    assert checks.without_reason(after) == ["1 failed without a reason in the study"]
    assert not checks.without_reason([Row(2, "c", FAILED, reason="diverged")])


def test_other_values_than_without_the_fault_are_found() -> None:
    assert checks.other_values(AFTER, {"a": 0.25, "c": 0.7500001}) == [
        "1 of 2 with another value than without the fault"
    ]


def test_tracebacks_of_python_and_of_native_code_are_counted() -> None:
    said = (
        "\x1b[36m(train pid=7)\x1b[0m Traceback (most recent call last):\n"
        '\x1b[36m(train pid=7)\x1b[0m   File "x.py", line 1, in f\n'
        "\x1b[36m(train pid=7)\x1b[0m ValueError: no\n"
        "and so on\n"
        "*** SIGTERM received at time=1 on cpu 0 ***\n"
        "    @     0x7f0000000000  (unknown)  read\n"
        "[1] logging.cc:4: PC: @     0x7f0000000000  (unknown)\n"
    )
    assert checks.raw_traces(said) == ["traceback of 6 lines"]


def test_faults_strike_midway() -> None:
    ended, begun = epochs("a", *range(1, EPOCHS + 1)), epochs("b", 1, 2, STRIKES_AT)
    assert midway([*ended, *begun], 1) == Epoch("b", STRIKES_AT)
    assert midway([*ended, *begun], 2) is None, "too little to lose"
    assert midway([*ended, *begun[:-1]], 1) is None, "too early"
    assert midway([*ended, *epochs("b", EPOCHS - 1)], 1) is None, "too late"


def test_documented_exit_codes_are_asked_of_this_program_only() -> None:
    assert Ours().right_exit(3, 3)
    assert not Ours().right_exit(3, 1)
    assert Peer().right_exit(3, 1)
    assert not Peer().right_exit(3, 0)
    assert not Peer().right_exit(0, 1)


def test_the_diary_strikes_one_trial_and_always_the_same(tmp_path: Path) -> None:
    diary = Diary(tmp_path, "raise", 4)
    for epoch in range(1, 4):
        assert diary.epoch("a", epoch) is None, "nothing is finished yet"
    diary.epoch("a", 4)
    with pytest.raises(MadeUpError):
        diary.epoch("b", STRIKES_AT)
    assert diary.epoch("c", STRIKES_AT) is None, "one is enough"
    with pytest.raises(MadeUpError):
        diary.epoch("b", STRIKES_AT)
    assert len((tmp_path / LOG).read_text(encoding="utf-8").splitlines()) == 7


def test_infinities_strike_two_trials(tmp_path: Path) -> None:
    diary = Diary(tmp_path, "inf", 4)
    diary.epoch("a", 4)
    said = [diary.epoch(key, STRIKES_AT) for key in "bcdb"]
    assert said == [math.inf, -math.inf, None, math.inf]


def test_every_bit_of_the_made_up_training_matters() -> None:
    weights = plain_tune.first_weights("0123456789ab")
    true = plain_tune.accuracy(plain_tune.learned(weights), 2)
    weights[1000] ^= 1 << 6
    assert plain_tune.accuracy(plain_tune.learned(weights), 2) != true


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
