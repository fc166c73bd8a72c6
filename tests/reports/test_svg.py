"""Drawings in a page: no style of their own, names of their own, trials where they are drawn."""

import re
from xml.etree import ElementTree as ET

import pytest
from example_study import EPOCHS, OBJECTIVES, SPACE, architecture, trial

from reports.curve_plots import curve_plots, growth_plots
from reports.front_plots import front_plots
from reports.plot import Plot
from reports.study import Study
from reports.svg import inline
from search.hypervolume import growth
from search.trial import Role, State

TRIALS = (
    trial(0, 0.8, 0.90, role=Role.BASELINE, placed=architecture()),
    trial(2, 0.8, 0.92, params=11_300_000, latency_ms=10.5),
    trial(3, 0.85, 0.93, params=11_500_000, latency_ms=11.0),
    trial(4, 0.2, state=State.STOPPED, params=11_400_000, latency_ms=10.8),
)
STUDY = Study("s", OBJECTIVES, TRIALS, SPACE)


def plots() -> list[Plot]:
    return [*front_plots(STUDY), *curve_plots(STUDY), *growth_plots(growth(TRIALS, OBJECTIVES))]


@pytest.fixture(scope="module")
def drawn() -> list[Plot]:
    return plots()


def say(number: int) -> str:
    return f'trial "{number}" <b>'


def test_nothing_has_a_style_or_an_address(drawn: list[Plot]) -> None:
    for plot in drawn:
        text = str(inline(plot, say))
        ET.fromstring(text)  # noqa: S314
        assert "style" not in text
        assert "http" not in text
        assert "<b>" not in text
        assert not re.search("#(?:[0-9a-f]{6})", text), "a colour that is none of the page's"


def test_names_differ_between_drawings_and_every_reference_is_one(drawn: list[Plot]) -> None:
    text = "".join(inline(plot, say) for plot in drawn)
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids)) > 10
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', text)) <= set(ids)


def test_every_trained_trial_can_be_asked_for_where_it_is_drawn(drawn: list[Plot]) -> None:
    fronts = [plot for plot in drawn if plot.name.startswith("front")]
    assert [plot.name for plot in fronts] == ["front-parameters", "front-latency", "front-macs"]
    for plot in drawn[:4]:
        assert sorted(each.trial for each in plot.targets) == [0, 2, 3, 4]
    by_trial = {each.trial: each.path[0] for each in fronts[0].targets}
    assert by_trial[0][0] < by_trial[2][0] < by_trial[4][0] < by_trial[3][0], "by parameters"
    assert by_trial[3][1] < by_trial[2][1] < by_trial[0][1] < by_trial[4][1], "by accuracy, upwards"
    star = re.search(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', _marker(fronts[0], "star"))
    assert star is not None
    assert (float(star[1]), float(star[2])) == pytest.approx(by_trial[0], abs=0.2)


def _marker(plot: Plot, kind: str) -> str:
    """The SVG behind the baseline's star: the collection with ten corners."""
    groups = re.split(r'<g id="PathCollection', plot.svg)
    return next(g for g in groups[1:] if kind == "star" and g.split("/>")[0].count("L ") == 9)


def test_a_course_has_a_point_for_each_epoch(drawn: list[Plot]) -> None:
    curves = next(plot for plot in drawn if plot.name == "learning-curves")
    assert {each.trial: len(each.path) for each in curves.targets} == {
        0: EPOCHS, 2: EPOCHS, 3: EPOCHS, 4: 1,
    }  # fmt: skip


def test_drawings_are_the_same_twice(drawn: list[Plot]) -> None:
    again = plots()
    assert [plot.svg for plot in again] == [plot.svg for plot in drawn]
    assert [inline(plot, say) for plot in again] == [inline(plot, say) for plot in drawn]


def test_one_mark_of_each_drawing_is_reached_by_tab(drawn: list[Plot]) -> None:
    for plot in drawn[:4]:
        assert str(inline(plot, say)).count('tabindex="0"') == 1


def test_nothing_is_drawn_of_nothing() -> None:
    empty = Study("s", OBJECTIVES, (trial(0, state=State.FAILED, latency_ms=None),), SPACE)
    assert front_plots(empty) == []
    assert curve_plots(empty) == []
    assert growth_plots(growth(empty.trials, OBJECTIVES)) == []


def test_letters_stay_letters_and_pictures_keep_their_halo(drawn: list[Plot]) -> None:
    numbers = [text for text in drawn[0].figure.axes[0].texts if text.get_text() == "3"]
    assert numbers
    assert "<text" in drawn[0].svg
    assert all(text.get_path_effects() for text in numbers), "white behind the digits of a PNG"
