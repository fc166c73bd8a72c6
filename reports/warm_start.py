"""What the study says of warm starts: whether inherited weights keep the order of candidates."""

from collections.abc import Iterable

from reports.order import FEWEST, Agreement, kendall, spearman
from reports.study import Study
from reports.wording import code, code_cell, number_of, percent, prose
from search.trial import Role, State, Trial

DOUBTFUL = 0.7
"""Below this ρ, two orders are too different for one to stand for the other."""

UNSETTLED = 0.3
"""With an interval that reaches below this, too few were compared."""

Pair = tuple[Trial, Trial]


def warm_start(study: Study) -> list[str]:
    """The section's lines in Markdown; none where every trial was trained from scratch."""
    if not inherits(study):
        return []
    found = _pairs(study)
    lines = [_how(study), "", _verdict(study, found)]
    if found:
        lines += ["", "| trial | placements | accuracy, inherited | accuracy, from scratch |"]
        lines += ["|---:|---|---:|---:|", *map(_row, found)]
    return lines


def warning(study: Study) -> str:
    """What has to be said where the answer is given; empty where the orders agree."""
    if not inherits(study):
        return ""
    found = _pairs(study)
    order = spearman(*_accuracies(found))
    if order is None:
        why = (
            f"too few were trained from scratch as well ({len(found)} of the {FEWEST} pairs that "
            "are needed, the baseline's among them; see `training.warm.checks`) to tell"
            if len(found) < FEWEST
            else "those trained both ways are all equally accurate in one, which cannot tell"
        )
        return (
            f"**Not checked:** candidates inherit trained weights, and {why} whether that keeps "
            "their order."
        )
    if order.value >= DOUBTFUL and order.low >= UNSETTLED:
        return ""
    if order.value >= DOUBTFUL:
        return (
            "**Not settled:** candidates inherit trained weights; whether that keeps their order, "
            f"{len(_pairs(study))} of them trained from scratch as well are too few to tell "
            f"(Spearman's ρ {_shown(order)}). More: `-o training.warm.checks`."
        )
    return (
        f"**Doubtful:** candidates inherit trained weights, and on {len(found)} of them "
        f"trained from scratch as well the order is another (Spearman's ρ {_shown(order)}). Do not "
        "trust this ranking; train from scratch (`training.start: scratch`)."
    )


def inherits(study: Study) -> bool:
    """Whether the study's candidates began with trained weights."""
    return str(study.space.get("training", {}).get("start", "scratch")) != "scratch"


def _pairs(study: Study) -> list[Pair]:
    """Every architecture that was fully trained both ways, the warm trial first."""
    warm = {t.architecture_id: t for t in study.trials if t.state is State.COMPLETE}
    cold = [trial for trial in study.scratch if trial.state is State.COMPLETE]
    found = [(warm[t.architecture_id], t) for t in cold if t.architecture_id in warm]
    return sorted(found, key=lambda pair: -(pair[0].val_accuracy or 0.0))


def _accuracies(pairs: Iterable[Pair]) -> tuple[list[float], list[float]]:
    both = [(warm.val_accuracy or 0.0, cold.val_accuracy or 0.0) for warm, cold in pairs]
    return [warm for warm, _ in both], [cold for _, cold in both]


def _how(study: Study) -> str:
    start = study.space["training"]["start"]
    source = "the baseline's weights" if start == "baseline" else f"weights ({code(start)})"
    if study.start is not None and start != "baseline":
        path, checksum = study.start.path, study.start.checksum
        source = f"the weights in {code(path)} (SHA-256 {prose(checksum[:16])}…)"
    text = (
        f"Every trial inherits {source} and is trained for {number_of(study.epochs or 0, 'epoch')}"
    )
    scratch = next(iter(study.scratch), None)
    return f"{text}, {scratch.epochs} from scratch." if scratch else f"{text}."


def _verdict(study: Study, pairs: list[Pair]) -> str:
    order, pairwise = spearman(*_accuracies(pairs)), kendall(*_accuracies(pairs))
    if order is None:
        return warning(study)
    text = (
        f"Warm and cold order of {number_of(len(pairs), 'architecture')}: Spearman's ρ "
        f"{_shown(order)}" + (f", Kendall's τ {_shown(pairwise)}" if pairwise else "") + ". "
    )
    noise = (
        "The intervals are for the number of architectures; noise of the accuracies themselves, "
        "which no two trainings share, lowers both."
    )
    return f"{text}{noise}" + (f" {warning(study)}" if warning(study) else "")


def _shown(agreement: Agreement) -> str:
    return f"{agreement.value:.2f} ({agreement.low:.2f} to {agreement.high:.2f})"


def _row(pair: Pair) -> str:
    warm, cold = pair
    star = "★ " if warm.role is Role.BASELINE else ""
    cells = [
        f"{warm.number}, {cold.number}",
        f"{star}{code_cell(warm.title)}",
        percent(warm.val_accuracy),
        percent(cold.val_accuracy),
    ]
    return f"| {' | '.join(cells)} |"
