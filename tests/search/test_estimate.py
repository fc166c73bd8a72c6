"""What a search will take: trials left × epochs × images ÷ rate ÷ workers, and what shortens it."""

from dataclasses import replace
from pathlib import Path

import pytest
from simulated import (
    SPACE,
    TINY,
    Executor,
    failing,
    inheriting,
    make_driver,
    make_space,
    memory_ledger,
)

from models import build
from search import estimate as module
from search.candidates import count_architectures
from search.estimate import (
    DAY,
    START_SECONDS,
    Work,
    estimate,
    mean_cost,
    measured_tasks,
    median_candidate,
    process_count,
    shorter,
    total_seconds,
    trial_seconds,
    trials_left,
    work_left,
)
from search.space import Space, load_space
from search.space_file import SearchConfig
from trainers.messages import Failed
from trainers.step_processes import StepTime

COST = StepTime(0.01, 0.002, setup_seconds=1.0, latency_seconds=0.5)
WORK = Work(
    trials=30, epochs=5, train_images=3000, validation_images=500, workers=2, cores=4
)  # 5 × (30 + 1) s and 1 + 2 × 0.5 s: 157 s a trial
LISTED = """\
backbone: {width: 0.0625}
data: {image_size: 16}
candidates:
  one: {stage4.last.before_add: {se: {reduction: 2}}}
  two: {stage4.last.before_add: {se: {reduction: 4}}}
  three: {stage4.last.after_block: nonlocal}
finalists: {count: 0}
"""
FLAGSHIP = Path(__file__).resolve().parents[2] / "spaces" / "resnet18.yaml"


def left(space: Space, executor: Executor | None = None) -> int:
    trials = executor.driver.trials if executor else []
    return trials_left(space, trials, count_architectures(space))


def begun(space: Space, answers: int | None = None) -> Executor:
    executor = Executor(make_driver(space, memory_ledger(space)), workers=2)
    executor.run(answers)
    return executor


def test_all_trials_are_left_at_first(space: Space) -> None:
    assert left(space) == 8
    assert left(make_space(*TINY)) == 5 < make_space(*TINY).trials, "the space holds no more"


def test_what_is_trained_is_not_left(space: Space) -> None:
    executor = begun(space, 14)
    trained = sum(trial.state.trained for trial in executor.driver.trials)
    assert 0 < trained < 8
    assert left(space, executor) == 8 - trained, "those that were interrupted begin anew"
    assert left(make_space("search.trials=1"), executor) == 2, "interrupted ones in any case"


def test_nothing_is_left_of_a_study_that_is_done(space: Space) -> None:
    executor = begun(space)
    assert executor.driver.done
    assert left(space, executor) == 0
    assert left(make_space("search.trials=10"), executor) == 2


def test_failed_trials_count() -> None:
    space = make_space("search.trials=3")
    executor = Executor(make_driver(space, memory_ledger(space)), failing("no"))
    executor.run()
    assert left(space, executor) == 0


def test_listed_candidates_are_left_whatever_the_study_holds() -> None:
    space = make_space(text=LISTED)
    assert left(space) == 5
    assert left(make_space("search.trials=3", text=LISTED)) == 3
    executor = begun(make_space("search.trials=3", text=LISTED))
    assert left(space, executor) == 2
    assert left(make_space("search.trials=4", text=LISTED), executor) == 1


@pytest.mark.parametrize(
    ("given", "count"),
    [({}, 2), ({"workers": 1}, 1), ({"workers": 9}, 2), ({"gpus_per_trial": 0.5}, 1)],
)
def test_processes_that_measure(given: dict[str, float], count: int) -> None:
    assert process_count(SearchConfig.model_validate(given), cores=2) == count


def test_no_more_than_four_processes() -> None:
    assert process_count(SearchConfig(), cores=64) == 4


def test_the_median_candidate_is_neither_cheap_nor_dear(space: Space) -> None:
    chosen = median_candidate(space)
    macs = sorted(build.cost(each, 16).macs for each in module._drawn(space))
    assert macs[4] <= build.cost(chosen, 16).macs <= macs[15]
    assert space.contains(chosen)
    assert chosen.placements
    assert median_candidate(space) == chosen


