"""`Plot`: a drawing with its words, and where the trials in it lie; as PNG, as SVG, in a page."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import matplotlib.rcsetup
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports.palette import PICTURE

DPI = 160
POINTS = 72  # of an inch
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: to be read, searched and set in the page's font
    "svg.hashsalt": "attention-placement-search",  # the same names within, the same bytes
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.prop_cycle": mpl.rcsetup.cycler(color=[PICTURE["ink"]]),
    "axes.linewidth": 0.7,
    "axes.edgecolor": PICTURE["line"],
    "axes.labelcolor": PICTURE["ink"],
    "text.color": PICTURE["ink"],
    "xtick.color": PICTURE["line"],
    "ytick.color": PICTURE["line"],
    "xtick.labelcolor": PICTURE["ink"],
    "ytick.labelcolor": PICTURE["ink"],
    "path.simplify_threshold": 0.3,
}

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Target:
    """Where a trial lies, in points from the top left corner: a mark, or the course of a line."""

    trial: int
    path: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Plot:
    """A drawing. `name` is that of its files, `alt` says what it shows to whoever cannot see it."""

    name: str
    title: str
    alt: str
    figure: Figure
    targets: tuple[Target, ...] = ()
    dpi: int = DPI

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        width, height = self.figure.get_size_inches()
        return POINTS * float(width), POINTS * float(height)

    def png(self, path: Path) -> None:
        """Writes the picture."""
        with styled():
            self.figure.savefig(path, dpi=self.dpi, format="png", metadata={"Software": None})

    @cached_property
    def svg(self) -> str:
        """The drawing as SVG with text as text; the same text for the same study."""
        stream = io.StringIO()
        with styled(), _letters(self.figure):
            self.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        return stream.getvalue()


@contextmanager
def _letters(figure: Figure) -> Iterator[None]:
    """Texts are without the effects that would turn their letters into outlines."""
    before = {text: text.get_path_effects() for text in figure.findobj(Text)}
    for text in before:
        text.set_path_effects([])
    yield
    for text, effects in before.items():
        text.set_path_effects(effects)


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib draws in the report's style, whatever its user prefers elsewhere.

    Setting it takes time, so one who draws much does it around all of it.
    """
    if mpl.rcParams["svg.hashsalt"] == STYLE["svg.hashsalt"]:
        yield
        return
    with warnings.catch_warnings(), mpl.rc_context():
        # A name may hold letters that the font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def in_style(draw: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """`draw`, in the report's style."""

    def drawn(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
        with styled():
            return draw(*given, **named)

    return drawn


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure of so many inches, with a grid and without a frame."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color=PICTURE["grid"], linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def settle(figure: Figure) -> None:
    """Gives everything its place, which it then keeps."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # with a placeholder every picture is drawn twice


def target(axes: Axes, trial: int, points: Sequence[tuple[float, float]]) -> Target:
    """Where data `points` of a trial lie; the figure must have been settled."""
    figure = axes.figure
    scale = POINTS / figure.dpi
    height = POINTS * float(figure.get_figure(root=True).get_size_inches()[1])
    pixels = axes.transData.transform(points)
    return Target(
        trial, tuple((round(scale * x, 1), round(height - scale * y, 1)) for x, y in pixels)
    )
