"""The report's section on how the front grew, in Markdown."""

from collections.abc import Sequence

from reports.wording import duration, number_of, objectives_in_words
from search.hypervolume import Moment

NEARLY = 0.95


def growth_lines(moments: Sequence[Moment], objectives: tuple[str, ...]) -> list[str]:
    """When most of the front was found, and whether it still grew at the end."""
    if not moments:
        return ["Nothing has been fully trained within the budgets, so there is no hypervolume."]
    last = moments[-1]
    nearly = next(moment for moment in moments if moment.volume >= NEARLY)
    since = next(m.trials for m in moments if m.volume >= last.volume * (1 - 1e-9))
    spent = f" ({duration(nearly.seconds)} of {duration(last.seconds)})" if last.seconds else ""
    behind = last.trials - since
    text = (
        f"{100 * NEARLY:g} % of the final hypervolume in {objectives_in_words(objectives)} was "
        f"reached after {nearly.trials} of {number_of(last.trials, 'trial')}{spent}; the front "
        f"last grew {number_of(behind, 'trial') + ' before' if behind else 'at'} the end."
    )
    return [
        text,
        "",
        "Each objective is scaled by what the fully trained trials span; the reference point lies "
        "a tenth of that behind their worst. Trials count in the order they were begun, and the "
        "time is that of trainings and validations, all workers together.",
    ]
