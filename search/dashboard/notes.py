"""Notes in Markdown that Optuna's dashboard shows: one of the study, one of each trial."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.architecture import Backbone
from models.describe import draw_architecture, title
from models.errors import ProgramError
from models.printable import one_line, printable
from search.trial import Role, State, Trial
from trainers.messages import EpochResult

MOST_PLACEMENTS = 12  # rows; the drawing has all
MOST_EPOCHS = 8  # rows of a learning curve
BARS = "▁▂▃▄▅▆▇█"
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!&:@.$^])")  # also what makes a bare address a link

UNKNOWN = (
    ProgramError,
    LookupError,
    ValueError,
    TypeError,
)  # what another version may have written

ROLES = {
    Role.BASELINE: "baseline: the plain backbone",
    Role.CONTROL: "control: an ordinary residual block, to be compared with",
    Role.ORIGIN: "the training that candidates inherit their weights from",
    Role.CHECK: "a candidate trained from scratch once more, to check inherited weights",
}
ENDINGS = {
    State.COMPLETE: "trained for all its epochs",
    State.STOPPED: "training stopped early",
    State.INFEASIBLE: "over a budget, not trained",
    State.FAILED: "failed",
    State.RUNNING: "running",
}
OBJECTIVES = {
    "val_accuracy": "validation accuracy (more is better; a fraction)",
    "params": "trained parameters (fewer is better)",
    "macs": "multiply-adds of one image (fewer is better)",
    "latency_ms": "milliseconds of a forward pass (fewer is better)",
}


def study_note(name: str, objectives: Sequence[str], space: Mapping[str, Any]) -> str:
    """What a study asks, and how to read its pages; `space`: its fingerprint."""
    given = {key: space["objectives"][key] for key in ("max_params", "max_latency_ms")}
    budgets = [f"{key} = {value:g}" for key, value in given.items() if value is not None]
    return "\n".join(
        (
            f"# {escaped(name)}",
            "",
            "**Which attention block, put where in this network, buys the most accuracy for its "
            "parameters and milliseconds?**",
            "",
            *_network_and_data(space),
            *(f"- Objective: {OBJECTIVES[each]}" for each in objectives),
            f"- Budgets: {escaped(', '.join(budgets)) or 'none'}",
            "",
            "How to read these pages:",
            "",
            "- *Trials (List)*: each trial has a note with its placements drawn on the backbone, "
            "its numbers and why it ended.",
            "- *Complete* trials were trained for all their epochs; *Pruned* ones were stopped "
            "early or were over a budget (their note says which), and are never on the front.",
            "- *History* has the front, the hypervolume, learning curves. Dashed lines are "
            "trainings that were stopped early.",
            "- A difference of a point may be noise: gains with intervals, the control beside "
            "them, and what blocks and places are worth are in the report, "
            f"`python -m reports runs/{one_line(name).replace('`', '')}`.",
            "",
        )
    )


def trial_note(trial: Trial, image_size: object) -> str:
    """A trial that has ended: what it is, its numbers, why it ended, where its blocks sit.

    `image_size`: what the study says, in pixels a side; without a number nothing is drawn.
    """
    lines = [f"### {escaped(_heading(trial))}", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in (*_placements(trial), *_facts(trial))]
    if trial.reason:
        lines += ["", f"**Why it ended:** {escaped(one_line(' '.join(trial.reason.split())))}"]
    drawing = _drawing(trial, image_size)
    if drawing:
        lines += ["", *fenced(drawing)]
    if trial.curve:
        lines += ["", *_curve(trial.curve)]
    return "\n".join([*lines, ""])


def escaped(text: str) -> str:
    """`text` on one line as Markdown that shows it and does nothing else: no links, no images."""
    return _MARKUP.sub(r"\\\1", printable(text))


def fenced(lines: Sequence[str]) -> list[str]:
    """`lines` as they are, in equally wide letters."""
    shown = [printable(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("~+", line)), default=0)
    fence = "~" * max(3, longest + 1)
    return [f"{fence}text", *shown, fence]


def _heading(trial: Trial) -> str:
    """Its name and its kinds of blocks: all that fits on a line."""
    blocks = dict.fromkeys(placement.block.name for placement in trial.architecture.placements)
    kinds = " + ".join(blocks) or "plain backbone"
    return one_line(f"{trial.name}: {kinds}" if trial.name else kinds)


def _placements(trial: Trial) -> Iterator[tuple[str, str]]:
    placements = trial.architecture.placements
    for placement in placements[:MOST_PLACEMENTS]:
        yield escaped(str(placement.slot)), escaped(one_line(str(placement.block)))
    if len(placements) > MOST_PLACEMENTS:
        yield "…", f"{len(placements)} placements in all"


def _facts(trial: Trial) -> Iterator[tuple[str, str]]:
    yield "trial", f"{trial.number}, {ENDINGS[trial.state]}"
    if trial.role is not Role.CANDIDATE:
        yield "role", ROLES.get(trial.role, escaped(trial.role.value))
    if trial.val_accuracy is not None:
        epochs = f"{len(trial.curve)} of {trial.epochs} epochs"
        yield "validation accuracy", f"**{100 * trial.val_accuracy:.2f} %** after {epochs}"
    yield "parameters", f"{trial.params:,}"
    yield "multiply-adds", f"{trial.macs:,}"
    yield "latency", _latency(trial)
    over = ", ".join(f"{ratio:.2f} times {escaped(name)}" for name, ratio in trial.over_budget)
    yield "within the budgets", f"no: {over}" if over else "yes"
    if trial.images_per_second:
        speed = f"{trial.images_per_second:,.0f} images/s"
        yield "training", f"{trial.train_seconds:,.0f} s, {speed}"
    if trial.worker is not None:
        worker = trial.worker
        yield "worker", escaped(one_line(f"{worker.processor} ({worker.device})"))


def _latency(trial: Trial) -> str:
    if trial.latency_ms is None:
        return "not known"
    if trial.latency is None:
        return f"about {trial.latency_ms:.3g} ms, predicted"
    measured = trial.latency
    interval = f"± {100 * measured.half_width:.1f} %"
    return f"{trial.latency_ms:.3g} ms, {measured.ratio:.3f} {interval} of the plain backbone's"


def _drawing(trial: Trial, image_size: object) -> list[str]:
    """None of an architecture that this version cannot have written."""
    if type(image_size) is not int:
        return []
    try:
        return draw_architecture(trial.architecture, image_size)
    except UNKNOWN:
        return []


def _network_and_data(space: Mapping[str, Any]) -> list[str]:
    try:
        backbone = title(Backbone(**space["backbone"]), space["data"]["image_size"])
        data = str(space["data"]["name"])
    except UNKNOWN:
        return []
    return [f"- Network: {escaped(one_line(backbone))}", f"- Data: {escaped(one_line(data))}"]


def _curve(curve: Sequence[EpochResult]) -> list[str]:
    accuracies = [epoch.val_accuracy for epoch in curve]
    low, high = min(accuracies), max(accuracies)
    step = (high - low) / (len(BARS) - 1) or 1.0
    bars = "".join(BARS[round((accuracy - low) / step)] for accuracy in accuracies)
    rows = [
        "| epoch | validation accuracy | validation loss | training loss |",
        "|--:|--:|--:|--:|",
    ]
    rows += [
        f"| {epoch.epoch} | {100 * epoch.val_accuracy:.2f} % | {epoch.val_loss:.4g} "
        f"| {epoch.train_loss:.4g} |"
        for epoch in _spread(curve)
    ]
    return [f"Accuracy by epoch: {bars}", "", *rows]


def _spread(curve: Sequence[EpochResult]) -> list[EpochResult]:
    """All epochs, or so many of them as are shown, the first and the last among them."""
    if len(curve) <= MOST_EPOCHS:
        return list(curve)
    last = len(curve) - 1
    return [curve[round(n * last / (MOST_EPOCHS - 1))] for n in range(MOST_EPOCHS)]