def test_listed_candidates_and_budgets_count() -> None:
    space = make_space(text=LISTED)
    assert median_candidate(space) in space.candidates.values()
    cheapest = min(build.cost(each, 16).params for each in space.candidates.values())
    tight = make_space(f"objectives.max_params={cheapest}", text=LISTED)
    assert build.cost(median_candidate(tight), 16).params == cheapest
    empty = make_space("candidates={plain: {}}", text=LISTED)
    assert median_candidate(empty) == empty.control


def test_what_is_measured(space: Space) -> None:
    plain, candidate = measured_tasks(space, Path("images"))
    assert plain.architecture == space.baseline
    assert candidate.architecture == median_candidate(space)
    assert (plain.device, plain.data_folder, plain.training) == (
        "cpu",
        "images",
        space.file.training,
    )
    assert measured_tasks(make_space("search.gpus_per_trial=1"), Path())[0].device == "gpu"


def test_the_mean_over_processes_and_networks() -> None:
    dear = StepTime(0.03, 0.004, 3.0, 1.5)
    assert mean_cost([[COST, dear], [COST, dear]]) == StepTime(0.02, 0.003, 2.0, 1.0)


def test_arithmetic() -> None:
    assert trial_seconds(WORK, COST) == 157
    assert total_seconds(WORK, COST) == START_SECONDS + 15 * 157
    assert total_seconds(replace(WORK, trials=1), COST) == START_SECONDS + 156.5, "nobody waits"
    assert total_seconds(replace(WORK, trials=31), COST) == START_SECONDS + 16 * 157
    on_cores = replace(WORK, workers=64)
    assert on_cores.at_a_time == 4, "more workers than cores make nothing faster"
    assert replace(on_cores, on_gpu=True).at_a_time == 30


def test_an_estimate(space: Space) -> None:
    made = estimate(space, WORK, COST)
    assert made.seconds == total_seconds(WORK, COST)
    assert made.images_per_second == 100
    assert made.timeout is None
    assert not made.gpu_sized
    assert not made.at_most, "nothing is stopped early here"
    stops = make_space("search.early_stopping=curve")
    assert estimate(stops, WORK, COST).at_most
    late = make_space("search.early_stopping={rule: curve, grace_epochs: 5}")
    assert not estimate(late, WORK, COST).at_most


def test_a_timeout_that_ends_the_search() -> None:
    made = estimate(make_space("search.timeout_minutes=10"), WORK, COST)
    assert made.timeout is not None
    assert made.timeout.trials == 8, "four rounds are begun in ten minutes"
    assert made.timeout.seconds == START_SECONDS + 4 * 157
    assert made.shortcuts == (), "the wait is short"


def test_a_timeout_that_comes_too_late() -> None:
    assert estimate(make_space("search.timeout_minutes=60"), WORK, COST).timeout is None


def test_nothing_shortens_what_is_short(space: Space) -> None:
    assert estimate(space, replace(WORK, trials=4), COST).shortcuts == ()


def options(space: Space, work: Work, cost: StepTime = COST) -> list[str]:
    return [shortcut.option for shortcut in shorter(space, work, cost)]


FULL = Work(100, 30, 45_000, 5_000, workers=2, cores=2)
SLOW = replace(COST, train_seconds=0.03, validation_seconds=0.01)


def flagship(*overrides: str) -> Space:
    return load_space(FLAGSHIP, overrides)


def test_the_most_effective_option_is_first() -> None:
    made = estimate(flagship(), FULL, SLOW)
    assert made.gpu_sized
    assert [shortcut.option for shortcut in made.shortcuts] == [
        "-o data.train_images=5000",
        "-o search.trials=30",
        "-o training.epochs=10",
        "--gpus-per-trial 0.5 on a machine with a GPU",
    ]
    factors = [shortcut.factor for shortcut in made.shortcuts if shortcut.factor]
    assert factors == sorted(factors, reverse=True)
    assert factors[1] == pytest.approx(100 / 30, rel=0.01)
    assert factors[2] == pytest.approx(3, rel=0.01)


