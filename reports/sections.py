"""The sections of a report, in order: what `report.md` and `report.html` both say.

Every sentence is written once, in Markdown; the page shows the same lines as HTML, with its own
cards, map and drawings in their places.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.answer import answer
from reports.finalists import finalists
from reports.findings import Findings
from reports.growth_words import growth_lines
from reports.importance_words import importance_lines
from reports.protocol import how_measured, how_sure, how_to_go_on
from reports.study import Study
from reports.trial_tables import counts, dominated, front_lines, others
from reports.warm_start import inherits, warm_start, warning
from reports.where import where_lines
from reports.wording import objectives_in_words, prose

ANSWER, FRONT, WHERE, TRIED = "answer", "front", "where", "tried"


@dataclass(frozen=True)
class Section:
    """A heading and its lines in Markdown; `plots` are shown with it, by the beginning of names."""

    name: str
    title: str
    lines: Sequence[str]
    plots: tuple[str, ...] = ()


def question(study: Study) -> str:
    """What was asked, in Markdown."""
    backbone = prose(str(study.space.get("backbone", {}).get("name", "the backbone")))
    data = prose(study.data_title)
    return (
        f"*Which attention block, put where in {backbone}, buys the most validation accuracy on "
        f"{data} for its cost?* Judged by {objectives_in_words(study.objectives)}"
        f"{_budgets(study)}."
    )


def _budgets(study: Study) -> str:
    objectives = study.space.get("objectives", {})
    given = {
        "parameters": objectives.get("max_params"),
        "ms latency": objectives.get("max_latency_ms"),
    }
    limits = [f"{v:,} {unit}" for unit, v in given.items() if type(v) in {int, float}]
    return f", with at most {' and '.join(limits)}" if limits else ""


def sections(study: Study, findings: Findings) -> list[Section]:
    """All sections that the study has something to say for."""
    doubt = warning(study)
    tried = [*counts(study), *dominated(study), *others(study)]
    found = [
        Section(ANSWER, "Answer", [*answer(study), *(["", doubt] if doubt else [])]),
        Section("finalists", "Finalists", finalists(study) if study.finals else [], ("finalists",)),
        Section(FRONT, "Front", front_lines(study), ("front",)),
        Section("curves", "Learning curves", _curves(study), ("learning-curves",)),
        Section(
            "hypervolume",
            "How the front grew",
            growth_lines(findings.growth, study.objectives),
            ("hypervolume",),
        ),
        Section(WHERE, "Where attention helps", where_lines(findings.effects), ("where",)),
        Section(
            "importances",
            "Which choices matter",
            importance_lines(findings.importances),
            ("importances",),
        ),
        Section(TRIED, "What else was tried", tried),
        Section("warm", "Warm starts", warm_start(study) if inherits(study) else []),
        Section("measured", "How it was measured", how_measured(study)),
        Section("sure", "How sure one can be", how_sure(study)),
        Section("next", "How to go on", how_to_go_on(study)),
    ]
    return [section for section in found if section.lines]


def _curves(study: Study) -> list[str]:
    if not any(trial.curve for trial in study.trials):
        return ["No trial has finished an epoch yet."]
    return [
        "Validation accuracy after every epoch, on the images that trials are compared by. "
        "`curves.parquet` has the numbers, with losses and times.",
    ]
