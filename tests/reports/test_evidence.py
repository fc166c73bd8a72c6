"""What several seeds on the test split show: intervals that hold, and differences called real."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest
from example_study import BRIDGE, GC, OBJECTIVES, RESIDUAL, SE, SPACE, architecture, trial
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.architecture import Architecture
from reports.evidence import Estimated, Kind, finals, hits, holm
from reports.finalist_plots import finalist_plots
from reports.finalists import closing_lines, on_test_split
from reports.markdown import report
from reports.study import Study
from search.trial import Role, State, Trial
from trainers.messages import Judged, packed

IMAGES = 1000
TWIN = architecture("stage3.block2.before_add=bottleneck(hidden=3)")
BASELINE = trial(0, 0.90, role=Role.BASELINE, placed=architecture(), params=11_000_000)
CONTROL = trial(1, 0.90, role=Role.CONTROL, placed=RESIDUAL, params=12_000_000, latency_ms=12)
BEST = trial(2, 0.95, placed=SE)
SEARCHED = (BASELINE, CONTROL, BEST)


def judged(right: Sequence[bool]) -> Judged:
    return Judged(sum(right) / len(right), 0.5, len(right), packed(right))


def run(
    number: int, seed: int, of: int, placed: Architecture, right: Sequence[bool], **more: object
) -> Trial:
    made = trial(number, 0.9, role=Role.FINALIST, placed=placed, latency_ms=None)
    return dataclasses.replace(made, seed=seed, of=of, judged=judged(right), **more)


def runs(
    accuracies: dict[tuple[int, Architecture], float], seeds: int = 3, spread: float = 0.0
) -> tuple[Trial, ...]:
    """Trainings whose hits share their images: the hard ones are hard for all."""
    found = []
    hardness = np.random.default_rng(0).random(IMAGES)
    for (of, placed), accuracy in accuracies.items():
        for seed in range(1, seeds + 1):
            shift = spread * np.random.default_rng([seed, of]).standard_normal()
            right = (hardness < accuracy + shift).tolist()
            found.append(run(100 + len(found), seed, of, placed, right))
    return tuple(found)


def study(*finalists: Trial) -> Study:
    return Study("study", OBJECTIVES, SEARCHED, SPACE, finalists=finalists)


ALL = {(0, architecture()): 0.90, (1, RESIDUAL): 0.90, (2, SE): 0.94, (2, TWIN): 0.905}


def test_seeds_alone_are_students_t() -> None:
    """As `scipy.stats.ttest_1samp` has it, where all images of a seed are alike."""
    means = np.array([0.3, 0.1, 0.4, 0.2])
    found = Estimated.of(np.repeat(means[:, None], 10**7, axis=1))
    expected = stats.ttest_1samp(means, 0.0)
    low, high = expected.confidence_interval()
    assert found.value == pytest.approx(means.mean())
    assert found.p == pytest.approx(expected.pvalue, rel=1e-3)
    assert 2 * found.half_width == pytest.approx(high - low, rel=1e-3)


def test_images_alone_are_binomial() -> None:
    right = np.arange(IMAGES) < 900
    found = Estimated.of(np.array([right, right], np.float64))
    assert found.half_width == pytest.approx(1.96 * np.sqrt(0.9 * 0.1 / IMAGES), rel=2e-3)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("spread", [0.0, 0.05, 0.2])
def test_no_difference_is_rarely_called_one(seeds: int, spread: float) -> None:
    """Below 5 % of 1000 comparisons of equals, whatever part seeds, images and luck have."""
    rng = np.random.default_rng(seeds)
    wrong = 0
    for _ in range(1000):
        images = rng.normal(0, 0.3, 200)
        seed_effects = rng.normal(0, spread, (seeds, 1))
        luck = rng.normal(0, 0.2, (seeds, 200))
        found = Estimated.of(images + seed_effects + luck)
        wrong += abs(found.value) > found.half_width
    assert wrong <= 50 + 2 * math.sqrt(50)


def test_the_p_value_is_the_level_of_the_interval_that_ends_at_zero() -> None:
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.05, 0.1, 0.5):
        found = Estimated.of(rng.normal(shift, 0.3, (3, 50)))
        assert (found.p < 0.05) == (abs(found.value) > found.half_width)
    at_its_end = Estimated(found.half_width, found.errors)
    assert at_its_end.p == pytest.approx(0.05, rel=1e-6)


@given(
    values=st.lists(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=3, max_size=3), min_size=2)
)
def test_an_estimate_is_a_mean_with_a_width(values: list[list[float]]) -> None:
    found = Estimated.of(np.array(values))
    assert found.value == pytest.approx(np.mean(values))
    assert found.half_width >= 0
    assert 0 <= found.p <= 1


def test_holm_as_r_has_it() -> None:
    """`p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`, and one."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_networks_with_their_kinds_in_order() -> None:
    found = study(*runs(ALL)).finals
    assert [(f.kind, f.trial.number, len(f.runs)) for f in found] == [
        (Kind.CANDIDATE, 2, 3),
        (Kind.EQUAL_SIZE, 2, 3),
        (Kind.CONTROL, 1, 3),
        (Kind.BASELINE, 0, 3),
    ]
    assert found[0].mean == pytest.approx(0.94, abs=0.02)


