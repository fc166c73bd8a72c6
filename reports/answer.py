"""The answer in words: the best picks, and whether their gains are real."""

from collections.abc import Sequence

from reports.evidence import Kind
from reports.finalists import on_test_split
from reports.gains import Gain, baseline_of, controls_of, gain_over, half_width
from reports.study import Study
from reports.wording import code, count, latency, percent, points
from search.front import front
from search.picks import Label, Pick, picks
from search.trial import Role, Trial

WITHIN = "within noise"
SIMILAR = 2  # added parameters that differ by no more than this factor are much the same

_NOTHING_SHOWN = "this study does not show that attention helps"

LABELS = {
    Label.MOST_ACCURATE: "most accurate",
    Label.SMALLEST: "fewest parameters",
    Label.FASTEST: "fastest",
    Label.FEWEST_MACS: "fewest MACs",
    Label.KNEE: "best balanced",
}


def answer(study: Study) -> list[str]:
    """The answer's lines in Markdown."""
    best = picks(study.trials, study.objectives)
    lines = [f"- **{labelled(study, pick)}:** {_pick(study, pick.trial)}" for pick in best]
    return [*lines, *([""] if lines else []), *verdicts(study)]


def verdicts(study: Study) -> list[str]:
    """What the picks are worth: paragraphs in Markdown, an empty line between each two."""
    candidates = [trial for trial in study.front if trial.role is Role.CANDIDATE]
    if not candidates:
        return [_nothing_found(study)]
    verdict = noise_sentence(study.trials, study.objectives, study.validation_images)
    judged = (f"**On the test split:** {each}" for each in on_test_split(study))
    lines = [line for each in judged for line in (each, "")]
    lines += [verdict, ""] if verdict else []
    if study.baseline is None:
        lines += ["No fully trained baseline is in the study, so no gain can be stated.", ""]
    if any(each.reference.kind is Kind.EQUAL_SIZE for each in study.differences):
        return lines[:-1] if lines[-1:] == [""] else lines  # they say more of it than one seed
    return [*lines, *_attention_or_parameters(study, candidates[0])]


def noise_sentence(trials: Sequence[Trial], objectives: Sequence[str], images: int) -> str:
    """What the front's gains over the baseline are worth; empty without anything to compare."""
    baseline = baseline_of(trials)
    members = [t for t in front(trials, objectives) if t.role is Role.CANDIDATE]
    gains = [gain for t in members if (gain := gain_over(t, baseline, images)) is not None]
    won, lost = sum(gain.won for gain in gains), sum(gain.lost for gain in gains)
    unsure = len(gains) - won - lost
    noise = f"the noise of {images:,} validation images"
    if not gains:
        return ""
    if won == len(gains):
        return f"All gains over the baseline exceed {noise}."
    if unsure == len(gains):
        return (
            f"No gain over the baseline is larger than {noise}: the differences here are "
            f"{WITHIN}, and {_NOTHING_SHOWN}."
        )
    if lost == len(gains):
        return (
            f"Every candidate on the front is below the baseline by more than {noise}: "
            f"{_NOTHING_SHOWN}."
        )
    parts = [f"{many} {verb}" for many, verb in ((won, "gained"), (lost, "lost")) if many]
    sentence = (
        f"Of the front's {len(gains)} candidates, {' and '.join(parts)} against the baseline by "
        f"more than {noise}" + (f"; {_others(unsure)} {WITHIN}" if unsure else "")
    )
    return f"{sentence}." if won else f"{sentence}: {_NOTHING_SHOWN}."


def _others(many: int) -> str:
    return "the other is" if many == 1 else f"the other {many} are"


def gain_in_words(gain: Gain) -> str:
    """`+1.20 ± 0.95 points`, with the verdict where noise covers it or it is a loss."""
    text = f"{points(gain.value)} ± {100 * gain.half_width:.2f} points"
    if gain.within_noise:
        return f"{text}, {WITHIN}"
    return f"{text}, a loss beyond noise" if gain.lost else text


def _nothing_found(study: Study) -> str:
    if not any(trial.eligible and trial.role is Role.CANDIDATE for trial in study.trials):
        return "No candidate has been fully trained yet, so there is no answer."
    return (
        "No candidate is on the front: the baseline or a control is at least as good in every "
        "objective. Nothing this study trained is worth its cost."
    )


def labelled(study: Study, pick: Pick) -> str:
    """What a pick is the best in: `Most accurate`, `Fastest and knee above the baseline`."""
    words = [LABELS[label] for label in pick.labels]
    compared = [*([study.baseline] if study.baseline else []), *study.controls]
    if pick.labels[0] is Label.MOST_ACCURATE and any(_above(t, pick.trial) for t in compared):
        words[0] += " candidate"
    text = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    only_cheap = Label.MOST_ACCURATE not in pick.labels and study.baseline is not None
    return text[0].upper() + text[1:] + (" above the baseline" if only_cheap else "")


