"""Accuracy against each cost: a drawing for each, in which every trained trial can be asked for."""

from reports.figures import legend, panel
from reports.gains import baseline_of
from reports.marks import drawable, floor_of, keep_apart, xy
from reports.plot import Plot, Target, in_style, new_figure, settle, target
from reports.study import Study
from reports.wording import OBJECTIVES, count, latency, number_of, percent
from search.trial import State, Trial

INCHES = (4.0, 4.4)
COSTS = {"params": "parameters", "latency_ms": "latency (ms)", "macs": "MACs"}


def front_plots(study: Study) -> list[Plot]:
    """One for each cost that any trained trial is known to have."""
    return [_plot(study, cost) for cost in COSTS if _shown(study, cost)]


def _shown(study: Study, cost: str) -> bool:
    trained = [t for t in study.trials if t.state in {State.COMPLETE, State.STOPPED}]
    return bool(drawable(trained, cost))


@in_style
def _plot(study: Study, cost: str) -> Plot:
    figure, axes = new_figure(*INCHES)
    panel(axes, study, cost, COSTS[cost])
    axes.set_ylabel("validation accuracy (%)")
    legend(figure, [axes], size=7.5, most_columns=3)
    settle(figure)
    keep_apart(axes)
    targets: list[Target] = []
    full = drawable(study.in_state(State.COMPLETE), cost)
    stopped = drawable(study.in_state(State.STOPPED), cost)
    front = {trial.number for trial in study.front}
    # Those of the front come last: they lie on top, and are asked for most.
    shown = [*stopped, *sorted(full, key=lambda trial: trial.number in front)]
    floor = floor_of(full)
    for trial, x, y in zip(shown, *xy(shown, cost), strict=True):
        targets.append(target(axes, trial.number, [(x, max(y, floor))]))
    name = {"params": "parameters", "latency_ms": "latency", "macs": "macs"}[cost]
    return Plot(
        f"front-{name}", f"Accuracy against {OBJECTIVES[cost]}", _alt(study, cost), figure,
        tuple(targets),
    )  # fmt: skip


def _alt(study: Study, cost: str) -> str:
    front = drawable(study.front, cost)
    full, stopped = len(study.in_state(State.COMPLETE)), len(study.in_state(State.STOPPED))
    text = f"Validation accuracy against {OBJECTIVES[cost]} of {number_of(full, 'trial')} trained "
    text += f"to the end and {stopped} stopped early."
    baseline = baseline_of(study.trials)
    if front:
        best = front[0]
        text += f" The most accurate on the front is trial {best.number}, {_value(best, cost)}."
    if baseline is not None:
        text += f" The baseline, trial {baseline.number}, has {_value(baseline, cost)}."
    return text


def _value(trial: Trial, cost: str) -> str:
    value = {
        "params": f"{trial.params:,} parameters",
        "macs": f"{count(trial.macs)} MACs",
        "latency_ms": latency(trial),
    }[cost]
    return f"{percent(trial.val_accuracy)} at {value}"
