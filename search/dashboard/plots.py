"""Figures that Optuna's dashboard draws: the front, how it grew, learning curves.

They are Plotly's JSON, which the dashboard's page draws by itself; no Plotly is needed here.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import moocore
import numpy as np

from models.printable import one_line
from search.front import rated
from search.hypervolume import growth
from search.trial import Role, State, Trial

MOST_POINTS = 1500  # beside the front, the latest
MOST_CURVES = 40  # beside the baseline's and the control's; the front's come first
LONGEST_TITLE = 90
FEW_EPOCHS = 15  # each has its own tick
# Okabe and Ito's colours, which people with any kind of colour vision can tell apart.
BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#E69F00", "#D55E00", "#8A8A8A"
AXES = {
    "params": "parameters",
    "macs": "multiply-adds of an image",
    "latency_ms": "latency in ms",
}

Figure = dict[str, Any]


def figures(trials: Sequence[Trial], objectives: Sequence[str]) -> dict[str, Figure]:
    """All figures by id; none before a training has an epoch. `trials` by number."""
    if not any(trial.curve for trial in trials):
        return {}
    members = front_numbers(trials, objectives)
    costs = [name for name in objectives if name in AXES]
    found = {f"front-{cost}": _front(trials, members, cost) for cost in costs}
    moments = growth(trials, objectives)
    if moments:
        found["hypervolume"] = _hypervolume(
            [m.trials for m in moments], [m.volume for m in moments]
        )
    found["learning-curves"] = _curves(trials, members)
    return found


def front_numbers(trials: Sequence[Trial], objectives: Sequence[str]) -> set[int]:
    """The numbers of the trials that `search.front.front` names, for thousands of them."""
    known = rated(trials, objectives)
    if not known:
        return set()
    points = np.array([point for _, point in known])
    kept = moocore.is_nondominated(points, keep_weakly=True)
    return {trial.number for (trial, _), keeps in zip(known, kept, strict=True) if keeps}


def _front(trials: Sequence[Trial], members: set[int], cost: str) -> Figure:
    full = [t for t in trials if t.state is State.COMPLETE and t.role.contends]
    shown = [trial for trial in full if trial.objective(cost) is not None]
    on_front = [trial for trial in shown if trial.number in members]
    others = [t for t in shown if t.number not in members and t.role is Role.CANDIDATE]
    stepped = sorted(on_front, key=lambda trial: trial.objective(cost) or 0.0)
    traces = [_points(others[-MOST_POINTS:], cost, "other trainings", _marker(GREY, 6))]
    traces.append(_points(stepped, cost, "front", _marker(BLUE, 9)))
    for role, marker in (
        (Role.BASELINE, _marker(VERMILION, 14, "star")),
        (Role.CONTROL, _marker(ORANGE, 14, "diamond")),
    ):
        traces.append(_points([t for t in shown if t.role is role], cost, role.value, marker))
    return _figure(
        f"Front: accuracy against {AXES[cost]}", AXES[cost], "validation accuracy in %", traces
    )


def _points(trials: Sequence[Trial], cost: str, name: str, marker: Figure) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [trial.objective(cost) for trial in trials],
        "y": [_percent(trial) for trial in trials],
        "text": [_label(trial) for trial in trials],
        "hovertemplate": "%{text}<br>%{y:.2f} %<br>%{x:,.6~g}<extra></extra>",
        "marker": marker,
    }


def _marker(color: str, size: int, symbol: str = "circle") -> Figure:
    return {"color": color, "size": size, "symbol": symbol}


def _hypervolume(trials: Sequence[int], volumes: Sequence[float]) -> Figure:
    """A step where a trial enlarged the front; what lies between says nothing more."""
    kept = [n for n, volume in enumerate(volumes) if n == 0 or volume != volumes[n - 1]]
    kept = sorted({*kept, len(volumes) - 1})
    trace = {
        "type": "scatter",
        "mode": "lines",
        "name": "hypervolume",
        "x": [trials[n] for n in kept],
        "y": [round(100 * volumes[n], 3) for n in kept],
        "line": {"shape": "hv", "color": BLUE},
        "hovertemplate": "after %{x} trials: %{y:.1f} %<extra></extra>",
    }
    title = "Hypervolume of the front, in % of what it is now"
    return _figure(title, "trials that have ended", "hypervolume in %", [trace])


def _curves(trials: Sequence[Trial], members: set[int]) -> Figure:
    """The front's and the latest, where there are many."""
    trained = [trial for trial in trials if trial.curve]
    compared = [t for t in trained if t.role in {Role.BASELINE, Role.CONTROL}]
    candidates = [t for t in trained if t.role not in {Role.BASELINE, Role.CONTROL}]
    candidates.sort(key=lambda trial: (trial.number not in members, -trial.number))
    shown = sorted(candidates[:MOST_CURVES], key=lambda trial: trial.number)
    traces = [_line(trial, members) for trial in (*compared, *shown)]
    title = "Learning curves"
    if len(candidates) > MOST_CURVES:
        title += f": the front's and the latest, {MOST_CURVES} of {len(candidates)}"
    figure = _figure(title, "epoch", "validation accuracy in %", traces)
    if max(len(trial.curve) for trial in trained) <= FEW_EPOCHS:
        figure["layout"]["xaxis"]["dtick"] = 1
    return figure


def _line(trial: Trial, members: set[int]) -> Figure:
    colors = {Role.BASELINE: VERMILION, Role.CONTROL: ORANGE}
    color = colors.get(trial.role, BLUE if trial.number in members else GREY)
    dashed = trial.state in {State.STOPPED, State.FAILED}
    text = _label(trial)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"trial {trial.number}",
        "x": [epoch.epoch for epoch in trial.curve],
        "y": [round(100 * epoch.val_accuracy, 3) for epoch in trial.curve],
        "text": [text] * len(trial.curve),
        "hovertemplate": "%{text}<br>epoch %{x}: %{y:.2f} %<extra></extra>",
        "line": {"color": color, "width": 2, "dash": "dot" if dashed else "solid"},
        "marker": {"size": 4},
    }


def _figure(title: str, x: str, y: str, traces: Iterable[Figure]) -> Figure:
    return {
        "data": [trace for trace in traces if trace["x"]],
        "layout": {
            "title": {"text": title, "font": {"size": 16}},
            "xaxis": {"title": {"text": x}, "automargin": True},
            "yaxis": {"title": {"text": y}, "automargin": True},
            "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
            "legend": {"orientation": "v"},
            "hovermode": "closest",
        },
    }


def _label(trial: Trial) -> str:
    """Plotly knows a little HTML, so what a study says is escaped."""
    title = one_line(f"{trial.number}: {trial.title}", LONGEST_TITLE)
    return title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _percent(trial: Trial) -> float:
    return round(100 * (trial.val_accuracy or 0.0), 3)
