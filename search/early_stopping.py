"""When a candidate's training is given up, by the rule that a space file names.

`curve`: those that reach the front, given what it costs, hardly ever have a curve so bad.
`halving`: asynchronous successive halving (Li et al., "A System for Massively Parallel
Hyperparameter Tuning", 2020) by non-dominated rank (Schmucker et al., "Multi-objective Asynchronous
Successive Halving", 2021). `patience`: it stands still.
"""

import math
from collections.abc import Sequence

import moocore
import numpy as np

from search.front import minimised
from search.sampling.curves import Curves
from search.sampling.observations import loss
from search.space_file import EarlyStopping
from search.trial import State, Trial
from trainers.messages import EpochResult

HOPELESS = 0.1  # of `risk` may be lost of all, beside `risk` of those that would reach the front
GROWTH = 1.5  # between the epochs at which a curve is judged


def reason_to_stop(
    trial: Trial, others: Sequence[Trial], rules: EarlyStopping, minimize: Sequence[str]
) -> str | None:
    """Why `trial` should stop after the last epoch of its curve; None to go on.

    `others` are the other trials of the study, without such as are trained by another recipe.
    `minimize` names the cost objectives.
    """
    if len(trial.curve) < rules.grace_epochs or trial.has_all_epochs:
        return None
    if rules.rule == "curve":
        return _will_not_reach_the_front(trial, others, rules, minimize)
    if rules.rule == "halving":
        return _behind(trial, others, rules, minimize)
    return stands_still(trial.curve, rules) if rules.rule == "patience" else None


def stands_still(curve: Sequence[EpochResult], rules: EarlyStopping) -> str | None:
    """Whether the last `patience` epochs brought no improvement of `min_improvement`."""
    if len(curve) <= rules.patience:
        return None
    before = max(epoch.val_accuracy for epoch in curve[: -rules.patience])
    since = max(epoch.val_accuracy for epoch in curve[-rules.patience :])
    if since >= before + rules.min_improvement:
        return None
    return f"patience: no improvement in {rules.patience} epochs over {before:.4f}"


def _will_not_reach_the_front(
    trial: Trial, others: Sequence[Trial], rules: EarlyStopping, minimize: Sequence[str]
) -> str | None:
    """Whether those that reach the front are too rarely as bad as `trial`.

    The risk of losing one of them is shared out evenly between the epochs at which this is asked.
    Or whether its own chance is next to nothing, as where nothing like the front was ever seen at
    its costs: what is lost by that is a part of all candidates.
    """
    asked = _growing(rules.grace_epochs, trial.epochs, GROWTH)
    if len(trial.curve) not in asked:
        return None
    whole = [other for other in others if other.state is State.COMPLETE]
    rivals = [o for o in whole if not o.over_budget and costs_no_more(o, trial, minimize)]
    if not rivals:
        return None
    best = max(rivals, key=lambda rival: rival.val_accuracy or 0.0)
    known = [(_losses(other), _log_costs(other, minimize)) for other in others if other.curve]
    costs = _log_costs(trial, minimize)
    comparable = [(curve, of_it) for curve, of_it in known if len(of_it) == len(costs)]
    curves = Curves([curve for curve, _ in comparable], [of_it for _, of_it in comparable])
    wanted = _losses(best)[-1]
    rarity = curves.how_rarely_as_bad(_losses(trial), wanted, costs)
    expected = curves.expected(_losses(trial), costs)
    if rarity is None or expected is None:
        return None
    share = rules.risk / len(asked)
    is_rare = rarity < share and expected.mean > wanted
    if not is_rare and expected.chance_below(wanted) >= HOPELESS * share:
        return None
    return (
        f"curve: {trial.val_accuracy or 0:.4f} in epoch {len(trial.curve)} leads to expect "
        f"{1 - np.exp(expected.mean):.4f} (± {expected.half_width:.1%} of the error), where trial "
        f"{best.number}, which costs no more, has {best.val_accuracy or 0:.4f}"
    )


def _behind(
    trial: Trial, others: Sequence[Trial], rules: EarlyStopping, minimize: Sequence[str]
) -> str | None:
    """Whether as many are ahead of it as go on, one part in `reduction` of all that came so far."""
    epochs = len(trial.curve)
    if epochs not in _growing(rules.grace_epochs, trial.epochs, rules.reduction):
        return None
    came = [trial, *(other for other in others if len(other.curve) >= epochs)]
    points = [_point(each, epochs, minimize) for each in came]
    if points[0] is None:
        return None
    ranks = moocore.pareto_rank(np.array([point for point in points if point is not None]))
    ahead, places = int(np.sum(ranks < ranks[0])), max(1, len(ranks) // rules.reduction)
    if ahead < places:
        return None
    return f"halving: {ahead} of {len(ranks)} are ahead of it in epoch {epochs}, {places} go on"


def _growing(first: int, epochs: int, factor: float) -> list[int]:
    """The epochs before the last that are `first`, `factor` times that, and so on."""
    found = [first]
    while (following := max(found[-1] + 1, round(found[-1] * factor))) < epochs:
        found.append(following)
    return found


def _point(trial: Trial, epochs: int, minimize: Sequence[str]) -> list[float] | None:
    """The loss at an epoch and the costs; None where one is not known."""
    costs = minimised(trial, minimize)
    return None if costs is None else [loss(trial.curve[epochs - 1].val_accuracy), *costs]


def _losses(trial: Trial) -> list[float]:
    return [loss(epoch.val_accuracy) for epoch in trial.curve]


def _log_costs(trial: Trial, minimize: Sequence[str]) -> list[float]:
    """Of those that are known."""
    values = [trial.objective(name) for name in minimize]
    return [math.log(value) for value in values if value]


def costs_no_more(first: Trial, second: Trial, minimize: Sequence[str]) -> bool:
    """Whether `first` costs at most what `second` does in each objective; no where not known."""
    pairs = [(first.objective(name), second.objective(name)) for name in minimize]
    return all(a is not None and b is not None and a <= b for a, b in pairs)
