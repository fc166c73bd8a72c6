"""The report's section on what blocks and places are worth."""

from collections.abc import Sequence

from reports.wording import points
from search.effects import Effect

SHOWN = {"type": "block", "stage": "stage", "position": "position"}


def worth(effects: Sequence[Effect]) -> list[str]:
    """A table of the properties that most want to know of; `effects.csv` has all of them."""
    return [
        "What one placement gains over its absence, in points of validation accuracy where the "
        "error is the plain backbone's, with 95 % intervals: by a model of all trained candidates, "
        "those that were stopped early with what their curves led to expect. `residual` is the "
        "control: a block that gains no more adds but layers. A stage or position is credited with "
        "whichever blocks sat there. One interval in twenty misses, so the best of many rows may "
        "be luck. `effects.csv` has slots and options as well.",
        "",
        "| | | candidates | gain (points) | from | to |",
        "|---|---|---:|---:|---:|---:|",
        *(_row(effect) for effect in effects if effect.kind in SHOWN),
    ]


def _row(effect: Effect) -> str:
    gain = effect.by_model
    numbers = (points(value) for value in (gain.value, gain.low, gain.high))
    cells = [SHOWN[effect.kind], f"`{effect.value}`", str(effect.trials), *numbers]
    return f"| {' | '.join(cells)} |"
