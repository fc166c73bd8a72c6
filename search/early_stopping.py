"""When a candidate's training is given up: it stands still, or is dominated at the same epoch."""

from collections.abc import Iterable, Sequence

from search.trial import State, Trial
from trainers.config import EarlyStopping
from trainers.messages import EpochResult


def reason_to_stop(
    trial: Trial, others: Iterable[Trial], rules: EarlyStopping, minimize: Sequence[str]
) -> str | None:
    """Why `trial` should stop after the last epoch of its curve; None to go on.

    `others` are the trials of the study; only fully trained ones count, since an unfinished
    candidate may itself disappear. `minimize` names the cost objectives.
    """
    if len(trial.curve) < rules.grace_epochs:
        return None
    return stands_still(trial.curve, rules) or _dominated(trial, others, rules, minimize)


def stands_still(curve: Sequence[EpochResult], rules: EarlyStopping) -> str | None:
    """Whether the last `patience` epochs brought no improvement of `min_improvement`."""
    if rules.patience is None or len(curve) <= rules.patience:
        return None
    before = max(epoch.val_accuracy for epoch in curve[: -rules.patience])
    since = max(epoch.val_accuracy for epoch in curve[-rules.patience :])
    if since >= before + rules.min_improvement:
        return None
    return f"patience: no improvement in {rules.patience} epochs over {before:.4f}"


def _dominated(
    trial: Trial, others: Iterable[Trial], rules: EarlyStopping, minimize: Sequence[str]
) -> str | None:
    if not rules.dominated:
        return None
    epochs = len(trial.curve)
    mine = trial.curve[-1].val_accuracy
    for other in others:
        if other.state is not State.COMPLETE or other.over_budget or len(other.curve) < epochs:
            continue
        theirs = other.curve[epochs - 1].val_accuracy
        if theirs > mine + rules.margin and _costs_no_more(other, trial, minimize):
            return (
                f"dominated: {mine:.4f} in epoch {epochs}, where trial {other.number}, "
                f"which costs no more, had {theirs:.4f}"
            )
    return None


def _costs_no_more(first: Trial, second: Trial, minimize: Sequence[str]) -> bool:
    pairs = [(first.objective(name), second.objective(name)) for name in minimize]
    return all(a is not None and b is not None and a <= b for a, b in pairs)