def test_a_narrower_backbone_where_all_blocks_fit() -> None:
    blocks = ("placement.attention={se: {reduction: 4}}", "placement.at_most=1")
    (rough,) = [s for s in shorter(flagship(*blocks), FULL, SLOW) if s.rough]
    assert rough.option == "-o backbone.width=0.25"
    assert rough.factor is not None
    assert 4 < rough.factor < 16
    narrow = flagship(*blocks, "backbone.width=0.25")
    assert "-o backbone.width=0.25" not in options(narrow, FULL, SLOW)


def test_a_study_that_is_begun_keeps_its_recipe() -> None:
    given = options(flagship(), replace(FULL, begun=True, trials=90), SLOW)
    assert given == ["-o search.trials=30", "--gpus-per-trial 0.5 on a machine with a GPU"]
    assert "-o search.trials=30" not in options(flagship(), replace(FULL, trials=60), SLOW)


def test_cores_that_are_idle() -> None:
    space = make_space("search.trials=30")
    assert "-o search.workers=4" in options(space, WORK)
    assert "-o search.workers=4" not in options(space, replace(WORK, workers=4))
    assert "-o search.workers=4" not in options(space, replace(WORK, on_gpu=True))


def test_an_hour_is_offered_where_trials_are_shorter() -> None:
    hour = "-o search.timeout_minutes=60 ends it after about an hour"
    space = make_space("search.trials=90")
    long = replace(WORK, trials=90)
    assert total_seconds(long, COST) < DAY
    assert options(space, long)[-1] == hour
    assert hour not in options(make_space("search.timeout_minutes=50"), long)
    assert hour not in options(flagship(), FULL, SLOW), "a trial takes hours"


def test_listed_candidates_are_not_left_out() -> None:
    space = make_space(text=SPACE.replace("trials: 8", "trials: 60"))
    assert "-o search.trials=30" in options(space, replace(WORK, trials=60))
    assert "-o search.trials=30" not in options(make_space(text=LISTED), replace(WORK, trials=60))


def warm(*overrides: str) -> tuple[Space, Executor]:
    space = make_space("training.start=baseline", "training.epochs=10", *overrides)
    driver = make_driver(space, memory_ledger(space), weights=Path("w.safetensors"))
    return space, Executor(driver, inheriting)


def test_the_baseline_and_the_checks_of_a_warm_start_are_work() -> None:
    space, executor = warm("training.warm.checks=3")
    work = work_left(space, [], 8, 3000)
    assert (work.epochs, work.scratch_epochs, work.origins, work.checks) == (2, 10, 1, 3)
    executor.run()
    trials = executor.driver.trials
    assert trials_left(space, trials, count_architectures(space)) == 0
    done = work_left(space, trials, 0, 3000)
    assert (done.trials, done.origins, done.checks) == (0, 0, 0)
    more = make_space("training.start=baseline", "training.epochs=10", "training.warm.checks=5")
    assert work_left(more, trials, 0, 3000).checks == 2
    scratch = work_left(make_space(), [], 8, 3000)
    assert (scratch.origins, scratch.checks) == (0, 0)


def test_a_check_that_failed_is_not_left() -> None:
    space, executor = warm("training.warm.checks=3")
    executor.simulation = lambda task: (
        inheriting(task) if task.start or task.save_to else iter([Failed("diverged")])
    )
    executor.run()
    assert work_left(space, executor.driver.trials, 0, 3000).checks == 0


def test_checks_are_made_side_by_side() -> None:
    checks = replace(WORK, trials=0, checks=8, scratch_epochs=5)
    assert checks.at_a_time == 2
    # 8 ÷ 2 × 5 epochs of 30 + 1 s
    assert total_seconds(checks, COST) == pytest.approx(START_SECONDS + 4 * 5 * 31)
