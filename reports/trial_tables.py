"""The report's tables of trials, in Markdown: the front, and what else was tried."""

from collections import Counter
from collections.abc import Sequence

from reports.answer import accuracy_with_noise
from reports.gains import gain_over
from reports.study import Study
from reports.wording import (
    UNKNOWN,
    code_cell,
    count,
    latency,
    latency_with_interval,
    number_of,
    objectives_in_words,
    percent,
    points,
    prose,
    role_marker,
    shortened,
)
from search.trial import Role, State, Trial

REASON_LENGTH = 200  # characters; the whole reason is in trials.csv

_COLUMNS = "trial | role | placements | accuracy | gain (points) | parameters | MACs | latency"


def front_lines(study: Study) -> list[str]:
    """The front, with baseline and controls beside it."""
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
    over = _budgets_exceeded(trial)
    return f" (not on the front: {over})" if over else " (not on the front)"


def _budgets_exceeded(trial: Trial) -> str:
    return ", ".join(f"{ratio:.2f} times {name}" for name, ratio in trial.over_budget)


def _row(study: Study, trial: Trial, remark: str) -> str:
    cells = [
        str(trial.number),
        f"{role_marker(trial) or 'candidate'}{remark}",
        code_cell(trial.title),
        accuracy_with_noise(trial, study.validation_images),
        _gain(study, trial),
        f"{trial.params:,}",
        count(trial.macs),
        latency_with_interval(trial),
    ]
    return f"| {' | '.join(cells)} |"


def _gain(study: Study, trial: Trial) -> str:
    gain = gain_over(trial, study.baseline, study.validation_images)
    if gain is None:
        return UNKNOWN
    noise = " (noise)" if gain.within_noise else ""
    return f"{points(gain.value)} ± {100 * gain.half_width:.2f}{noise}"


def counts(study: Study) -> list[str]:
    """How many trials there are of each state, and how much of the space that is."""
    of_state = Counter(trial.state for trial in study.trials)
    words = {
        State.COMPLETE: "fully trained",
        State.STOPPED: "stopped early",
        State.INFEASIBLE: "over a budget and not trained",
        State.FAILED: "failed",
        State.RUNNING: "not ended",
    }
    parts = [f"{of_state[state]} {text}" for state, text in words.items() if of_state[state]]
    line = f"{number_of(len(study.trials), 'trial')}: {', '.join(parts) or 'none yet'}."
    return [line + _tried(study)]


def _tried(study: Study) -> str:
    """How much of the space was tried; controls lie outside it."""
    if study.architectures is None:
        return ""
    tried = {
        trial.architecture_id
        for trial in study.trials
        if trial.role is not Role.CONTROL and trial.state is not State.INFEASIBLE
    }
    were = "was" if len(tried) == 1 else "were"
    share = f"{len(tried):,} of the {study.architectures:,} architectures"
    return f" {share} of this space {were} tried."


def dominated(study: Study) -> list[str]:
    """The fully trained candidates that are not on the front, the most accurate first."""
    numbers = {trial.number for trial in study.front}
    trials = [
        trial
        for trial in study.in_state(State.COMPLETE)
        if trial.role is Role.CANDIDATE and trial.number not in numbers
    ]
    if not trials:
        return []
    trials.sort(key=lambda trial: -(trial.val_accuracy or 0.0))
    return [
        *("", "### Fully trained, not on the front", ""),
        "| trial | placements | accuracy | gain (points) | parameters | latency |",
        "|---:|---|---:|---:|---:|---:|",
        *(_dominated_row(study, trial) for trial in trials),
    ]


def _dominated_row(study: Study, trial: Trial) -> str:
    why = _budgets_exceeded(trial) or _cell(trial.reason)
    cells = [
        str(trial.number),
        f"{code_cell(trial.title)}{f' ({why})' if why else ''}",
        percent(trial.val_accuracy),
        _gain(study, trial),
        f"{trial.params:,}",
        latency(trial),
    ]
    return f"| {' | '.join(cells)} |"


def others(study: Study) -> list[str]:
    """Those stopped early, over a budget, or failed, with their reasons."""
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
        f"{code_cell(trial.title)}{role}",
        str(len(trial.curve)),
        percent(trial.val_accuracy),
        _cell(trial.reason) or "—",
    ]
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """A reason, which may be long, inside a table."""
    return prose(shortened(text, REASON_LENGTH))
