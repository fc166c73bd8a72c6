"""Drawings of what happened over time: learning curves, and the front's hypervolume."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from reports.figures import legend
from reports.growth_words import NEARLY
from reports.marks import BLOCK_COLOURS, BLOCK_MARKERS, GREY, INK, LINE, Style
from reports.palette import PICTURE
from reports.plot import Plot, in_style, new_figure, settle, target
from reports.study import Study
from reports.wording import block_type, number_of, percent
from search.hypervolume import Moment
from search.trial import Role, State, Trial

INCHES = (5.4, 3.9)
HALF = (4.2, 3.0)
MOST_NAMED = 5  # of the front, each in a colour of its own; a study may have dozens
HOUR = 3600.0

Points = list[tuple[float, float]]


def curve_plots(study: Study) -> list[Plot]:
    """The learning curves of all trials; none where nothing was trained."""
    return [_curves(study)] if any(trial.curve for trial in study.trials) else []


@in_style
def _curves(study: Study) -> Plot:
    figure, axes = new_figure(*INCHES)
    trained = [trial for trial in study.trials if trial.curve]
    named = _named(study)
    numbers = {trial.number for trial in named}
    others = [trial for trial in trained if trial.number not in numbers]
    _draw_others(axes, others)
    looks = zip(BLOCK_COLOURS, BLOCK_MARKERS, strict=False)
    for trial in named:
        own = next(looks) if trial.role is Role.CANDIDATE else (INK, "*")
        _draw_named(axes, trial, own)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy (%)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.04)
    axes.autoscale_view()
    legend(figure, [axes], size=8)
    settle(figure)
    targets = tuple(target(axes, t.number, _points(t)) for t in [*others, *named])
    ended = sum(trial.state is State.STOPPED for trial in trained)
    best = max(trained, key=lambda trial: trial.val_accuracy or 0.0)
    alt = (
        f"Validation accuracy by epoch of {number_of(len(trained), 'trial')}, of which {ended} "
        f"were stopped early. Trial {best.number} ends highest, at {percent(best.val_accuracy)}."
    )
    return Plot("learning-curves", "Learning curves", alt, figure, targets)


def _points(trial: Trial) -> Points:
    return [(epoch.epoch, 100 * epoch.val_accuracy) for epoch in trial.curve]


def _named(study: Study) -> list[Trial]:
    """The most accurate of the front, baseline and controls, the more important the later."""
    candidates = [trial for trial in study.front if trial.role is Role.CANDIDATE][:MOST_NAMED]
    return [*reversed(candidates), *study.controls, *([study.baseline] if study.baseline else [])]


def _draw_others(axes: Axes, trials: Sequence[Trial]) -> None:
    full = [trial for trial in trials if trial.state is State.COMPLETE]
    left = [trial for trial in trials if trial.state is not State.COMPLETE]
    for mine, label, colour in (
        (left, "not trained to the end", PICTURE["faint"]),
        (full, "trained to the end", GREY),
    ):
        lines = [_points(trial) for trial in mine]
        if lines:
            axes.add_collection(
                LineCollection(lines, colors=colour, linewidths=0.6, label=label, zorder=1)
            )
    _draw_ends(axes, [_points(t)[-1] for t in trials if t.state is State.STOPPED], "x")
    _draw_ends(axes, [_points(trial)[0] for trial in trials if len(trial.curve) == 1], ".")


def _draw_ends(axes: Axes, points: Points, marker: str) -> None:
    if points:
        xs, ys = zip(*points, strict=True)
        label = "stopped early" if marker == "x" else None
        axes.scatter(xs, ys, s=14, c=GREY, marker=marker, linewidths=0.8, zorder=1.5, label=label)


def _draw_named(axes: Axes, trial: Trial, look: Style) -> None:
    colour, marker = look
    kind = trial.role.value
    line = "--" if trial.role is Role.BASELINE else ":"
    if trial.role is Role.CANDIDATE:
        kind, line = block_type(trial.architecture), "-"
    if trial.role is Role.CONTROL:
        marker = "D"
    xs, ys = zip(*_points(trial), strict=True)
    axes.plot(
        xs, ys, line, color=colour, linewidth=1.4, marker=marker, markevery=[len(xs) - 1],
        markersize=8 if marker == "*" else 5, label=f"{trial.number}: {kind}", zorder=2,
        markeredgewidth=0,
    )  # fmt: skip


def growth_plots(moments: Sequence[Moment]) -> list[Plot]:
    """Hypervolume by trials and by time; none where there is no front or nothing to follow."""
    if len(moments) < 2:
        return []
    by_trials = [(float(moment.trials), 100 * moment.volume) for moment in moments]
    found = [_growth(by_trials, "trials", "trials that ended", _growth_alt(moments, "trials"))]
    longest = moments[-1].seconds
    if longest > 0:
        unit, size = ("hours", HOUR) if longest > 2 * HOUR else ("minutes", 60.0)
        by_time = [(moment.seconds / size, 100 * moment.volume) for moment in moments]
        label = f"training and validation, all workers together ({unit})"
        found.append(_growth(by_time, "time", label, _growth_alt(moments, unit)))
    return found


@in_style
def _growth(points: Points, name: str, label: str, alt: str) -> Plot:
    figure, axes = new_figure(*HALF)
    xs, ys = zip(*points, strict=True)
    axes.step(xs, ys, where="post", color=PICTURE["blue"], linewidth=1.5)
    axes.fill_between(xs, ys, step="post", color=PICTURE["blue"], alpha=0.1, linewidth=0)
    axes.set_xlabel(label)
    axes.set_ylabel("hypervolume (% of the final)")
    axes.set_ylim(0, 104)
    axes.set_xlim(0, max(xs) or 1)
    axes.axhline(100, color=LINE, linewidth=0.6, linestyle=":")
    settle(figure)
    title = "Hypervolume by trials" if name == "trials" else "Hypervolume by training time"
    return Plot(f"hypervolume-{name}", title, alt, figure)


def _growth_alt(moments: Sequence[Moment], unit: str) -> str:
    nearly = next(moment for moment in moments if moment.volume >= NEARLY)
    return (
        f"Hypervolume of the front by {unit}: {100 * NEARLY:g} % of the final one is reached after "
        f"{nearly.trials} of {moments[-1].trials} trials."
    )
