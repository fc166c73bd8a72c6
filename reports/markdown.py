"""`report.md`: the question, the answer, the evidence, and how far to trust it."""

from collections import Counter
from collections.abc import Sequence

from reports.answer import accuracy_with_noise, answer
from reports.gains import gain_over
from reports.protocol import how_measured, how_sure, how_to_go_on
from reports.study import Study
from reports.wording import (
    count,
    milliseconds,
    number_of,
    objectives_in_words,
    percent,
    points,
    role_marker,
    shortened,
)
from search.trial import Role, State, Trial

PICTURE = "pareto.png"
REASON_LENGTH = 200  # characters; the whole reason is in trials.csv

_COLUMNS = "trial | role | placements | accuracy | gain (points) | parameters | MACs | latency"


def report(study: Study) -> str:
    """The report in Markdown; the same text for the same ledger."""
    sections = [
        [f"# {study.name}", "", _question(study)],
        ["## Answer", "", *answer(study)],
        [f"![Accuracy against parameters and latency]({PICTURE})"],
        ["## Front", "", *_front(study)],
        ["## What else was tried", "", *_counts(study), *_others(study)],
        ["## How it was measured", "", *how_measured(study)],
        ["## How sure one can be", "", *how_sure(study)],
        ["## How to go on", "", *how_to_go_on(study)],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _question(study: Study) -> str:
    backbone = study.space.get("backbone", {}).get("name", "the backbone")
    data = study.space["data"].get("name", "the data")
    return (
        f"*Which attention block, put where in {backbone}, buys the most validation accuracy on "
        f"{data} for its cost?* Judged by {objectives_in_words(study.objectives)}."
    )


def _front(study: Study) -> list[str]:
    front = study.front
    numbers = {trial.number for trial in front}
    compared = [t for t in (study.baseline, *study.controls) if t and t.number not in numbers]
    if not front and not compared:
        return ["Empty: nothing has been fully trained within the budgets."]
    lines = [
        f"No other fully trained trial is as good in {objectives_in_words(study.objectives)} "
        "together and better in one of them; baseline and controls are shown beside the front "
        "where they are not on it. ± is the 95 % interval from the number of validation images.",
        "",
        f"| {_COLUMNS} |",
        "|---:|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [_row(study, trial, "") for trial in front]
    return lines + [_row(study, trial, _why_not(trial)) for trial in compared]


def _why_not(trial: Trial) -> str:
    over = ", ".join(f"{ratio:.2f} times {name}" for name, ratio in trial.over_budget)
    return f" (not on the front: {over})" if over else " (not on the front)"


def _row(study: Study, trial: Trial, remark: str) -> str:
    gain = gain_over(trial, study.baseline, study.validation_images)
    noise = " (noise)" if gain and gain.within_noise else ""
    cells = [
        str(trial.number),
        f"{role_marker(trial) or 'candidate'}{remark}",
        f"`{trial.architecture.describe()}`",
        accuracy_with_noise(trial, study.validation_images),
        f"{points(gain.value)} ± {100 * gain.half_width:.2f}{noise}" if gain else "—",
        f"{trial.params:,}",
        count(trial.macs),
        milliseconds(trial.latency_ms),
    ]
    return f"| {' | '.join(cells)} |"


def _counts(study: Study) -> list[str]:
    counts = Counter(trial.state for trial in study.trials)
    words = {
        State.COMPLETE: "fully trained",
        State.STOPPED: "stopped early",
        State.INFEASIBLE: "over a budget and not trained",
        State.FAILED: "failed",
        State.RUNNING: "not ended",
    }
    parts = [f"{counts[state]} {text}" for state, text in words.items() if counts[state]]
    return [f"{number_of(len(study.trials), 'trial')}: {', '.join(parts) or 'none yet'}."]


def _others(study: Study) -> list[str]:
    titles = {
        State.STOPPED: "Stopped early (never on the front)",
        State.INFEASIBLE: "Over a budget",
        State.FAILED: "Failed",
    }
    lines: list[str] = []
    for state, title in titles.items():
        trials = study.in_state(state)
        if trials:
            lines += ["", f"### {title}", "", *_reasons(trials)]
    return lines


def _reasons(trials: Sequence[Trial]) -> list[str]:
    """A summary by kind of reason, then each trial."""
    kinds = Counter(trial.reason.partition(":")[0] for trial in trials if ":" in trial.reason)
    summary = ", ".join(f"{_cell(kind)} {many}" for kind, many in sorted(kinds.items()))
    lines = [f"By reason: {summary}.", ""] if len(kinds) > 1 else []
    lines += ["| trial | placements | epochs | accuracy | reason |", "|---:|---|---:|---:|---|"]
    return lines + [_reason_row(trial) for trial in trials]


def _reason_row(trial: Trial) -> str:
    role = "" if trial.role is Role.CANDIDATE else f" ({role_marker(trial)})"
    cells = [
        str(trial.number),
        f"`{trial.architecture.describe()}`{role}",
        str(len(trial.curve)),
        percent(trial.val_accuracy),
        _cell(trial.reason) or "—",
    ]
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Text that may hold anything, safe inside a Markdown table."""
    line = shortened(text, REASON_LENGTH)
    for sign in ("\\", "|", "`", "*", "_"):
        line = line.replace(sign, f"\\{sign}")
    return line.replace("<", "&lt;")
