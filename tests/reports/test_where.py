"""The map: which cells say what, and that they say only what is settled."""

from example_study import OBJECTIVES, SPACE, trial

from reports.growth_words import growth_lines
from reports.importance_words import importance_lines
from reports.palette import STRENGTHS
from reports.study import Study
from reports.where import ANYWHERE, FEWEST_OF_A_CELL, FULL, TOO_FEW, Cell, where, where_lines
from reports.where_plots import where_plots
from search.effects import Effect, Gain
from search.hypervolume import Moment
from search.importances import Importance, Importances

PLACES = ("stage3, before_add", "stage4, after_block")


def effect(kind: str, value: str, low: float, high: float, trials: int = 9) -> Effect:
    return Effect(kind, value, trials, Gain((low + high) / 2, low, high), None)


EFFECTS = [
    effect("type", "se", 0.01, 0.02),
    effect("type", "gc", -0.01, 0.02),
    *(effect("stage, position", place, 0.001, 0.003) for place in PLACES),
    effect("type, stage, position", f"se, {PLACES[0]}", 0.02, 0.03),
    effect("type, stage, position", f"gc, {PLACES[0]}", -0.03, -0.01),
    effect("type, stage, position", f"gc, {PLACES[1]}", 0.02, 0.03, FEWEST_OF_A_CELL - 1),
]


def test_rows_are_places_and_columns_blocks() -> None:
    found = where(EFFECTS)
    assert found is not None
    assert found.blocks == ("any", "se", "gc")
    assert [place for place, _ in found.rows] == [ANYWHERE, *PLACES]
    texts = [[cell.gain for cell in cells] for _, cells in found.rows]
    assert texts == [
        ["—", "+1.50", "+0.50"],
        ["+0.20", "+2.50", "-2.00"],
        ["+0.20", "—", "too few"],
    ]
    strengths = [[cell.strength for cell in cells] for _, cells in found.rows]
    assert strengths == [[0, 4, 0], [1, 4, -4], [1, 0, 0]]


def test_only_what_is_settled_stands_out() -> None:
    assert Cell(effect("", "", 0.001, 0.002)).settled
    assert Cell(effect("", "", -0.002, -0.001)).settled
    assert not Cell(effect("", "", -0.001, 0.5)).settled
    assert not Cell(effect("", "", 0.1, 0.5, trials=1)).settled
    assert not Cell(None).settled
    assert Cell(effect("", "", FULL, 10 * FULL)).strength == len(STRENGTHS)


def test_the_table_says_how_many_and_how_sure() -> None:
    text = "\n".join(where_lines(EFFECTS))
    assert "| **+2.50 (+2.00 to +3.00, n = 9)** | **-2.00 (-3.00 to -1.00, n = 9)** |" in text
    assert "| too few (n = 2) |" in text
    assert where_lines([]) == [TOO_FEW]


def test_importances_are_shown_beside_chance() -> None:
    found = Importances(
        30, (Importance("type", 0.7, 0.2, 0.5), Importance("stage", 0.3, 0.8, None))
    )
    lines = importance_lines(found)
    assert lines[-2:] == ["| type | 70 % | 20 % | 50 % |", "| stage | 30 % | 80 % | — |"]
    assert "at least 20" in importance_lines(Importances(3))[0]
    assert "same choices" in importance_lines(Importances(30))[0]


def test_growth_in_words() -> None:
    moments = [
        Moment(1, 60.0, 0.5),
        Moment(2, 120.0, 0.97),
        Moment(3, 180.0, 1.0),
        Moment(4, 200.0, 1.0),
    ]
    text = growth_lines(moments, OBJECTIVES)[0]
    assert (
        "reached after 2 of 4 trials (2 m 0 s of 3 m 20 s); the front last grew 1 trial before"
        in text
    )
    assert "last grew at the end." in growth_lines(moments[:3], OBJECTIVES)[0]
    assert "no hypervolume" in growth_lines([], OBJECTIVES)[0]


def test_drawings_only_of_what_was_found() -> None:
    assert where_plots([], Importances(3)) == []
    found = Importances(30, (Importance("type", 0.7, 0.2, 0.5),))
    plots = where_plots(EFFECTS, found)
    assert [plot.name for plot in plots] == ["where-attention-helps", "importances"]
    assert "5 cells are more than chance" in plots[0].alt
    assert "type with 70 %, where chance gives 20 %" in plots[1].alt
    assert Study("s", OBJECTIVES, (trial(0, 0.9),), SPACE).slots == {}
