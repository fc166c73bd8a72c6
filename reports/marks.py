"""The marks of the picture: each function draws one kind of trial into one panel."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from reports import palette
from reports.gains import half_width
from reports.palette import PICTURE
from reports.study import Study
from reports.wording import block_type
from search.trial import Role, Trial

NEAR = 0.6  # the accuracy axis reaches this many spans of the full trainings below them
LEAST_SPAN = 2.0  # per cent

BLOCK_COLOURS = tuple(PICTURE[name] for name in palette.BLOCKS)
BLOCK_MARKERS = ("o", "s", "^", "P", "X", "h", "p")  # one more than colours: pairs come late again
MIXED_COLOUR, MIXED_MARKER = PICTURE["purple"], "d"
GREY, LINE, INK, PAPER = (PICTURE[name] for name in ("grey", "line", "ink", "paper"))
NUMBER = "number"  # what drawings call a trial's number beside its mark
PREDICTED = "predicted latency"
POINTS = 72  # of an inch
LIFT = 1.0  # points that a number is moved up at a time

Style = tuple[str, str]


def drawable(trials: Iterable[Trial], cost: str) -> list[Trial]:
    """Those trials that have an accuracy and this cost."""
    return [t for t in trials if t.val_accuracy is not None and t.objective(cost) is not None]


def xy(trials: Sequence[Trial], cost: str) -> tuple[list[float], list[float]]:
    """Costs and accuracies in per cent of drawable trials."""
    costs = [float(trial.objective(cost) or 0.0) for trial in trials]
    return costs, [100 * (trial.val_accuracy or 0.0) for trial in trials]


def floor_of(full: Sequence[Trial]) -> float:
    """The accuracy in per cent under which stopped trials are drawn at the edge instead.

    Without it an early stop at 20 % would press the gains that matter into one line.
    """
    if not full:
        return 0.0
    accuracies = xy(full, "params")[1]
    span = max(max(accuracies) - min(accuracies), LEAST_SPAN)
    return max(0.0, min(accuracies) - NEAR * span)


def draw_stopped(axes: Axes, stopped: Sequence[Trial], full: Sequence[Trial], cost: str) -> None:
    """Small hollow marks at the last accuracy; far below the `full` trainings, at the edge."""
    floor = floor_of(full)
    points = list(zip(*xy(stopped, cost), strict=True))
    for marker, label, shown in (
        ("o", "stopped early, last accuracy", [p for p in points if p[1] >= floor]),
        ("v", "stopped early, below the axis", [(x, floor) for x, y in points if y < floor]),
    ):
        if shown:
            xs, ys = zip(*shown, strict=True)
            axes.scatter(
                xs, ys, s=14, marker=marker, label=label, facecolors="none", edgecolors=GREY,
                linewidths=0.8,
            )  # fmt: skip


def draw_predicted(axes: Axes, full: Sequence[Trial], stopped: Sequence[Trial]) -> None:
    """A tilde on every latency that is predicted, wherever its trial is drawn."""
    predicted = [trial for trial in (*full, *stopped) if trial.latency_predicted]
    if predicted:
        costs, accuracies = xy(predicted, "latency_ms")
        floor = floor_of(full)
        axes.scatter(
            costs, [max(floor, accuracy) for accuracy in accuracies], s=40, c=INK,
            marker=r"$\sim$", linewidths=0, zorder=3.5, label=PREDICTED,
        )  # fmt: skip


def draw_best_line(axes: Axes, full: Sequence[Trial], cost: str) -> None:
    """The best accuracy that a cost buys, in this panel's two dimensions alone."""
    points = sorted(zip(*xy([t for t in full if t.eligible], cost), strict=True))
    best: list[tuple[float, float]] = []
    for x, y in points:
        if best and best[-1][0] == x:
            best.pop()  # sorted: a later point of the same cost is the more accurate one
        if not best or y > best[-1][1]:
            best.append((x, y))
    if len(best) > 1:
        xs, ys = zip(*best, strict=True)
        label = "best at this cost or less"
        axes.step(xs, ys, where="post", color=LINE, linewidth=0.9, zorder=1, label=label)


