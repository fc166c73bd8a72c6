"""What is measured first, what later, and what is never measured."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from simulated import Executor, chance, epoch, make_driver, make_space, memory_ledger

from benchmarks.made_latencies import made_latency
from models.architecture import Architecture
from search.driver import Driver
from search.front import front
from search.latencies import Latencies
from search.trial import Role, State, Trial
from trainers.config import LatencyConfig
from trainers.messages import Answer, Failed, Measured, Task

TRIALS = 40
MANY = (
    "latency.measure=front",
    "latency.predicted_within=0.05",
    f"search.trials={TRIALS}",
    "search.sampler=random",
    "placement.stages=[2, 3, 4]",
    "placement.attention={se: {reduction: [2, 4]}, gc: {ratio: 0.5, fusion: [add, mul]}}",
)


def truth(architecture: Architecture) -> float:
    """What the placements of an architecture take, in plain backbones."""
    costs = {"se": 0.05, "gc": 0.12, "residual": 0.2}
    stages = {2: 1.0, 3: 0.9, 4: 0.8}
    return 1 + sum(costs[p.block.name] * stages[p.slot.stage] for p in architecture.placements)


def simulation(task: Task) -> Iterator[Answer]:
    """Measures first or last, as the task says; what is asked for nothing more stops."""
    found = Measured(made_latency(2.0 * truth(task.architecture), reference_ms=2.0))
    if task.measure_first:
        yield found
    for number in range(1, task.training.epochs + 1):
        yield epoch(number, chance(task))
    if not task.measure_first:
        yield found


def searched(*overrides: str) -> Executor:
    space = make_space(*MANY, *overrides)
    executor = Executor(make_driver(space, memory_ledger(space)), simulation)
    executor.run()
    return executor


def test_many_are_predicted_and_the_front_is_measured() -> None:
    executor = searched()
    trials = executor.driver.trials
    assert len(trials) == TRIALS
    assert {trial.state for trial in trials} == {State.COMPLETE}
    first = [trial for trial in trials if trial.predicted_ms]
    assert len(first) > TRIALS / 4
    for trial in first:
        assert trial.predicted_ms == pytest.approx(2 * truth(trial.architecture), rel=0.1)
    assert any(trial.latency_predicted for trial in first), "and some never are measured"
    members = front(trials, executor.driver._space.objective_names)
    assert members
    assert not any(member.latency_predicted for member in members)


def test_what_is_measured_after_all_keeps_its_prediction() -> None:
    later = [t for t in searched().driver.trials if t.predicted_ms and t.latency]
    assert later
    for trial in later:
        assert trial.latency_ms == pytest.approx(2 * truth(trial.architecture))
        assert trial.predicted_ms == pytest.approx(trial.latency_ms, rel=0.1)


def test_every_one_is_measured_where_the_space_says_so() -> None:
    executor = searched("latency.measure=every")
    assert all(trial.latency for trial in executor.driver.trials)
    assert all(given.task.measure_first for given in executor.assigned)


def test_the_baseline_and_the_control_are_measured() -> None:
    trials = searched().driver.trials
    assert all(trial.latency for trial in trials if trial.role is not Role.CANDIDATE)


def test_clearly_over_the_budget_is_not_trained() -> None:
    executor = searched(
        "objectives.max_latency_ms=2.2", "latency.predicted_within=0.03", "search.sampler=random"
    )
    over = [t for t in executor.driver.trials if t.state is State.INFEASIBLE]
    unmeasured = [trial for trial in over if trial.latency is None]
    assert unmeasured
    for trial in unmeasured:
        assert trial.reason.endswith("times max_latency_ms (predicted)")
        assert trial.curve == ()
        assert 2 * truth(trial.architecture) > 2.2


def test_a_worker_that_dies_while_it_measures_last_loses_no_training() -> None:
    def dying(task: Task) -> Iterator[Answer]:
        answers = list(simulation(task))
        yield from answers[:-1] if not task.measure_first else answers
        if not task.measure_first:
            yield Failed("killed")

    space = make_space(*MANY)
    executor = Executor(make_driver(space, memory_ledger(space)), dying)
    executor.run()
    trials = executor.driver.trials
    assert {trial.state for trial in trials} == {State.COMPLETE}
    predicted = [trial for trial in trials if trial.latency_predicted]
    assert "its latency could not be measured: killed" in {trial.reason for trial in predicted}
    members = front(trials, space.objective_names)
    assert not any(member.latency_predicted for member in members), "but nobody believes it"


def test_measured_over_the_budget_after_its_training_it_has_been_trained() -> None:
    def slower(task: Task) -> Iterator[Answer]:
        """All that was predicted turns out to take twice as long."""
        for answer in simulation(task):
            late = isinstance(answer, Measured) and not task.measure_first
            yield Measured(made_latency(5.0, reference_ms=2.0)) if late else answer

    space = make_space(*MANY, "objectives.max_latency_ms=2.4")
    executor = Executor(make_driver(space, memory_ledger(space)), slower)
    executor.run()
    over = [t for t in executor.driver.trials if t.over_budget and t.curve]
    late = [trial for trial in over if trial.predicted_ms]
    assert late
    assert {trial.state for trial in late} == {State.COMPLETE}
    assert not any(trial.eligible for trial in late)
    assert sum(trial.counts for trial in executor.driver.trials) == TRIALS


def test_a_restarted_trial_is_not_measured_twice() -> None:
    space = make_space(*MANY)
    ledger = memory_ledger(space)
    executor = Executor(make_driver(space, ledger), simulation)
    executor.run(2)  # measured, and one epoch
    again = Driver(space, ledger, Path("images"))
    given = again.next_task()
    assert given.task.measure_first is False  # type: ignore[union-attr]


def test_the_reference_is_the_studys_first() -> None:
    """Another machine, or the same one hot, is slower in all: ratios hold."""
    calls: list[int] = []

    def slower_and_slower(task: Task) -> Iterator[Answer]:
        calls.append(1)
        factor = 1.0 + 0.5 * len(calls)
        reference = 2.0 * factor
        yield Measured(made_latency(reference * truth(task.architecture), reference_ms=reference))
        for number in range(1, task.training.epochs + 1):
            yield epoch(number, chance(task))

    space = make_space(*MANY, "latency.measure=every", "search.trials=6")
    executor = Executor(make_driver(space, memory_ledger(space)), slower_and_slower)
    executor.run()
    for trial in executor.driver.trials:
        assert trial.latency_ms == pytest.approx(3.0 * truth(trial.architecture))


def test_no_prediction_without_measurements() -> None:
    space = make_space()
    latencies = Latencies(LatencyConfig(), 16)
    assert latencies.predict(space.control, 1.0) is None
    latencies.measured([])
    assert latencies.predict(space.control, None) is None
    assert latencies.facts == {"measured": 0, "error": None}


def test_an_estimate_is_a_guess_and_then_a_prediction() -> None:
    executor = searched("latency.measure=every", "search.trials=14")
    trials = executor.driver.trials
    latencies = Latencies(LatencyConfig(), 16)
    for many in (0, 3, len(trials)):
        latencies.measured(trials[:many])
        ratio, doubt = latencies.estimate(trials[-1].architecture)
        assert latencies.ratio(trials[-1].architecture) == ratio
        assert (doubt < 1) == (many == len(trials))
        assert math.isinf(doubt) == (many < len(trials))


def test_early_stopping_allows_for_what_predictions_may_be_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[Trial, list[Trial]]] = []

    def never(trial: Trial, others: Iterable[Trial], *_: object) -> None:
        seen.append((trial, list(others)))

    monkeypatch.setattr("search.verdict.reason_to_stop", never)
    searched()  # latency.predicted_within=0.05
    own = [trial for trial, _ in seen if trial.predicted_ms and not trial.latency]
    theirs = [t for _, others in seen for t in others if t.predicted_ms and not t.latency]
    assert own
    assert theirs
    for trials, factor in ((own, 0.95), (theirs, 1.05)):
        for trial in trials:
            assert trial.latency_ms == pytest.approx(factor * (trial.predicted_ms or 0))
    known = [trial for _, others in seen for trial in others if trial.latency]
    assert all(t.latency_ms == pytest.approx(2 * truth(t.architecture)) for t in known)
