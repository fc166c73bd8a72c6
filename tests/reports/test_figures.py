import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from example_study import (
    GC,
    MIXED,
    OBJECTIVES,
    RESIDUAL,
    SPACE,
    architecture,
    trial,
)
from matplotlib.text import Text

from reports.figures import draw, overview
from reports.marks import PREDICTED
from reports.study import Study
from search.trial import Role, State, Trial

BASELINE = trial(0, 0.90, role=Role.BASELINE, placed=architecture())


def study(*trials: Trial, name: str = "study") -> Study:
    return Study(name, OBJECTIVES, trials, SPACE)


def study_of_kinds(kinds: int) -> Study:
    """One candidate of each of so many block types, and everything else a legend can name."""
    names = ["se", "gc", "bridge", "nonlocal", "coordinate"]
    names += [f"another_block_{n}" for n in range(kinds - len(names))]
    candidates = [
        trial(
            number,
            0.92 + number / 2000,
            placed=architecture(f"stage3.block2.before_add={name}"),
            params=11_200_000 + 1000 * number,
        )
        for number, name in enumerate(names[:kinds], start=10)
    ]
    return study(
        BASELINE,
        trial(1, 0.91, role=Role.CONTROL, placed=RESIDUAL, params=12_000_000),
        trial(4, 0.915, placed=MIXED, params=11_500_000),
        trial(5, 0.895, state=State.STOPPED),
        trial(6, 0.2, state=State.STOPPED),
        predicted(trial(7, 0.9)),
        *candidates,
    )


def legend(shown: Study) -> list[str]:
    return [text.get_text() for text in draw(shown).legends[0].get_texts()]


def test_picture_is_1600_by_700(example_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "pareto.png"
    overview(Study.read(example_run)).png(path)
    data = path.read_bytes()
    assert len(data) > 10_000
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    assert (width, height) == (1600, 700)


def test_legend_names_what_is_drawn() -> None:
    shown = study(
        BASELINE,
        trial(1, 0.91, role=Role.CONTROL, placed=RESIDUAL, params=12_000_000),
        trial(2, 0.92),
        trial(3, 0.93, placed=GC, params=11_400_000),
        trial(4, 0.915, placed=MIXED, params=11_500_000),
        trial(5, 0.895, state=State.STOPPED),
        trial(6, 0.2, state=State.STOPPED),
    )
    labels = legend(shown)
    assert {"se", "gc", "mixed"} < set(labels)
    for words in ("baseline", "control", "stopped early, last", "stopped early, below", "front,"):
        assert any(label.startswith(words) for label in labels), words
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("kinds", [1, 5, 40])
def test_legend_lies_inside_the_picture(kinds: int) -> None:
    figure = draw(study_of_kinds(kinds))
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y1 < min(axes.get_window_extent().y0 for axes in figure.axes)


@pytest.mark.parametrize("placement", [{"placement": None}, {}])
def test_a_study_of_listed_candidates_has_a_picture(placement: dict[str, None]) -> None:
    space = {key: value for key, value in SPACE.items() if key != "placement"} | placement
    listed = Study(
        "study", OBJECTIVES, (BASELINE, trial(2, 0.92, name="a"), trial(3, 0.93, placed=GC)), space
    )
    assert {"se", "gc"} < set(legend(listed))


def test_early_stops_do_not_flatten_the_axis() -> None:
    figure = draw(study(BASELINE, trial(2, 0.92), trial(3, 0.1, state=State.STOPPED)))
    assert figure.axes[0].get_ylim()[0] > 80


def test_wide_spans_are_logarithmic() -> None:
    figure = draw(study(trial(1, 0.9, params=1_000), trial(2, 0.95, params=1_000_000)))
    assert [axes.get_xscale() for axes in figure.axes] == ["log", "linear"]


@pytest.mark.parametrize(
    "trials",
    [
        (),
        (BASELINE,),
        (trial(1, 0.9, latency_ms=None),),
        (trial(1, 1.0), trial(2, 0.0)),
        (trial(1, 0.9, state=State.STOPPED),),
        (trial(1, state=State.INFEASIBLE, latency_ms=None),),
        (trial(1, 0.9), trial(2, 0.9)),
    ],
)
def test_degenerate_studies_have_a_picture(trials: tuple[Trial, ...], tmp_path: Path) -> None:
    path = tmp_path / "pareto.png"
    overview(study(*trials, name="a $\\frac$ 研究")).png(path)
    assert path.stat().st_size > 10_000


def predicted(ended: Trial) -> Trial:
    return dataclasses.replace(ended, latency=None)


def tildes(shown: Study) -> list[list[tuple[float, ...]]]:
    """Where each panel marks a latency as predicted."""
    return [
        [
            tuple(point)
            for points in axes.collections
            if points.get_label() == PREDICTED
            for point in points.get_offsets().tolist()
        ]
        for axes in draw(shown).axes
    ]


def test_predicted_latencies_have_a_tilde() -> None:
    shown = study(
        BASELINE,
        trial(2, 0.92, latency_ms=10.2),
        predicted(trial(3, 0.93, placed=GC, latency_ms=10.6)),
        predicted(trial(4, 0.91, placed=MIXED, latency_ms=10.8)),
    )
    params, latency = tildes(shown)
    assert params == [], "parameters are counted"
    assert sorted(latency) == [(10.6, 93.0), (10.8, 91.0)]
    assert "predicted latency" in legend(shown)


def test_a_tilde_lies_on_its_mark_where_that_is_at_the_edge() -> None:
    shown = study(
        BASELINE,
        trial(2, 0.92),
        predicted(trial(5, 0.895, state=State.STOPPED, latency_ms=10.3)),
        predicted(trial(6, 0.2, state=State.STOPPED, latency_ms=10.7)),
    )
    axes = draw(shown).axes[1]
    marks = {
        tuple(point)
        for points in axes.collections
        if str(points.get_label()).startswith("stopped early")
        for point in points.get_offsets().tolist()
    }
    assert len(marks) == 2
    assert set(tildes(shown)[1]) == marks
    assert axes.get_ylim()[0] > 80


def test_without_predictions_the_legend_names_none() -> None:
    shown = study(BASELINE, trial(2, 0.92), trial(3, 0.91, latency_ms=None))
    assert "predicted latency" not in legend(shown)
    assert tildes(shown) == [[], []]


def test_no_number_is_drawn_over_another() -> None:
    crowded = [
        trial(number, 0.90 + number / 10_000, params=11_200_000 + 1000 * number)
        for number in range(1, 4)
    ]
    figure = draw(study(BASELINE, *crowded, trial(9, 0.95, params=14_000_000)))
    numbers = figure.axes[0].texts
    assert sorted(text.get_text() for text in numbers) == ["0", "1", "2", "3", "9"]
    _are_apart(numbers)


def test_numbers_without_room_are_left_out() -> None:
    figure = draw(study_of_kinds(40))
    numbers = [text for text in figure.axes[0].texts if text.get_visible()]
    assert 5 < len(numbers) < 40
    assert max(text.get_window_extent().y1 for text in numbers) < figure.bbox.y1
    _are_apart(numbers)


def _are_apart(texts: Sequence[Text]) -> None:
    for one, other in itertools.combinations(texts, 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent())
