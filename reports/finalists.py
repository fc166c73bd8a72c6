"""The finalists in words: what the test split says of the search's answer."""

from collections.abc import Sequence

from reports.evidence import LEVEL, Difference, Estimated, Final, Kind
from reports.study import Study
from reports.wording import UNKNOWN, code_cell, number_of, percent, points

NAMES = {
    Kind.CANDIDATE: "",
    Kind.BASELINE: "★ baseline",
    Kind.CONTROL: "◆ control",
    Kind.EQUAL_SIZE: "◇ as many parameters, no attention",
}
AGAINST = {
    Kind.BASELINE: "the plain backbone",
    Kind.CONTROL: "the control (an ordinary residual block)",
    Kind.EQUAL_SIZE: "as many parameters without attention",
}


def on_test_split(study: Study) -> list[str]:
    """A sentence or two for each finalist: whether its gain is real, and whether attention's."""
    return [_verdict(final, study.differences) for final in _candidates(study)]


def finalists(study: Study) -> list[str]:
    """The section's lines in Markdown."""
    some = study.finals[0]
    judged = some.runs[0].judged
    images = judged.images if judged else 0
    seeds = sorted({run.seed for final in study.finals for run in final.runs if run.seed})
    lines = [
        f"The best of the front, and what they are compared with, were trained again: "
        f"{number_of(some.runs[0].epochs, 'epoch')}, seeds {_listed(seeds)}, none of which the "
        f"search used, and judged once each by the {images:,} images of the test split, which "
        "nothing before had seen. The same seed means the same batches, so networks are compared "
        "pair by pair.",
        "",
        "| trial | network | parameters | seeds | test accuracy | 95 % interval | sd of seeds |",
        "|---:|---|---:|---:|---:|---|---:|",
        *(_row(final) for final in study.finals),
    ]
    if study.differences:
        lines += [
            *("", "| trial | against | gain (points) | 95 % interval | p | p, corrected | |"),
            "|---:|---|---:|---|---:|---:|---|",
            *(_difference_row(each) for each in study.differences),
        ]
    return [*lines, "", *_how(study)]


def closing_lines(study: Study) -> list[str]:
    """For the terminal, a line each."""
    return [_in_a_line(final, study.differences) for final in _candidates(study)]


def _in_a_line(final: Final, differences: Sequence[Difference]) -> str:
    """`Trial 7 on the test split: 62.31 % ± 0.80 (3 seeds); …`."""
    accuracy = final.accuracy
    interval = f" ± {100 * accuracy.half_width:.2f}" if accuracy else ""
    text = f"Trial {final.trial.number} on the test split: {percent(final.mean)}{interval}"
    text += f" ({number_of(len(final.runs), 'seed')})"
    parts = [
        f"{_gain(each.gain)} points against {AGAINST[each.reference.kind]}: {word(each)}"
        for each in differences
        if each.final is final
    ]
    return "; ".join([text, *parts])


def word(difference: Difference) -> str:
    """`a real gain`, `a real loss` or `within noise`."""
    if not difference.real:
        return "within noise"
    return "a real gain" if difference.won else "a real loss"


def _candidates(study: Study) -> list[Final]:
    return [final for final in study.finals if final.kind is Kind.CANDIDATE]


def _verdict(final: Final, differences: Sequence[Difference]) -> str:
    mine = {each.reference.kind: each for each in differences if each.final is final}
    who = f"Trial {final.trial.number}"
    base, twin = mine.get(Kind.BASELINE), mine.get(Kind.EQUAL_SIZE)
    accuracy = f"reaches {percent(final.mean)} on the test split"
    if base is None:
        return f"{who} {accuracy}; too few seeds to compare it."
    gained = f"{who} {accuracy}, {_gain(base.gain)} points against the plain backbone"
    if not base.real:
        return f"{gained}: **within noise**, so this study shows no gain of it."
    if base.lost:
        return f"{gained}: **a real loss**."
    return f"{gained}: **a real gain** (p = {_p(base.p)} corrected). {_whose(twin)}"


def _whose(twin: Difference | None) -> str:
    """Of a real gain: attention's, or that of parameters."""
    if twin is None:
        return "It adds so few parameters that there is no control of its size."
    against = f"{_gain(twin.gain)} points against as many parameters without attention"
    if twin.won:
        return f"It is the attention's: {against}, a real gain too."
    if twin.lost:
        return f"But it is not the attention's: {against}, a real loss."
    return f"Whether it is the attention's is not shown: {against}, within noise."


def _row(final: Final) -> str:
    name = NAMES[final.kind]
    title = code_cell(final.title)
    accuracy = final.accuracy
    cells = [
        str(final.trial.number),
        f"{name}: {title}" if name else title,
        f"{final.params:,}",
        str(len(final.runs)),
        percent(final.mean),
        UNKNOWN if accuracy is None else _interval(accuracy, sign=False),
        UNKNOWN if final.deviation is None else f"{100 * final.deviation:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _difference_row(each: Difference) -> str:
    against = f"{AGAINST[each.reference.kind]}, {number_of(len(each.seeds), 'pair')}"
    numbers = (_gain(each.gain), _interval(each.gain), _p(each.gain.p), _p(each.p))
    cells = [str(each.final.trial.number), against, *numbers, word(each)]
    return f"| {' | '.join(cells)} |"


def _how(study: Study) -> list[str]:
    """How intervals and p-values come about, and what could have been seen at all."""
    widest = max((each.gain.half_width for each in study.differences), default=None)
    lines = [
        "Intervals and p-values hold both, other seeds and other test images (two-way random "
        f"effects, Student's t); p-values are corrected by Holm for the {len(study.differences)} "
        f"comparisons, and a difference is called real below {LEVEL:g}.",
    ]
    if widest is not None:
        lines[0] += (
            f" Differences of less than about {100 * widest:.1f} points could not have been told "
            "from noise here; more seeds (`--seeds`) tell smaller ones."
        )
    failed = [run for run in study.finalists if run.state == "failed"]
    if failed:
        lines.append(f"{number_of(len(failed), 'training')} of finalists failed; see trials.csv.")
    return lines


def _gain(gain: Estimated) -> str:
    return f"{points(gain.value)} ± {100 * gain.half_width:.2f}"


def _interval(estimated: Estimated, *, sign: bool = True) -> str:
    low, high = estimated.value - estimated.half_width, estimated.value + estimated.half_width
    return f"{points(low)} to {points(high)}" if sign else f"{100 * low:.2f} to {100 * high:.2f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _listed(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))