def draw_whiskers(axes: Axes, trials: Sequence[Trial], cost: str, images: int) -> None:
    """The 95 % interval of each accuracy."""
    if not trials:
        return
    costs, accuracies = xy(trials, cost)
    halves = [100 * half_width(accuracy / 100, images) for accuracy in accuracies]
    axes.errorbar(
        costs, accuracies, yerr=halves, fmt="none", ecolor=LINE, elinewidth=0.7, capsize=2,
        zorder=1.5, label="95 % interval (validation images)",
    )  # fmt: skip


def styles(study: Study) -> dict[str, Style]:
    """Colour and marker of each block type; the same in all drawings and for any outcome."""
    known = {
        name: (
            BLOCK_COLOURS[index % len(BLOCK_COLOURS)],
            BLOCK_MARKERS[index % len(BLOCK_MARKERS)],
        )
        for index, name in enumerate(block_names(study))
    }
    return {**known, "mixed": (MIXED_COLOUR, MIXED_MARKER)}


def block_names(study: Study) -> list[str]:
    """The kinds of attention in the order of the space file, then those that only trials have."""
    named = list((study.space.get("placement") or {}).get("attention", {}))
    seen = {p.block.name for trial in study.trials for p in trial.architecture.placements}
    alone = {block_type(trial.architecture) for trial in study.trials} - {"mixed"}
    return [*named, *sorted((seen | alone) - set(named))]


def draw_candidates(axes: Axes, study: Study, full: Sequence[Trial], cost: str) -> None:
    """A point in its block's colour for each candidate; faint where it is not on the front."""
    candidates = [trial for trial in full if trial.role is Role.CANDIDATE]
    for name, (colour, marker) in styles(study).items():
        mine = [trial for trial in candidates if block_type(trial.architecture) == name]
        left = [trial for trial in mine if trial not in study.front]
        best = [trial for trial in mine if trial in study.front]
        for trials, alpha in ((left, 0.45), (best, 1.0)):
            if trials:
                axes.scatter(
                    *xy(trials, cost), s=34, c=colour, marker=marker, alpha=alpha, linewidths=0,
                    zorder=2, label=name,
                )  # fmt: skip


def draw_compared(axes: Axes, full: Sequence[Trial], cost: str) -> None:
    """Baseline and controls."""
    for role, marker, size, label in (
        (Role.BASELINE, "*", 130, "baseline: the plain backbone"),
        (Role.CONTROL, "D", 36, "control: a residual block"),
    ):
        trials = [trial for trial in full if trial.role is role]
        if trials:
            axes.scatter(
                *xy(trials, cost), s=size, c=INK, marker=marker, linewidths=0, zorder=3,
                label=label,
            )  # fmt: skip


def draw_front(axes: Axes, study: Study, front: Sequence[Trial], cost: str) -> None:
    """A ring around each member of the front, and its number above its whisker."""
    if not front:
        return
    label = "front, with trial number"
    costs, accuracies = xy(front, cost)
    axes.scatter(
        costs, accuracies, s=110, facecolors="none", edgecolors=INK, linewidths=0.9, zorder=2.5,
        label=label,
    )  # fmt: skip
    halo = [withStroke(linewidth=1.5, foreground=PAPER)]
    for trial, x, y in zip(front, costs, accuracies, strict=True):
        top = y + 100 * half_width(y / 100, study.validation_images)
        axes.annotate(
            str(trial.number), (x, top), xytext=(0, 3), textcoords="offset points", ha="center",
            size=7, zorder=4, path_effects=halo, gid=f"{NUMBER}-{trial.number}",
        )  # fmt: skip


def keep_apart(axes: Axes) -> None:
    """Lifts each number that would be drawn over another; without room for it, it is left out.

    The axes must have their final extent.
    """
    placed: list[Bbox] = []
    step = LIFT * axes.get_figure(root=True).dpi / POINTS  # type: ignore[union-attr]
    found = [(text, text.get_window_extent()) for text in axes.texts]
    for number, its in sorted(found, key=lambda each: each[1].y0):
        box, lifts = its, 0
        while any(box.overlaps(other) for other in placed):
            box, lifts = box.translated(0, step), lifts + 1
        x, y = number.get_position()
        number.set_position((x, y + lifts * LIFT))
        if placed and box.y1 > axes.bbox.y1 + box.height:
            number.set_visible(False)
        else:
            placed.append(box)
