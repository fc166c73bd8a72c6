"""Trials as cards: what the page shows of picks, and of any trial that is pointed at."""

from dataclasses import dataclass

from markupsafe import Markup

from models.printable import printable
from reports.answer import accuracy_with_noise, gain_in_words, labelled
from reports.drawing import Backbone
from reports.gains import Gain, gain_over
from reports.markup import inline
from reports.study import Study
from reports.wording import UNKNOWN, count, latency, percent, prose, shortened
from search.picks import picks
from search.trial import Role, State, Trial

MOST_TEXT = 240  # characters of a reason or a placement
STATES = {
    State.COMPLETE: "fully trained",
    State.STOPPED: "stopped early",
    State.INFEASIBLE: "over a budget",
    State.FAILED: "failed",
    State.RUNNING: "not ended",
}
MARKS = {Role.BASELINE: "★ baseline", Role.CONTROL: "◆ control: no attention, more parameters"}


@dataclass(frozen=True)
class Placed:
    """A placement in a list: its letter in the drawing, its colour's class, and its words."""

    letter: str
    colour: str
    slot: str
    block: str


@dataclass(frozen=True)
class Card:
    """A trial as people see it. `verdict`: the kind of `gain`, `good`, `bad`, `noise` or none."""

    number: int
    heading: str
    kind: str
    accuracy: str
    gain: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    drawing: Markup
    placements: tuple[Placed, ...]
    reason: Markup

    @property
    def line(self) -> str:
        """All of it in a line, for whoever hears it."""
        facts = ", ".join(f"{name} {value}" for name, value in self.facts)
        placed = "; ".join(f"{p.slot} {p.block}" for p in self.placements) or "plain backbone"
        gain = f"; over the baseline {self.gain}" if self.gain else ""
        text = f"Trial {self.number}, {self.kind}: {self.accuracy}{gain}. {facts}. {placed}"
        return shortened(text, 2 * MOST_TEXT)


def card(study: Study, drawn: Backbone, trial: Trial, heading: str = "") -> Card:
    """A trial's card; `heading` says what it is the best in."""
    gain = gain_over(trial, study.baseline, study.validation_images)
    full = trial.state is State.COMPLETE
    accuracy = (
        accuracy_with_noise(trial, study.validation_images)
        if full
        else f"{percent(trial.val_accuracy)} after {len(trial.curve)} of {trial.epochs} epochs"
    )
    kind = MARKS.get(trial.role, "on the front" if trial in study.front else STATES[trial.state])
    return Card(
        number=trial.number,
        heading=heading,
        kind=printable(f"{trial.name}, {kind}" if trial.name else kind),
        accuracy=accuracy if trial.curve else UNKNOWN,
        gain=gain_in_words(gain) if gain and full else "",
        verdict=_verdict(gain) if gain and full else "",
        facts=_facts(study, trial),
        drawing=drawn.drawn(trial.architecture),
        placements=tuple(_placed(drawn, trial)),
        reason=inline(prose(shortened(trial.reason, MOST_TEXT))),
    )


def best_cards(study: Study, drawn: Backbone) -> list[Card]:
    """A card for each pick, the most accurate first."""
    best = picks(study.trials, study.objectives)
    return [card(study, drawn, pick.trial, labelled(study, pick)) for pick in best]


def compared_cards(study: Study, drawn: Backbone) -> list[Card]:
    """What the picks are compared with: the baseline, and more parameters without attention."""
    found = [card(study, drawn, study.baseline, "Baseline")] if study.baseline else []
    return found + [
        card(study, drawn, control, "Parameters without attention") for control in study.controls
    ]


def _verdict(gain: Gain) -> str:
    if gain.within_noise:
        return "noise"
    return "good" if gain.won else "bad"


def _facts(study: Study, trial: Trial) -> tuple[tuple[str, str], ...]:
    baseline = study.baseline
    params, macs = f"{trial.params:,}", count(trial.macs)
    shown = latency(trial)
    if baseline and trial.number != baseline.number:
        params += _more(trial.params, baseline.params)
        macs += _more(trial.macs, baseline.macs)
        if trial.latency_ms and baseline.latency_ms:
            shown += _more(trial.latency_ms, baseline.latency_ms)
    facts = [("parameters", params), ("MACs", macs)]
    return (*facts, ("latency", shown)) if trial.latency_ms is not None else tuple(facts)


def _more(value: float, reference: float) -> str:
    if value == reference or not reference:
        return ""
    return f" ({100 * (value / reference - 1):+.1f} %)"


def _placed(drawn: Backbone, trial: Trial) -> list[Placed]:
    return [
        Placed(
            letter,
            drawn.colour(placement.block.name),
            str(placement.slot),
            shortened(str(placement.block), MOST_TEXT),
        )
        for letter, placement in drawn.lettered(trial.architecture)
    ]
