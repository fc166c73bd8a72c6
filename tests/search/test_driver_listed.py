"""Candidates that a space file lists: tried before what is sampled, or in its place."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from simulated import (
    SPACE,
    TINY,
    Executor,
    Recorder,
    curves,
    failing,
    make_driver,
    make_space,
    measured,
    memory_ledger,
    states,
)

from models.build import cost
from reports.write import write_report
from search.candidates import count_architectures, every_architecture
from search.ledger import Ledger
from search.samplers import KINDS
from search.space import Space
from search.tasks import NoTask
from search.trial import Role, State, Trial
from trainers.messages import Answer, Task

HEAD = """\
backbone: {width: 0.0625}
data: {image_size: 16}
training: {epochs: 3}
finalists: {count: 0}
search: {early_stopping: none}
"""
SE_LAST = "{stage4.block2.before_add: {se: {reduction: 2}}}"
SE_EARLY = "{stage1.block1.before_add: {se: {reduction: 2}}}"
SE_ALL = "{all.all.before_add: {se: {reduction: 2}}}"
LISTED = {"se last": SE_LAST, "se early": SE_EARLY, "se all": SE_ALL}
EMPTY = "{}"


def listing(
    candidates: dict[str, str], *overrides: str, text: str = HEAD, control: str | None = None
) -> Space:
    """`text` with these candidates; nothing is sampled unless it says so."""
    lines = "".join(f"  {name}: {placements}\n" for name, placements in candidates.items())
    slot = [f"search.control_slot={control}"] if control else []
    return make_space(*slot, *overrides, text=f"{text}candidates:\n{lines}")


def run(
    space: Space,
    ledger: Ledger | None = None,
    simulation: Callable[[Task], Iterator[Answer]] = curves,
    workers: int = 1,
) -> Executor:
    ledger = ledger or memory_ledger(space)
    driver = make_driver(space, ledger, watcher=Recorder())
    executor = Executor(driver, simulation, workers)
    executor.run()
    return executor


def rows(trials: list[Trial]) -> list[tuple[Role, str, State]]:
    return [(trial.role, trial.name, trial.state) for trial in trials]


def done(role: Role, name: str = "") -> tuple[Role, str, State]:
    return role, name, State.COMPLETE


def notices(executor: Executor) -> list[str]:
    watcher = executor.driver._watcher
    assert isinstance(watcher, Recorder)
    return watcher.notices


BASELINE, CONTROL = done(Role.BASELINE), done(Role.CONTROL)
NAMED = [done(Role.CANDIDATE, name) for name in LISTED]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("sampler", KINDS)
def test_before_sampling(sampler: str, workers: int) -> None:
    space = listing(LISTED, "search.trials=10", f"search.sampler={sampler}", text=SPACE)
    executor = run(space, workers=workers)
    trials = executor.driver.trials
    assert rows(trials) == [BASELINE, CONTROL, *NAMED] + [done(Role.CANDIDATE)] * 5
    listed = [trial.architecture for trial in trials[2:5]]
    assert listed == list(space.candidates.values())
    assert len(set(executor.architecture_ids)) == 10
    assert all(space.contains(trial.architecture) for trial in trials[5:])
    assert [given.number for given in executor.assigned] == list(range(10))
    assert notices(executor) == []


def test_the_sampler_is_not_told_what_it_did_not_choose() -> None:
    ledger = memory_ledger(listing(LISTED, text=SPACE))
    run(listing(LISTED, text=SPACE), ledger)
    sampled = [bool(ledger.frozen(trial.number).params) for trial in ledger.trials()]
    assert sampled == [False] * 5 + [True] * 3


@pytest.mark.parametrize("workers", [1, 3])
def test_instead_of_sampling(workers: int) -> None:
    executor = run(listing(LISTED), workers=workers)
    assert rows(executor.driver.trials) == [BASELINE, CONTROL, *NAMED]
    assert executor.driver.done
    assert notices(executor) == []


def test_more_trials_than_are_listed_end_with_what_there_is() -> None:
    executor = run(listing(LISTED, "search.trials=50"))
    assert rows(executor.driver.trials) == [BASELINE, CONTROL, *NAMED]
    (notice,) = notices(executor)
    assert "holds no other architecture" in notice
    assert executor.driver.next_task() is NoTask.NEVER


@pytest.mark.parametrize("text", [HEAD, SPACE])
@pytest.mark.parametrize("last", [False, True])
def test_a_candidate_that_is_the_baseline_keeps_that_role(text: str, last: bool) -> None:
    given = {"a": SE_EARLY, "plain": EMPTY} if last else {"plain": EMPTY, "a": SE_EARLY}
    trials = run(listing(given, "search.trials=4", text=text)).driver.trials
    assert rows(trials)[:3] == [
        done(Role.BASELINE, "plain"),
        CONTROL,
        done(Role.CANDIDATE, "a"),
    ]
    assert len(trials) == (3 if text == HEAD else 4)
    assert trials[0].title == "plain: none"


def test_a_candidate_that_is_the_control_keeps_that_role() -> None:
    space = listing({"a": SE_EARLY, "more depth": "{last.last.after_block: residual}"})
    assert str(space.control_slot) == "stage4.block2.after_block"
    trials = run(space).driver.trials
    assert rows(trials) == [
        BASELINE,
        done(Role.CONTROL, "more depth"),
        done(Role.CANDIDATE, "a"),
    ]
    assert trials[1].title == "more depth: stage4.block2.after_block=residual"


def test_residual_blocks_in_other_slots_are_candidates() -> None:
    space = listing(
        {"x": "{stage2.last.after_block: residual}"}, control="stage4.block2.before_add"
    )
    assert rows(run(space).driver.trials) == [BASELINE, CONTROL, done(Role.CANDIDATE, "x")]


def test_candidates_over_the_parameters_are_recorded_and_not_trained() -> None:
    space = listing(LISTED)
    costs = {name: cost(each, 16).params for name, each in space.candidates.items()}
    limit = costs["se last"]
    assert costs["se early"] <= limit < costs["se all"]
    executor = run(listing(LISTED, f"objectives.max_params={limit}"))
    trials = executor.driver.trials
    over = trials[4]
    assert rows(trials) == [
        BASELINE,
        CONTROL,
        *NAMED[:2],
        (Role.CANDIDATE, "se all", State.INFEASIBLE),
    ]
    assert over.reason == f"{costs['se all'] / limit:.2f} times max_params"
    assert over.curve == ()
    assert over.latency is None
    assert over.number not in {given.number for given in executor.assigned}
    assert [trial.name for trial in executor.driver._watcher.ended if trial.over_budget] == [
        "", "se all",
    ]  # fmt: skip


def test_every_listed_candidate_over_budget() -> None:
    executor = run(listing(LISTED, "objectives.max_params=10"))
    assert states(executor) == {State.COMPLETE: 2, State.INFEASIBLE: 3}
    assert len(executor.assigned) == 2
    (notice,) = notices(executor)
    assert "no more candidates are begun" in notice


def test_an_infeasible_candidate_leaves_its_place_to_a_sampled_one() -> None:
    space = listing({"se all": SE_ALL}, "objectives.max_params=46000", text=SPACE)
    assert cost(space.candidates["se all"], 16).params > 46000
    trials = run(space).driver.trials
    assert trials[2].name == "se all"
    assert trials[2].state is State.INFEASIBLE
    assert sum(trial.state.trained for trial in trials) == 8


def test_candidates_over_the_latency_are_not_trained() -> None:
    def slow(task: Task) -> Iterator[Answer]:
        answers = curves(task)
        next(answers)
        yield measured(1.0 + len(task.architecture.placements))
        yield from answers

    executor = run(listing(LISTED, "objectives.max_latency_ms=3"), simulation=slow)
    assert rows(executor.driver.trials) == [
        BASELINE,
        CONTROL,
        *NAMED[:2],
        (Role.CANDIDATE, "se all", State.INFEASIBLE),
    ]
    assert executor.driver.trials[4].reason == "3.00 times max_latency_ms"


def test_listed_candidates_that_fail_are_not_replaced() -> None:
    executor = run(listing(LISTED), simulation=failing("no"))
    assert states(executor) == {State.FAILED: 5}
    assert [trial.name for trial in executor.driver.trials] == ["", "", *LISTED]


def test_listed_candidates_are_stopped_early_like_others() -> None:
    rules = "search.early_stopping={rule: halving, reduction: 9}"

    def worse(task: Task) -> Iterator[Answer]:
        plain = not task.architecture.placements
        for answer in curves(task):
            poor = hasattr(answer, "val_accuracy") and not plain
            yield type(answer)(answer.epoch, 0.01, *[1.0] * 5) if poor else answer

    trials = run(listing(LISTED, rules), simulation=worse).driver.trials
    assert [trial.state for trial in trials] == [State.COMPLETE] * 2 + [State.STOPPED] * 3


@pytest.mark.parametrize("trials", [1, 2, 3, 4])
def test_fewer_trials_than_are_listed(trials: int) -> None:
    executor = run(listing(LISTED, f"search.trials={trials}"))
    assert rows(executor.driver.trials) == [BASELINE, CONTROL, *NAMED][:trials]
    assert executor.driver.done
    assert notices(executor) == []


def test_the_rest_of_the_list_follows_when_there_may_be_more_trials() -> None:
    space = listing(LISTED, "search.trials=3", text=SPACE)
    ledger = memory_ledger(space)
    run(space, ledger)
    again = run(listing(LISTED, "search.trials=6", text=SPACE), ledger)
    assert rows(ledger.trials()) == [BASELINE, CONTROL, *NAMED, done(Role.CANDIDATE)]
    assert [given.number for given in again.assigned] == [3, 4, 5]


def test_one_more_candidate_continues_the_study(
    open_ledger: Callable[[Space], Ledger],
) -> None:
    space = listing(LISTED)
    run(space, open_ledger(space))
    before = open_ledger(space).trials()
    more = listing({"first": "{stage1.block2.before_add: simam}", **LISTED})
    again = run(more, open_ledger(more))
    after = open_ledger(more).trials()
    assert after[:5] == before, "no trial that ended changes"
    assert rows(after[5:]) == [done(Role.CANDIDATE, "first")]
    assert [given.number for given in again.assigned] == [5]
    assert again.driver.done
    assert make_driver(more, open_ledger(more)).next_task() is NoTask.NEVER


def test_a_candidate_that_replaces_another_is_trained_too() -> None:
    """The study then holds more trials than are listed."""
    space = listing(LISTED)
    ledger = memory_ledger(space)
    run(space, ledger)
    held = len(ledger.trials())
    kept = {"se last": SE_LAST, "se early": SE_EARLY}
    again = run(listing({**kept, "new": "{stage1.block2.before_add: simam}"}), ledger)
    assert [given.number for given in again.assigned] == [held]
    assert ledger.trials()[held].name == "new"
    assert again.driver.done


def test_names_may_change_and_candidates_go_without_a_new_training() -> None:
    space = listing(LISTED)
    ledger = memory_ledger(space)
    run(space, ledger)
    before = ledger.trials()
    for given in ({"other": SE_EARLY, "se all": SE_ALL}, {"se all": SE_ALL}):
        again = run(listing(given, control=None), ledger)
        assert again.assigned == []
        assert ledger.trials() == before


def test_a_candidate_in_a_later_slot_adds_no_second_control() -> None:
    space = listing({"early": SE_EARLY})
    ledger = memory_ledger(space)
    run(space, ledger)
    again = run(listing({"early": SE_EARLY, "late": SE_LAST}), ledger)
    assert rows(ledger.trials()) == [
        BASELINE, CONTROL, done(Role.CANDIDATE, "early"), done(Role.CANDIDATE, "late"),
    ]  # fmt: skip
    assert len(again.assigned) == 1


def test_residual_blocks_that_are_listed_later_are_candidates_and_not_the_control() -> None:
    """The control stays where it was, so one in any other slot is trained as what it is."""
    space = listing({"early": SE_EARLY})
    ledger = memory_ledger(space)
    run(space, ledger)
    more = {"depth": "{last.last.before_add: residual}", "wide": "{all.last.after_block: residual}"}
    again = run(listing({"early": SE_EARLY, **more}), ledger)
    assert [given.number for given in again.assigned] == [3, 4]
    assert rows(ledger.trials()) == [
        BASELINE,
        CONTROL,
        done(Role.CANDIDATE, "early"),
        done(Role.CANDIDATE, "depth"),
        done(Role.CANDIDATE, "wide"),
    ]


def test_the_control_that_is_listed_later_is_not_trained_again() -> None:
    space = listing({"early": SE_EARLY})
    ledger = memory_ledger(space)
    run(space, ledger)
    before = ledger.trials()
    depth = {"depth": f"{{{space.control_slot}: residual}}"}
    assert listing(depth).candidates["depth"] == space.control
    again = run(listing({"early": SE_EARLY, **depth}), ledger)
    assert again.assigned == []
    assert again.driver.done
    assert ledger.trials() == before


def test_with_a_control_slot_given_one_control_stays() -> None:
    slot = "stage1.block1.before_add"
    space = listing({"early": SE_EARLY}, control=slot)
    ledger = memory_ledger(space)
    run(space, ledger)
    again = run(listing({"early": SE_EARLY, "late": SE_LAST}, control=slot), ledger)
    assert [given.number for given in again.assigned] == [3]
    assert [trial.role for trial in ledger.trials()].count(Role.CONTROL) == 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("answers", [0, 1, 8, 9, 13, 19])
def test_killed_after_any_answer(answers: int, workers: int) -> None:
    space = listing(LISTED)
    ledger = memory_ledger(space)
    Executor(make_driver(space, ledger), workers=workers).run(answers)
    run(space, ledger, workers=workers)
    assert rows(ledger.trials()) == [BASELINE, CONTROL, *NAMED]


@pytest.mark.parametrize("sampler", KINDS)
def test_what_is_listed_is_not_sampled_again(sampler: str) -> None:
    """Two of the four architectures that TINY samples are listed, and one that it does not."""
    given = {
        "two": "{stage4.block2.before_add: {se: {reduction: 2}}}",
        "four": "{stage3.block2.before_add: {se: {reduction: 4}}}",
        "else": SE_EARLY,
    }
    space = listing(given, *TINY, f"search.sampler={sampler}", "search.trials=50", text=SPACE)
    trials = run(space, workers=2).driver.trials
    assert len(trials) == count_architectures(space) + 1 == 5 + 1 + 1, "and the control"
    assert len({trial.architecture_id for trial in trials}) == 7
    tried = {trial.architecture for trial in trials}
    assert tried == {*every_architecture(space), *space.candidates.values(), space.control}
    assert [trial.name for trial in trials] == ["", "", "two", "four", "else", "", ""]


def test_what_was_sampled_is_not_trained_again_when_it_is_listed_later() -> None:
    space = make_space(*TINY, "search.trials=50")
    ledger = memory_ledger(space)
    run(space, ledger)
    before = ledger.trials()
    given = {"two": SE_LAST, "new": SE_EARLY}
    again = run(listing(given, *TINY, "search.trials=50", text=SPACE), ledger)
    assert ledger.trials()[:6] == before
    assert rows(ledger.trials()[6:]) == [done(Role.CANDIDATE, "new")]
    assert len(again.assigned) == 1


def test_names_in_the_study_its_tables_and_its_report(tmp_path: Path) -> None:
    space = listing({"plain": EMPTY, **LISTED, "NA": "{stage1.last.before_add: simam}"})
    folder = tmp_path / "study"
    folder.mkdir()
    ledger = Ledger.open(folder, space.objective_names, space.file.fingerprint)
    run(space, ledger)
    ledger.note("search", {"trials": space.trials})
    names = ["plain", "", *LISTED, "NA"]
    attributes = [ledger.frozen(number).user_attrs for number in range(6)]
    assert [each["candidate"]["name"] for each in attributes] == names
    report = write_report(folder)
    read = pd.read_csv(report / "trials.csv", keep_default_na=False)
    assert list(read["name"]) == names
    front = pd.read_csv(report / "pareto.csv", keep_default_na=False)
    assert set(front["name"]) <= set(names)
    text = (report / "report.md").read_text(encoding="utf-8")
    assert "`se all: se(bias=false, reduction=2) in 8 slots`" in text
    assert "`se early: stage1.block1.before_add=se(bias=false, reduction=2)`" in text
    assert "placement.attention" not in text
