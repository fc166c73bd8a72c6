"""The picture: accuracy against parameters and against latency, with what was found and left."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter

from models.printable import one_line
from reports.marks import (
    GREY,
    draw_best_line,
    draw_candidates,
    draw_compared,
    draw_front,
    draw_predicted,
    draw_stopped,
    draw_whiskers,
    drawable,
    keep_apart,
    xy,
)
from reports.palette import PICTURE
from reports.plot import Plot, in_style, settle
from reports.study import Study
from reports.wording import number_of
from search.trial import Role, State, Trial

INCHES = (10.67, 4.67)
DPI = 150
MOST_COLUMNS = 6  # of the legend; fewer where their words are too wide for the picture
LOG_SPAN = 20  # costs that differ by more than this factor are drawn on a logarithmic axis
MOST_OF_A_FACT = 100  # characters
PANELS = (("params", "parameters"), ("latency_ms", "latency (ms)"))


def overview(study: Study) -> Plot:
    """Both panels in one drawing, as a PNG of 1600 × 700 pixels."""
    alt = "Accuracy against parameters and latency"
    return Plot("pareto", alt, alt, draw(study), dpi=DPI)


@in_style
def draw(study: Study) -> Figure:
    """The figure with its two panels."""
    figure = Figure(figsize=INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (cost, label) in zip(panels, PANELS, strict=True):
        panel(axes, study, cost, label)
    panels[0].set_ylabel("validation accuracy (%)")
    figure.suptitle(_title(study), fontsize=9, parse_math=False)
    legend(figure, panels)
    settle(figure)
    for axes in panels:
        keep_apart(axes)
    return figure


def panel(axes: Axes, study: Study, cost: str, label: str) -> None:
    """Accuracy against one cost."""
    full = drawable(study.in_state(State.COMPLETE), cost)
    stopped = drawable(study.in_state(State.STOPPED), cost)
    axes.set_xlabel(label)
    axes.grid(visible=True, color=PICTURE["grid"], linewidth=0.6)
    axes.set_axisbelow(True)
    if not full and not stopped:
        text = "nothing trained yet" if cost == "params" else "no latency measured"
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY)
        return
    front = [trial for trial in study.front if trial in full]
    baselines = [t for t in full if t.role is Role.BASELINE and t not in front]
    draw_candidates(axes, study, full, cost)
    draw_compared(axes, full, cost)
    draw_stopped(axes, stopped, full, cost)
    draw_front(axes, study, front, cost)
    draw_best_line(axes, full, cost)
    if cost == "latency_ms":
        draw_predicted(axes, full, stopped)
    draw_whiskers(axes, front + baselines, cost, study.validation_images)
    _scale(axes, full + stopped, cost)


def _scale(axes: Axes, trials: Sequence[Trial], cost: str) -> None:
    costs = xy(trials, cost)[0]
    if min(costs) > 0 and max(costs) / min(costs) > LOG_SPAN:
        axes.set_xscale("log")
    if cost in {"params", "macs"}:
        axes.xaxis.set_major_formatter(EngFormatter())
    elif axes.get_xscale() == "log":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.08, y=0.08)


def legend(
    figure: Figure, panels: Iterable[Axes], size: float = 7, most_columns: int = MOST_COLUMNS
) -> None:
    """What the marks of all panels mean, below them, in as many columns as have room."""
    entries = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if not entries:
        return
    for columns in range(most_columns, 0, -1):
        shown = figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=columns,
            fontsize=size,
            frameon=False,
        )
        if shown.get_window_extent().width <= figure.bbox.width or columns == 1:
            break
        shown.remove()
    for handle in shown.legend_handles:
        if handle is not None:
            handle.set_alpha(1)  # also where a block type has only faint points


def _title(study: Study) -> str:
    machine = study.machine.get("processor")
    facts = [
        None if study.epochs is None else number_of(study.epochs, "epoch"),
        None if study.seed is None else f"seed {study.seed}",
        number_of(study.validation_images, "validation image"),
        None if machine is None else one_line(str(machine), MOST_OF_A_FACT),
    ]
    return f"{one_line(study.name)}\n" + ", ".join(fact for fact in facts if fact)
