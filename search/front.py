"""The front: the trials that no other trial beats or equals in everything."""

from collections.abc import Iterable, Sequence

from search.trial import Trial


def dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether `first` is nowhere worse than `second` and somewhere better; less is better."""
    pairs = list(zip(first, second, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def losses(trial: Trial, objectives: Sequence[str]) -> tuple[float, ...] | None:
    """The trial's objectives with accuracy negated, so that less is better; None if incomplete."""
    values = [trial.objective(name) for name in objectives]
    signs = [-1.0 if name == "val_accuracy" else 1.0 for name in objectives]
    known = [v * s for v, s in zip(values, signs, strict=True) if v is not None]
    return tuple(known) if len(known) == len(values) else None


def front(trials: Iterable[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The non-dominated ones among the fully trained and feasible trials, by falling accuracy.

    Trials that are equal in every objective are all members.
    """
    rated = [(t, losses(t, objectives)) for t in trials if t.eligible]
    known = [(trial, rating) for trial, rating in rated if rating is not None]
    members = [
        trial for trial, mine in known if not any(dominates(other, mine) for _, other in known)
    ]
    return sorted(members, key=lambda trial: (-(trial.val_accuracy or 0.0), trial.params))


def may_be_on_front(trial: Trial, trials: Iterable[Trial], objectives: Sequence[str]) -> bool:
    """Whether no eligible one of `trials` beats `trial`, which need not have ended itself."""
    mine = losses(trial, objectives)
    if mine is None or trial.over_budget:
        return False
    rated = (losses(other, objectives) for other in trials if other.eligible)
    return not any(other is not None and dominates(other, mine) for other in rated)
