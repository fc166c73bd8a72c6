"""How a study was measured, how sure one can be, and how to go on: the report's second half."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reports.gains import half_width
from reports.latency_protocol import how_latency_was_measured, impossibly_fast, meanwhile
from reports.study import Facts, Study
from reports.wording import code, number_of, prose
from search.study_file import DATABASE, address
from search.trial import Role, State, Trial

MOST_LISTED = 50  # names of classes, say


def how_measured(study: Study) -> list[str]:
    """Machine, data, recipe and latency protocol, a bullet each; the unknown is left out."""
    bullets = {
        "Machine": _listed(study.machine),
        "Data": _listed(study.data) or _listed(study.space.get("data", {})),
        "Backbone": _listed(study.space.get("backbone", {})),
        "Images": _listed(study.space.get("data", {})) if study.data else "",
        "Recipe": _listed(study.space.get("training", {})),
        "Search": _listed({**study.space.get("search", {}), **study.search}),
        "Budgets": _listed(_budgets(study)),
        "Space file": code(study.source) if study.source else "",
        "Command": code(study.command) if study.command else "",
        "Workers": _workers(study.trials),
        "Latency": how_latency_was_measured(study),
    }
    return [f"- **{name}:** {text}" for name, text in bullets.items() if text]


def how_sure(study: Study) -> list[str]:
    """What the numbers cannot say."""
    images = study.validation_images
    rate = _typical_accuracy(study)
    seed = "one seed" if study.seed is None else f"one seed ({study.seed})"
    return [
        f"- In the search every architecture was trained once, with {seed}: how much another seed "
        "would move it is not known from that and comes on top of the intervals of the front.",
        f"- Accuracies are read on {images:,} validation images: around {100 * rate:.0f} % that is "
        f"±{100 * half_width(rate, images):.2f} points (1.96 standard errors). Gains are compared "
        "as if read on independent images, which is cautious.",
        "- The front is picked by the same validation images it is shown with, from many "
        "candidates, so its best accuracies are a little too good.",
        _test_split(study),
        f"- Latency was measured {meanwhile(study.trials)}; compare it within this study only.",
        *impossibly_fast(study.trials, study.baseline),
    ]


def _test_split(study: Study) -> str:
    if not study.finals:
        return "- No network was trained or evaluated on the test split."
    trainings = number_of(sum(len(final.runs) for final in study.finals), "training")
    return (
        "- The search saw nothing of the test split; the finalists were read on it once each, "
        f"{trainings} in all. Whoever chooses among them by these numbers, or searches on because "
        "of them, makes them a little too good again."
    )


def how_to_go_on(study: Study) -> list[str]:
    """What a person can do next."""
    folder = study.folder or Path("runs", study.name)
    storage = study.storage or address(folder / DATABASE)
    dashboard = shlex.join(["optuna-dashboard", storage])
    return [
        f"- Search on: {_search_on(study)}; trials that ended are kept.",
        f"- Look at every trial: {code(dashboard)} shows the study in a browser.",
        _make_sure(study),
    ]


def _make_sure(study: Study) -> str:
    more = max((len(final.runs) for final in study.finals), default=0) + 2
    if study.finals:
        return f"- Make surer: the same command with `--seeds {more}` trains the finalists on."
    return (
        "- Make sure: the same command with `--finalists 3 --seeds 5` trains the best again with "
        "other seeds and judges them by the test split, before anyone believes a gain of the size "
        "of the noise."
    )


def _search_on(study: Study) -> str:
    now, left = study.search.get("trials"), _listed_left(study)
    where = code(study.source) if study.source else "the space file"
    if left == 0:
        return (
            f"all listed candidates are done; list more under `candidates` in {where} and run the "
            "same command again"
        )
    spent = sum(trial.state.trained for trial in study.trials)
    if left is not None and isinstance(now, int) and spent < now:
        were = "was" if left == 1 else "were"
        return f"run the same command again: {number_of(left, 'network')} {were} not tried yet"
    trials = f" (now {now})" if now is not None else ""
    if study.command:
        more = now + (left or now) if isinstance(now, int) else "N"
        return f"run the same command with `-o search.trials={more}`{trials}"
    return f"raise `search.trials`{trials} in {where} and run the same command again"


def _listed_left(study: Study) -> int | None:
    """How many networks are still to be tried where all are listed; None where some are sampled."""
    if study.space.get("placement") or study.architectures is None:
        return None
    ended = [trial for trial in study.trials if trial.state is not State.RUNNING]
    # The control is counted among the architectures only where it is listed.
    tried = {t.architecture_id for t in ended if t.role is not Role.CONTROL or t.name}
    control = 0 if any(trial.role is Role.CONTROL for trial in ended) else 1
    return max(study.architectures - len(tried) + control, len(study.trials) - len(ended))


def _listed(facts: Facts) -> str:
    """`name cifar10, split_seed 0, …` in the words of the space file."""
    known = ((key, value) for key, value in _flat(facts) if value is not None)
    return ", ".join(f"{prose(key)} {code(_shown(value))}" for key, value in known)


def _flat(facts: Facts, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        left = len(value) - MOST_LISTED
        more = [f"and {left:,} more"] if left > 0 else []
        return "[" + ", ".join([*map(_shown, value[:MOST_LISTED]), *more]) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _budgets(study: Study) -> Facts:
    objectives = study.space.get("objectives", {})
    return {key: value for key, value in objectives.items() if key != "minimize"}


def _workers(trials: tuple[Trial, ...]) -> str:
    """The different kinds of worker that trained, as latencies of several do not compare."""
    kinds = {
        f"{prose(w.processor)}, device {code(w.device)}, {number_of(w.threads, 'thread')}, "
        f"Paddle {prose(w.paddle)}"
        + (f", MKL_DEBUG_CPU_TYPE={prose(w.mkl_debug_cpu_type)}" if w.mkl_debug_cpu_type else "")
        for w in (trial.worker for trial in trials)
        if w is not None
    }
    text = "; ".join(sorted(kinds))
    return f"{text} (several kinds: their times do not compare)" if len(kinds) > 1 else text


def _typical_accuracy(study: Study) -> float:
    shown = study.baseline or next(iter(study.front), None)
    return 0.5 if shown is None or shown.val_accuracy is None else shown.val_accuracy
