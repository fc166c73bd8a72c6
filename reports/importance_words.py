"""The report's section on which choices matter, in Markdown."""

from reports.wording import UNKNOWN, percent, prose
from search.importances import FEWEST, Importance, Importances


def importance_lines(found: Importances) -> list[str]:
    """A table of the choices' shares, or why there is none."""
    if found.trials < FEWEST:
        return [
            f"{found.trials} candidates have been trained to the end within the budgets; "
            f"importances need at least {FEWEST}."
        ]
    if not found.found:
        return ["All candidates make the same choices, so none can matter more than another."]
    return [
        f"PED-ANOVA over {found.trials} fully trained candidates: how differently a choice is "
        f"made among the best {100 * found.best:g} %, as a share of all choices. *By chance* is "
        "the mean share where the same accuracies are shuffled: a choice with no more than that "
        "has shown nothing. Stopped trials are not in it, and the sampler did not choose evenly.",
        "",
        "| choice | accuracy | by chance | the front in all objectives |",
        "|---|---:|---:|---:|",
        *map(_row, found.found),
    ]


def _row(each: Importance) -> str:
    shares = (each.accuracy, each.by_chance, each.front)
    cells = (UNKNOWN if share is None else percent(share, 0) for share in shares)
    return f"| {prose(each.choice)} | {' | '.join(cells)} |"