def _above(trial: Trial, baseline: Trial) -> bool:
    return (trial.val_accuracy or 0.0) > (baseline.val_accuracy or 0.0)


def _pick(study: Study, trial: Trial) -> str:
    costs = [f"{trial.params:,} parameters", f"{count(trial.macs)} MACs"]
    if trial.latency_ms is not None:
        costs.append(latency(trial))
    text = f"trial {trial.number}, {code(trial.title)}: "
    text += f"{percent(trial.val_accuracy)}, {', '.join(costs)}"
    baseline = study.baseline
    gain = gain_over(trial, baseline, study.validation_images)
    if gain is None or baseline is None:
        return f"{text}."
    return f"{text}. Over the baseline: {gain_in_words(gain)}{_more(trial, baseline)}."


def _more(trial: Trial, baseline: Trial) -> str:
    """What it costs beyond the baseline."""
    more = f"; {100 * (trial.params / baseline.params - 1):+.2f} % parameters"
    if trial.latency_ms is not None and baseline.latency_ms:
        more += f", {100 * (trial.latency_ms / baseline.latency_ms - 1):+.1f} % latency"
    return more


def _attention_or_parameters(study: Study, best: Trial) -> list[str]:
    """Whether the residual control gains as much as the most accurate candidate."""
    if not controls_of(study.trials):
        return [
            "No control was fully trained, so this study cannot say whether a gain comes from "
            "attention or merely from more parameters."
        ]
    return [_against(study, best, control) for control in study.controls]


def _against(study: Study, best: Trial, control: Trial) -> str:
    images = study.validation_images
    gain = gain_over(control, study.baseline, images)
    lead = gain_over(best, control, images)
    text = f"*Is it the attention or the parameters?* The control (trial {control.number}, "
    text += f"{code(control.title)}, {control.params:,} parameters) "
    text += f"reaches {percent(control.val_accuracy)}"
    text += f"; over the baseline: {gain_in_words(gain)}." if gain else "."
    if lead is None:
        return text
    text += f" Trial {best.number} against the control: {gain_in_words(lead)}."
    return f"{text} {_verdict(study, best, control, lead)}"


def _verdict(study: Study, best: Trial, control: Trial, lead: Gain) -> str:
    """What the control says about the best candidate's gain over the baseline, if there is one."""
    baseline = study.baseline
    gain = gain_over(best, baseline, study.validation_images)
    if baseline is None or gain is None:
        return "Without a baseline there is no gain to explain."
    who = f"trial {best.number}"
    if gain.value <= 0:
        return f"There is no gain to explain: {who} gained nothing over the baseline."
    if gain.within_noise:
        return f"There is no gain to explain: that of {who} over the baseline is {WITHIN}."
    mine, its = best.params - baseline.params, control.params - baseline.params
    return _explained(lead, mine, its, f"{its:,} against the {mine:,} of {who}")


def _explained(lead: Gain, mine: int, its: int, numbers: str) -> str:
    """Whether parameters alone explain a gain: `mine` and `its` are the added ones."""
    if lead.lost:
        return f"The control does better: more parameters alone (it adds {numbers}) gain more."
    if lead.won and SIMILAR * its < mine:
        return f"But the control adds fewer parameters ({numbers}): the question is not settled."
    if lead.won:
        return (
            "As far as one seed can tell it is the attention: more parameters alone (the control "
            f"adds {numbers}) do not explain the lead."
        )
    if its <= SIMILAR * mine:
        kind = "fewer" if its < mine else "no more than twice the"
        return (
            f"The control does as well {WITHIN} with {kind} added parameters ({numbers}): more "
            "parameters alone may explain the gain."
        )
    return f"The control does as well {WITHIN}, but adds {_times(its, mine)} ({numbers})."


def _times(many: int, few: int) -> str:
    if few <= 0:
        return "parameters where the candidate adds none"
    ratio = many / few
    text = f"{ratio:.1f}".removesuffix(".0") if ratio < 10 else f"{ratio:,.0f}"
    return f"{text} times the parameters"


def accuracy_with_noise(trial: Trial, images: int) -> str:
    """`93.10 % ± 0.70`: a validation accuracy and its 95 % interval, in points."""
    if trial.val_accuracy is None:
        return percent(None)
    return f"{percent(trial.val_accuracy)} ± {100 * half_width(trial.val_accuracy, images):.2f}"
