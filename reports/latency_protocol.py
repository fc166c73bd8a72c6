"""How latencies were measured and predicted, and how far they can be trusted, in words."""

from collections.abc import Sequence

import numpy as np

from reports.study import Study
from reports.wording import code, number_of
from search.trial import Role, State, Trial


def how_latency_was_measured(study: Study) -> str:
    """The protocol, its intervals and controls; empty where nothing was measured."""
    trials = study.trials
    known = [trial.latency for trial in trials if trial.latency]
    if not known:
        return ""
    batches = _any_of({str(latency.batch) for latency in known})
    sizes = _any_of({f"{latency.image_size} × {latency.image_size}" for latency in known})
    engines = _any_of({code(latency.engine) for latency in known})
    rounds = [latency.rounds for latency in known]
    widths = [100 * latency.half_width for latency in known]
    controls = [100 * abs(latency.control - 1) for latency in known]
    pinned = ", pinned to one core" if all(latency.core is not None for latency in known) else ""
    many = str(min(rounds)) if min(rounds) == max(rounds) else f"{min(rounds)} to {max(rounds)}"
    own = ", on the work's own clock" if all(latency.clock != "wall" for latency in known) else ""
    return (
        f"forward passes in eval mode (engine {engines}, batch {batches}, {sizes} pixels, on the "
        f"worker's device{pinned}) in turns with two plain backbones{own}, {many} "
        f"rounds, {meanwhile(trials)}; a latency is the median ratio to the plain "
        "backbone times the plain backbone's own in this study's first measurement. 95 % intervals "
        f"of the ratio: ± {np.median(widths):.1f} % in the median, ± {max(widths):.1f} % at "
        f"most{_short_of_precision(study, widths)}; "
        f"the two plain backbones against each other: {np.median(controls):.1f} % apart in the "
        f"median, {max(controls):.1f} % at most{_predictions(study)}"
    )


def _short_of_precision(study: Study, widths: Sequence[float]) -> str:
    """How many measurements ran out of time before they were as sure as was asked for."""
    wanted = study.space.get("latency", {}).get("precision")
    wide = sum(width > 100 * wanted for width in widths) if wanted else 0
    if not wide:
        return ""
    return (
        f" ({wide} of {len(widths)} ran out of `latency.seconds` before the "
        f"± {100 * wanted:g} % of `latency.precision`)"
    )


def _any_of(values: set[str]) -> str:
    return ", ".join(sorted(values))


def _predictions(study: Study) -> str:
    trials = study.trials
    predicted = [trial for trial in trials if trial.latency_predicted]
    checked = [t for t in trials if t.latency and t.latency_ms and t.predicted_ms]
    if not predicted and not checked:
        return ""
    marked = f"Latencies with ~, of {number_of(len(predicted), 'trial')}, are"
    which = marked if predicted else "Some were at first"
    text = f". {which} predicted from the measured ones by a sum over placements"
    error = study.latency_model.get("error")
    if error is not None:
        text += f"; left out one by one, 95 % of these are predicted within {100 * error:.1f} %"
    if checked:
        off = [100 * abs((t.predicted_ms or 0) / (t.latency_ms or 1) - 1) for t in checked]
        text += (
            f"; {number_of(len(checked), 'trial')} predicted first and measured later: off by "
            f"{np.median(off):.1f} % in the median, {max(off):.1f} % at most"
        )
    return text


def meanwhile(trials: Sequence[Trial]) -> str:
    """What the machine did while latencies were measured."""
    quiet = [trial.latency.quiet for trial in trials if trial.latency]
    if quiet and all(quiet):
        return "while this program's other trainings on the machine were held off"
    if any(quiet):
        return (
            f"in {sum(quiet)} of {len(quiet)} trials while this program's other trainings on the "
            "machine were held off, in the rest while they ran"
        )
    return "while other trainings ran on the machine"


def impossibly_fast(trials: Sequence[Trial], baseline: Trial | None) -> list[str]:
    """How far measured latencies are off: what contains the baseline cannot be faster than it."""
    reference = baseline.latency_ms if baseline else None
    if not reference:
        return []
    faster = [
        1 - trial.latency_ms / reference
        for trial in trials
        if trial.latency is not None  # a prediction may lie below a baseline measured once more
        if trial.role is not Role.BASELINE and trial.state is not State.FAILED
        if trial.latency_ms is not None and trial.latency and trial.latency_ms < reference
    ]
    if not faster:
        return []
    many = len(faster)
    who = "1 network that contains" if many == 1 else f"{many} networks that contain"
    up_to = "by" if many == 1 else "by up to"
    return [
        f"- {who} the baseline measured faster than it, {up_to} {100 * max(faster):.1f} %: latency "
        "differences of that size are noise here."
    ]