def test_a_candidate_is_compared_with_all_three() -> None:
    made = study(*runs(ALL)).differences
    assert [each.reference.kind for each in made] == [
        Kind.BASELINE, Kind.EQUAL_SIZE, Kind.CONTROL,
    ]  # fmt: skip
    expected = hits(runs(ALL)[6:9]).mean() - hits(runs(ALL)[0:3]).mean()
    assert made[0].gain.value == pytest.approx(expected)
    assert all(each.won for each in made)
    assert made[0].p >= made[0].gain.p


def test_only_seeds_that_both_have_are_compared() -> None:
    whole = runs(ALL)
    without = [t for t in whole if not (t.of == 0 and t.seed == 2)]
    assert study(*without).differences[0].seeds == (1, 3)
    one = [t for t in whole if t.of != 0 or t.seed == 1]
    assert Kind.BASELINE not in {each.reference.kind for each in study(*one).differences}


def test_what_failed_or_runs_does_not_count() -> None:
    broken = [
        dataclasses.replace(t, state=State.FAILED, judged=None) if t.seed == 3 else t
        for t in runs(ALL)
    ]
    assert {len(f.runs) for f in study(*broken).finals} == {2}
    assert study().finals == study().differences == []


def test_trainings_of_another_length_are_left_out() -> None:
    old = [dataclasses.replace(t, epochs=1, number=t.number - 50) for t in runs(ALL)]
    assert len(study(*old, *runs(ALL, seeds=2)).finals[0].runs) == 2


def test_trials_of_no_search_are_left_out() -> None:
    assert finals(runs(ALL), ()) == []


@pytest.mark.parametrize(
    ("accuracy", "of_twin", "words"),
    [
        (0.94, 0.90, "It is the attention's: +"),
        (0.94, 0.94, "Whether it is the attention's is not shown"),
        (0.94, 0.99, "But it is not the attention's"),
        (0.90, 0.90, "**within noise**, so this study shows no gain"),
        (0.80, 0.90, "**a real loss**"),
    ],
)
def test_the_verdict_in_words(accuracy: float, of_twin: float, words: str) -> None:
    made = study(*runs(ALL | {(2, SE): accuracy, (2, TWIN): of_twin}))
    (said,) = on_test_split(made)
    assert words in said
    assert said in report(made)
    mean = f"{100 * made.finals[0].mean:.2f} %"
    assert closing_lines(made)[0].startswith(f"Trial 2 on the test split: {mean}")


def test_no_control_of_its_size_and_no_baseline_are_said() -> None:
    few = {key: ALL[key] for key in ALL if key[1] != TWIN}
    assert "no control of its size" in on_test_split(study(*runs(few)))[0]
    alone = {(2, SE): 0.9}
    assert "too few seeds to compare" in on_test_split(study(*runs(alone)))[0]
    report(study(*runs(alone, seeds=1)))


def test_a_report_without_finalists_says_how_to_get_them() -> None:
    text = report(study())
    assert "## Finalists" not in text
    assert "`--finalists 3 --seeds 5`" in text
    assert "No network was trained or evaluated on the test split." in text
    with_them = report(study(*runs(ALL)))
    assert "## Finalists" in with_them
    assert "`--seeds 5` trains the finalists on" in with_them
    assert "No network was trained or evaluated on the test split." not in with_them


def test_several_finalists_have_their_own_twins() -> None:
    more = {(3, GC): 0.93, (3, architecture("stage3.block2.before_add=bottleneck(hidden=9)")): 0.9}
    second = trial(3, 0.94, placed=GC)
    made = dataclasses.replace(study(*runs(ALL | more)), trials=(*SEARCHED, second))
    pairs = [(d.final.trial.number, d.reference.trial.number) for d in made.differences]
    assert pairs == [(2, 0), (2, 2), (2, 1), (3, 0), (3, 3), (3, 1)]
    assert BRIDGE not in {f.runs[0].architecture for f in made.finals}


def test_the_drawing_has_a_row_for_each_comparison() -> None:
    made = study(*runs(ALL))
    (plot,) = finalist_plots(made)
    assert [each.trial for each in plot.targets] == [2, 2, 2]
    rows = {path[0][1] for path in (each.path for each in plot.targets)}
    assert len(rows) == 3
    assert plot.svg.count("against the plain backbone") == 1
    for words in ("the plain backbone", "as many parameters, no attention", "a real gain"):
        assert words in plot.alt
    assert finalist_plots(study()) == []
