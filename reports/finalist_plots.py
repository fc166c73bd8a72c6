"""The finalists drawn: what each gains over what it is compared with, with its interval."""

from reports.evidence import Difference, Kind
from reports.finalists import word
from reports.palette import PICTURE
from reports.plot import Plot, in_style, new_figure, settle, target
from reports.study import Study

WIDTH, ROW, MARGIN = 7.2, 0.3, 0.9  # inches
AGAINST = {
    Kind.BASELINE: "the plain backbone",
    Kind.EQUAL_SIZE: "as many parameters, no attention",
    Kind.CONTROL: "the residual control",
}
COLOURS = {"a real gain": "green", "a real loss": "vermilion", "within noise": "grey"}
MARKERS = {"a real gain": "^", "a real loss": "v", "within noise": "o"}


def finalist_plots(study: Study) -> list[Plot]:
    """A row for each comparison; none where nothing could be compared."""
    return [_drawn(study.differences)] if study.differences else []


@in_style
def _drawn(differences: list[Difference]) -> Plot:
    figure, axes = new_figure(WIDTH, MARGIN + ROW * len(differences))
    for row, each in enumerate(differences):
        verdict = word(each)
        axes.errorbar(
            100 * each.gain.value, row, xerr=100 * each.gain.half_width,
            color=PICTURE[COLOURS[verdict]], marker=MARKERS[verdict], markersize=6,
            markeredgewidth=0, linewidth=1.4, capsize=2.5,
        )  # fmt: skip
    axes.axvline(0, color=PICTURE["line"], linewidth=0.8)
    labels = [
        f"trial {d.final.trial.number} against {AGAINST[d.reference.kind]}" for d in differences
    ]
    axes.set_yticks(range(len(differences)), labels)
    axes.set_ylim(len(differences) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("gain on the test split (points), with 95 % interval")
    settle(figure)
    targets = tuple(
        target(axes, each.final.trial.number, [(100 * each.gain.value, float(row))])
        for row, each in enumerate(differences)
    )
    return Plot("finalists", "Gains on the test split", _alt(differences), figure, targets)


def _alt(differences: list[Difference]) -> str:
    rows = (
        f"trial {each.final.trial.number} against {AGAINST[each.reference.kind]}: "
        f"{100 * each.gain.value:+.1f} ± {100 * each.gain.half_width:.1f} points, {word(each)}"
        for each in differences
    )
    return f"Gains of the finalists on the test split. {'; '.join(rows)}."
