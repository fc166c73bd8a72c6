"""The front: the trials that no other is as good as in everything and better in something."""

from collections.abc import Iterable, Sequence

from search.trial import Trial


def dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether `first` is nowhere worse than `second` and somewhere better; less is better."""
    pairs = list(zip(first, second, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def minimised(trial: Trial, objectives: Sequence[str]) -> tuple[float, ...] | None:
    """The trial's objectives with accuracy negated, so that less is better; None if incomplete."""
    values = [trial.objective(name) for name in objectives]
    signs = [-1.0 if name == "val_accuracy" else 1.0 for name in objectives]
    known = [v * s for v, s in zip(values, signs, strict=True) if v is not None]
    return tuple(known) if len(known) == len(values) else None


def front(trials: Iterable[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The non-dominated ones among the fully trained and feasible trials, by falling accuracy.

    Trials that are equal in every objective are all members. One with a predicted latency is none,
    where latency is an objective: a driver measures those that may be.
    """
    known = rated(trials, objectives)
    members = [
        trial for trial, mine in known if not any(dominates(other, mine) for _, other in known)
    ]
    return sorted(members, key=lambda trial: (-(trial.val_accuracy or 0.0), trial.params))


def may_be_on_front(trial: Trial, trials: Iterable[Trial], objectives: Sequence[str]) -> bool:
    """Whether none of `trials` that could be on the front beats `trial`; it need not have ended."""
    mine = minimised(trial, objectives)
    if mine is None or trial.over_budget:
        return False
    return not any(dominates(other, mine) for _, other in rated(trials, objectives))


def rated(
    trials: Iterable[Trial], objectives: Sequence[str]
) -> list[tuple[Trial, tuple[float, ...]]]:
    """The trials that can be on the front, with their objectives as `minimised` has them."""
    values = [(trial, minimised(trial, objectives)) for trial in trials if trial.eligible]
    return [
        (trial, rating)
        for trial, rating in values
        if rating is not None and not ("latency_ms" in objectives and trial.latency_predicted)
    ]
