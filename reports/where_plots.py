"""Drawings of what the search learned: the map of gains, and the importance of choices."""

from collections.abc import Sequence

from matplotlib.patches import Rectangle

from reports.marks import GREY, INK, LINE
from reports.palette import PICTURE, STRENGTHS, mixed
from reports.plot import Plot, in_style, new_figure, settle
from reports.where import Cell, Map, where
from reports.wording import percent
from search.effects import Effect
from search.importances import Importances

CELL = (0.95, 0.42)  # inches
MOST_BARS = 20


def where_plots(effects: Sequence[Effect], found: Importances) -> list[Plot]:
    """Those for which enough was trained."""
    shown = where(effects)
    plots = [_map(shown)] if shown else []
    return plots + ([_bars(found)] if found.found else [])


@in_style
def _map(shown: Map) -> Plot:
    columns, rows = len(shown.blocks), len(shown.rows)
    figure, axes = new_figure(1.7 + CELL[0] * columns, 0.7 + CELL[1] * rows)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.set_xticks([at + 0.5 for at in range(columns)], shown.blocks)
    axes.set_yticks([at + 0.5 for at in range(rows)], [place for place, _ in shown.rows])
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    settle(figure)  # before the cells' many texts, which need no room of their own
    for y, (_, cells) in enumerate(shown.rows):
        for x, cell in enumerate(cells):
            axes.add_patch(
                Rectangle((x, y), 1, 1, facecolor=_fill(cell), edgecolor="white", linewidth=1.5)
            )
            colour = INK if cell.settled else PICTURE["line"]
            words = f"{cell.gain}\n{cell.interval.replace(' to ', '…')}".strip()
            axes.text(
                x + 0.5, y + 0.5, words, ha="center", va="center", size=5.2, color=colour,
                weight="bold" if cell.settled else "normal", linespacing=1.5,
            )  # fmt: skip
    sure = [cell for _, cells in shown.rows for cell in cells if cell.settled]
    alt = (
        f"Gain in accuracy by place ({rows} rows) and kind of attention ({columns} columns); "
        f"{len(sure)} cells are more than chance."
    )
    return Plot("where-attention-helps", "Where attention helps", alt, figure)


def _fill(cell: Cell) -> str:
    if not cell.strength:
        return "#f4f5f6" if cell.effect else PICTURE["paper"]
    colour = PICTURE["blue" if cell.strength > 0 else "vermilion"]
    return mixed(colour, STRENGTHS[abs(cell.strength) - 1], PICTURE["paper"])


@in_style
def _bars(found: Importances) -> Plot:
    shown = found.found[:MOST_BARS]
    figure, axes = new_figure(4.6, 1.1 + 0.28 * len(shown))
    axes.grid(visible=False, axis="y")
    places = range(len(shown))
    shares = [100 * each.accuracy for each in shown]
    axes.barh(places, shares, height=0.6, color=PICTURE["blue"], label="for accuracy")
    fronts = [(100 * each.front, at) for at, each in enumerate(shown) if each.front is not None]
    if fronts:
        xs, ys = zip(*fronts, strict=True)
        axes.scatter(xs, ys, marker="D", s=22, c=PICTURE["orange"], label="for the front", zorder=3)
    chances = [100 * each.by_chance for each in shown]
    axes.scatter(chances, places, marker="|", s=90, c=LINE, label="by chance", zorder=3)
    axes.set_yticks(list(places), [each.choice for each in shown])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlabel("share of the importance (%)")
    axes.set_xlim(0, None)
    legend = figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    legend.set_zorder(3)
    axes.axvline(0, color=GREY, linewidth=0.6)
    settle(figure)
    first = shown[0]
    alt = (
        f"Importance of {len(shown)} choices for accuracy. The first is {first.choice} with "
        f"{percent(first.accuracy, 0)}, where chance gives {percent(first.by_chance, 0)}."
    )
    return Plot("importances", "Which choices matter", alt, figure)
